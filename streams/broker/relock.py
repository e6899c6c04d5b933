"""Write the lock anew, for a new version of Kafka: ``python -m streams.broker.relock 4.3.1``.

Resolves Kafka's dependencies with jgo into a temporary folder and records every jar. Kafka and an
SLF4J 1.7 binding are the only roots: a further root would bring its own managed versions along and
pull parts of Kafka to older ones. Read the difference before committing it.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from jgo.env import EnvironmentBuilder, LockFile
from jgo.maven import MavenContext, PythonResolver

from streams.broker.lock import LOCK_NAME, Jar, Lock, dump_lock

_ROOTS = "org.apache.kafka:kafka_2.13:{version}+org.slf4j:slf4j-simple:1.7.36"


def resolve(version: str) -> Lock:
    """Resolve one version of Kafka from the network and describe its jars."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        context = MavenContext(PythonResolver(), repo_cache=cache / "m2")
        builder = EnvironmentBuilder(context, cache_dir=cache)
        environment = builder.from_endpoint(_ROOTS.format(version=version))
        locked = LockFile.load(environment.path / "jgo.lock.toml").dependencies
        jars = [_jar(cache / "m2", d.groupId, d.artifactId, d.version) for d in locked]
    return Lock(version, tuple(sorted(jars, key=lambda jar: jar.name)))


def _jar(repository: Path, group: str, artifact: str, version: str) -> Jar:
    name = f"{artifact}-{version}.jar"
    data = repository.joinpath(*group.split("."), artifact, version, name).read_bytes()
    return Jar(group, artifact, version, len(data), hashlib.sha256(data).hexdigest())


def main() -> None:
    """Write ``kafka.lock.toml`` beside this file."""
    (version,) = sys.argv[1:]
    path = Path(__file__).with_name(LOCK_NAME)
    path.write_text(dump_lock(resolve(version)), encoding="utf-8")


if __name__ == "__main__":
    main()

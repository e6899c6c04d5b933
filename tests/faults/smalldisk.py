"""A disk so small that it can be filled: a tmpfs in a namespace of its own, without rights."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path

SIZE = "128m"
_HOLD = 'mount -t tmpfs -o size="$1" tmpfs "$0" && echo mounted && exec cat'
_ENTER = 'cd "$0" && exec "$@"'
PAGE = 4096


class SmallDisk:
    """Mounted as long as its holder lives: who waits for our end of a pipe, and so ends with us.

    Not everybody may do so (a kernel without user namespaces, a container that forbids them).
    """

    def __init__(self, folder: Path, home: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.mounted = folder, False
        self._holder: subprocess.Popen[bytes] | None = None
        if not (shutil.which("unshare") and shutil.which("nsenter")):
            return
        apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _HOLD]
        self._holder = subprocess.Popen(
            [*apart, str(folder), SIZE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._holder.stdout is not None
        self.mounted = self._holder.stdout.readline() == b"mounted\n"
        enter = ["nsenter", "--preserve-credentials", "--user", "--mount"]
        target = ["--target", str(self._holder.pid), "sh", "-c", _ENTER, str(home)]
        self.inside = [*enter, *target]
        """What a command begins with that is to see it; the process stays the same one."""
        self._filler = Path(f"/proc/{self._holder.pid}/root{folder}/filler")

    def fill(self) -> None:
        """Leave no room: from now on a write is answered ENOSPC."""
        with self._filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(PAGE)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def make_room(self) -> None:
        """Take away what filled it."""
        self._filler.unlink()

    def close(self) -> None:
        """End its holder, and with it the disk."""
        if self._holder is not None:
            self._holder.kill()
            self._holder.communicate()

"""Schema ids from a registry, when one is configured; without one the committed lock gives them.

The registry is asked once, at start. What a program needs to run it then knows, so an outage of the
registry never stops a running worker; and what it said is kept in a file, so one can be started
during an outage too.
"""

from streams.registry.errors import Incompatible, RegistryAway, RegistryError
from streams.registry.ids import codec_for
from streams.registry.subjects import Registry, subjects_of

__all__ = [
    "Incompatible",
    "Registry",
    "RegistryAway",
    "RegistryError",
    "codec_for",
    "subjects_of",
]

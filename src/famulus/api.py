"""All that people's own code imports: a stable face; the modules behind it may move.

    from famulus.api import Floor, Picture, Score, Splits, Strict, Task, open_images

Beside what a task needs: `Store` reads runs, `Probe` measures layers of a bare loop, and
`FamulusCallback` watches a Lightning Trainer (extra `lightning`). Importing this module loads no
torch; the first use of a name does, where the name needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from famulus.config.errors import ConfigError, DataError, StoreError
    from famulus.config.schema import Strict, added
    from famulus.config.scores import Score
    from famulus.diagnosis.probes.probe import Probe
    from famulus.feed.source import Source, Splits
    from famulus.images.open import open_images
    from famulus.images.rebuild import rebuild
    from famulus.images.strip import strip
    from famulus.store.store import Store
    from famulus.tasks.base import (
        Changes,
        Facts,
        Floor,
        Parent,
        Picture,
        Position,
        Proposal,
        SelfTest,
        Task,
    )
    from famulus.volumes.open import open_volume

HOMES = {
    "Task": "tasks.base",
    "Score": "config.scores",
    "Facts": "tasks.base",
    "Changes": "tasks.base",
    "Floor": "tasks.base",
    "Parent": "tasks.base",
    "SelfTest": "tasks.base",
    "Picture": "tasks.base",
    "Position": "tasks.base",
    "Proposal": "tasks.base",
    "Source": "feed.source",
    "Splits": "feed.source",
    "open_images": "images.open",
    "open_volume": "volumes.open",
    "strip": "images.strip",
    "rebuild": "images.rebuild",
    "Strict": "config.schema",
    "added": "config.schema",
    "ConfigError": "config.errors",
    "DataError": "config.errors",
    "StoreError": "config.errors",
    "Store": "store.store",
    "Probe": "diagnosis.probes.probe",
    "FamulusCallback": "bridges.lightning",
}
__all__ = [  # for type checkers; FamulusCallback needs an extra, so `*` leaves it out
    "Changes",
    "ConfigError",
    "DataError",
    "Facts",
    "Floor",
    "Parent",
    "Picture",
    "Position",
    "Probe",
    "Proposal",
    "Score",
    "SelfTest",
    "Source",
    "Splits",
    "Store",
    "StoreError",
    "Strict",
    "Task",
    "added",
    "open_images",
    "open_volume",
    "rebuild",
    "strip",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"famulus.api has no {name!r}: it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"famulus.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

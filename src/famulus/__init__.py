"""Famulus: a training laboratory for images and volumes."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from famulus.moved import Moved

if TYPE_CHECKING:
    from famulus.bridges.monitor import Monitor
    from famulus.bridges.watch.session import Watch as watch
    from famulus.lab.experiment import experiment
    from famulus.lab.lab import Lab
    from famulus.lab.model import load

__version__ = "0.1.0"
__all__ = ["Lab", "Monitor", "__version__", "experiment", "load", "watch"]
HOMES = {
    "Monitor": ("bridges.monitor", "Monitor"),
    "watch": ("bridges.watch.session", "Watch"),
    "load": ("lab.model", "load"),
    "Lab": ("lab.lab", "Lab"),
    "experiment": ("lab.experiment", "experiment"),
}

if not any(isinstance(finder, Moved) for finder in sys.meta_path):
    sys.meta_path.append(Moved())  # last: it only speaks of modules that nobody has


def __getattr__(name: str) -> Any:
    """Imported when asked for: the command line starts without torch."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, inside = HOMES[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), inside)


def __dir__() -> list[str]:
    return __all__

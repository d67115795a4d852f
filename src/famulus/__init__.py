"""Famulus: a training laboratory for images and volumes."""

import sys
from typing import TYPE_CHECKING, Any

from famulus.moved import Moved

if TYPE_CHECKING:
    from famulus.bridges.monitor import Monitor

__version__ = "0.1.0"
__all__ = ["Monitor", "__version__"]

if not any(isinstance(finder, Moved) for finder in sys.meta_path):
    sys.meta_path.append(Moved())  # last: it only speaks of modules that nobody has


def __getattr__(name: str) -> Any:
    """`famulus.Monitor`, imported when asked for: the command line starts without torch."""
    if name == "Monitor":
        from famulus.bridges.monitor import Monitor

        return Monitor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Famulus: a training laboratory for images and volumes."""

import sys
from typing import TYPE_CHECKING, Any

from famulus.moved import Moved

if TYPE_CHECKING:
    from famulus.bridges.monitor import Monitor
    from famulus.bridges.watch.session import Watch as watch

__version__ = "0.1.0"
__all__ = ["Monitor", "__version__", "watch"]

if not any(isinstance(finder, Moved) for finder in sys.meta_path):
    sys.meta_path.append(Moved())  # last: it only speaks of modules that nobody has


def __getattr__(name: str) -> Any:
    """Imported when asked for: the command line starts without torch."""
    if name == "Monitor":
        from famulus.bridges.monitor import Monitor

        return Monitor
    if name == "watch":
        from famulus.bridges.watch.session import Watch

        return Watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

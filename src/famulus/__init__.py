"""Famulus: a training laboratory for images and volumes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from famulus.bridges.monitor import Monitor

__version__ = "0.1.0"
__all__ = ["Monitor", "__version__"]


def __getattr__(name: str) -> Any:
    """`famulus.Monitor`, imported when asked for: the command line starts without torch."""
    if name == "Monitor":
        from famulus.bridges.monitor import Monitor

        return Monitor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

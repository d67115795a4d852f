"""Decoders print of a damaged file what is told in one line: here they are asked not to."""

import ctypes
import logging
import warnings
from functools import cache


@cache
def quiet_log(name: str) -> None:
    """What this logger writes goes where a program sends its logs, and not to the terminal."""
    logger = logging.getLogger(name)
    for handler in list(logger.handlers):
        if type(handler) is logging.StreamHandler:
            logger.removeHandler(handler)
    # With no handler at all, logging would print by itself.
    logger.addHandler(logging.NullHandler())


@cache
def quiet_pillow() -> None:
    """Its warnings, and the lines that libtiff writes to stderr from C."""
    # Not for the length of a call: pictures are decoded by threads, which share the filters.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    from PIL import _imaging

    try:
        # A library's symbols are looked up in those that it is linked with, too.
        handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):  # built without libtiff, or with one that shows no names
        return
    handler.restype, handler.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    handler(None)

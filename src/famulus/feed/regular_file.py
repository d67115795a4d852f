"""Files opened only where they are regular: a FIFO would wait for ever, a device never ends."""

import stat
from io import BufferedReader
from pathlib import Path

from famulus.config.errors import DataError


def require_regular(path: Path) -> Path:
    """`path` if it leads to a regular file. Raises DataError with its path for anything else."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror or error})") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a FIFO, socket or device"
        raise DataError(f"{path}: expected a regular file, received {kind}")
    return path


def open_regular(path: Path) -> BufferedReader:
    """The bytes of a regular file. Raises DataError with its path."""
    require_regular(path)
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror or error})") from error

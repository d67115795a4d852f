"""Where data lie that are named and not given as a path, and the digest of a file there."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from famulus.config.errors import DataError
from famulus.feed.regular_file import open_regular, require_regular


def data_folder() -> Path:
    """The folder named by FAMULUS_DATA, else `famulus/data` in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FAMULUS_DATA") or Path(cache) / "famulus" / "data")


def require(path: Path, name: str) -> Path:
    """`path` if it exists. Raises DataError naming it and FAMULUS_DATA."""
    if path.exists():
        return path
    state = os.environ.get("FAMULUS_DATA") or "not set"
    raise DataError(
        f"data.name {name}: expected {path}, which does not exist: put it there or set "
        f"FAMULUS_DATA (now {state}); `digits` needs no files"
    )


def file_digest(path: Path) -> str:
    """sha256 of a regular file, remembered while its size and its time stay the same.

    Raises DataError with its path.
    """
    # size and time stand for the bytes: a set of gigabytes is not read again for each of many runs
    stat = require_regular(path).stat()
    return _file_digest(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=65536)
def _file_digest(path: str, size: int, time_ns: int) -> str:
    with open_regular(Path(path)) as file:
        # in pieces: a volume does not fit in memory
        return hashlib.file_digest(file, "sha256").hexdigest()

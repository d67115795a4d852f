"""Only regular files are opened: a FIFO would wait for ever, a device has no end."""

from pathlib import Path

from famulus.config.errors import DataError


def regular(path: Path) -> Path:
    """The path, if a regular file lies there; links are followed.

    Raises DataError naming a dangling link, or what is there instead.
    """
    path = Path(path)
    try:
        if path.is_file():
            return path
        if path.is_symlink() and not path.exists():
            raise DataError(f"{path}: a link to {path.readlink()}, which is not there")
        if not path.exists():
            raise DataError(f"{path}: does not exist")
        kind = "folder" if path.is_dir() else "FIFO or device"
    except OSError as error:  # a link to itself, a name too long
        raise DataError(f"{path}: can't be read ({error.strerror})") from None
    raise DataError(f"{path}: expected a regular file, received a {kind}")


def first_line(error: BaseException) -> str:
    """The first line of an error, or its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]

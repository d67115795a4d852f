"""Reading and writing whole files: on this machine, or anywhere fsspec reaches.

Every write is atomic: a reader sees the old file or the new one. `create` is exclusive.
Paths are relative to the root. A missing file is FileNotFoundError, any other trouble StoreError.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from famulus.config.errors import StoreError
from famulus.store.layout import TEMPORARY

Names = list[str]  # a class with a method `list` can't say it
# a checkpoint may be larger than what is left of memory
CHUNK = 1 << 20  # bytes read at once from a file that is copied


class Files(Protocol):
    root: str

    def read(self, path: str) -> bytes: ...
    def write(self, path: str, data: bytes) -> None: ...
    def copy_in(self, source: Path, path: str) -> tuple[int, str]: ...
    def create(self, path: str, data: bytes) -> bool: ...
    def exists(self, path: str) -> bool: ...
    def list(self, path: str) -> Names: ...
    def folders(self, path: str) -> Names: ...
    def stamps(self, path: str) -> dict[str, int]: ...
    def move(self, old: str, new: str) -> None: ...
    def remove(self, path: str) -> None: ...
    def size(self, path: str) -> int: ...
    def sweep(self, path: str) -> None: ...
    def free_bytes(self) -> int | None: ...
    def exclusive(self) -> bool: ...


REMEDY = {
    errno.ENOSPC: "the disk is full: free some space and resume, what was saved is kept",
    errno.EDQUOT: "the disk quota is used up: free some space and resume, what was saved is kept",
    errno.EROFS: "the file system is read-only: choose another --store",
    errno.EACCES: "permission is missing: change it or choose another --store",
    errno.EPERM: "permission is missing: change it or choose another --store",
    errno.ENOTDIR: "a file stands where a folder is expected: choose another --store",
    errno.ENAMETOOLONG: "the path is too long: choose a shorter --store",
}


@contextlib.contextmanager
def told(verb: str, where: str) -> Iterator[None]:
    """Turns what the system says into one line with a remedy; FileNotFoundError passes."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        remedy = REMEDY.get(error.errno or 0, "see whether the store can be reached, then resume")
        reason = (
            error.strerror or str(error).splitlines()[0] if str(error) else type(error).__name__
        )
        raise StoreError(f"could not {verb} {where}: {reason}; {remedy}") from error


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` last through a power cut, where the system can."""
    with contextlib.suppress(OSError):  # some network file systems can't open a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def put(file: BinaryIO, data: bytes) -> None:
    """The last of a file: with it, all of it reaches the disk, before it gets its name."""
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Makes `folder` and what is missing above it; each new name lasts through a power cut."""
    missing = [folder, *folder.parents]
    missing = missing[: next(n for n, one in enumerate(missing) if one.is_dir())]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)


class LocalFiles:
    """A folder of this machine, or one that is mounted here."""

    def __init__(self, root: str | Path) -> None:
        self.folder = Path(root).expanduser().absolute()
        self.root = str(self.folder)

    def read(self, path: str) -> bytes:
        with told("read", self._name(path)):
            return (self.folder / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        with self._temporary(path) as (temporary, target):
            with open(temporary, "xb") as file:
                put(file, data)
            os.replace(temporary, target)

    def copy_in(self, source: Path, path: str) -> tuple[int, str]:
        """Copies a file of this machine: its size in bytes and SHA-256."""
        digest, size = hashlib.sha256(), 0
        with self._temporary(path) as (temporary, target):
            with open(source, "rb") as original, open(temporary, "xb") as file:
                while chunk := original.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
                put(file, b"")
            os.replace(temporary, target)
        return size, digest.hexdigest()

    def create(self, path: str, data: bytes) -> bool:
        """Whether the file is ours now: False if it was there. Never half-written."""
        with self._temporary(path) as (temporary, target):
            with open(temporary, "xb") as file:
                put(file, data)
            try:
                os.link(temporary, target)  # fails if it exists, and brings the whole content
            except FileExistsError:
                return False
            except OSError:  # no hard links here
                return self._create_open(target, data)
            finally:
                temporary.unlink(missing_ok=True)
        return True

    @staticmethod
    def _create_open(target: Path, data: bytes) -> bool:
        try:
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        try:
            with os.fdopen(handle, "wb") as file:
                put(file, data)
        # Ctrl-C too: a half-written file would keep everybody out for good.
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return True

    def exists(self, path: str) -> bool:
        return (self.folder / path).exists()

    def list(self, path: str) -> Names:
        """Names of files and folders in a folder, sorted; none if it is missing."""
        try:
            with told("list", self._name(path)):
                names = os.listdir(self.folder / path)
        except FileNotFoundError:
            return []
        # half-written files begin with a dot
        return sorted(n for n in names if not n.startswith("."))

    def folders(self, path: str) -> Names:
        """Names of the folders in a folder, sorted; none if it is missing."""
        try:
            with told("list", self._name(path)), os.scandir(self.folder / path) as entries:
                return sorted(e.name for e in entries if e.name[0] != "." and e.is_dir())
        except FileNotFoundError:
            return []

    def stamps(self, path: str) -> dict[str, int]:
        """Of each folder in a folder: a number that changes when its list of files does."""
        try:
            with told("list", self._name(path)), os.scandir(self.folder / path) as entries:
                shown = [e for e in entries if e.name[0] != "." and e.is_dir()]
                # of the folder, not of its files: what is created or moved in changes it
                return {e.name: e.stat().st_mtime_ns for e in shown}
        except FileNotFoundError:
            return {}

    def move(self, old: str, new: str) -> None:
        with told("move", self._name(old)):
            os.replace(self.folder / old, self.folder / new)
            # Both names must last: that the new one is there, and that the old one is not.
            for folder in dict.fromkeys(((self.folder / new).parent, (self.folder / old).parent)):
                sync_folder(folder)

    def remove(self, path: str) -> None:
        """A file, or a folder with all that it holds; nothing if it is missing."""
        target = self.folder / path
        with told("remove", self._name(path)), contextlib.suppress(FileNotFoundError):
            # A link is removed, never what it points to.
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink()

    def size(self, path: str) -> int:
        with told("read", self._name(path)):
            return (self.folder / path).stat().st_size

    def sweep(self, path: str) -> None:
        """Removes what a killed writer left half-written under a folder."""
        with told("clean", self._name(path)):
            for partial in (self.folder / path).rglob(TEMPORARY + "*"):
                partial.unlink(missing_ok=True)

    def free_bytes(self) -> int | None:
        with told("measure", self.root):
            return shutil.disk_usage(self.folder).free

    def exclusive(self) -> bool:
        return True

    def _name(self, path: str) -> str:
        return str(self.folder / path)

    @contextlib.contextmanager
    def _temporary(self, path: str) -> Iterator[tuple[Path, Path]]:
        """A fresh name beside the target; gone afterwards whatever happens."""
        target = self.folder / path
        # Beside it: a rename is atomic only within one file system.
        temporary = target.parent / f"{TEMPORARY}{os.getpid()}-{uuid.uuid4().hex}"
        try:
            with told("write", str(target)):
                make_folder(target.parent)
                yield temporary, target
                sync_folder(target.parent)
        except FileNotFoundError as error:  # the folder was removed meanwhile
            raise StoreError(f"could not write {target}: its folder is gone; resume") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

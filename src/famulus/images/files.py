"""Picture files in a folder or a zip, read one by one; nothing is ever extracted to disk."""

import hashlib
import os
import weakref
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.regular_file import open_regular, require_regular
from famulus.images import room
from famulus.images.decoding import Ground, Header, Page, Picture, read_header, read_picture
from famulus.images.listing import MAX_FILES, Listing, folder_files, hidden
from famulus.images.parts import Item

T = TypeVar("T")
EIGHT_BITS = (".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".webp", ".tga")
MAX_FILE_BYTES = 256 << 20
MAX_RATIO = 200  # unpacked over packed, for members of a zip over 1 MiB
THREADS = min(8, os.cpu_count() or 1)


class PictureFiles(Protocol):
    """`names`: relative POSIX paths of the pictures, sorted; `digest`: hash of all raw bytes;
    `listing`: what else lies there."""

    path: Path
    listing: Listing

    @property
    def names(self) -> list[str]: ...

    @property
    def digest(self) -> str: ...

    def open(self, name: str) -> BinaryIO: ...


class Folder:
    """Pictures below a folder; links are followed within limits (see `listing`)."""

    def __init__(self, path: Path, digest: Callable[[Path], str]) -> None:
        self.path, self.root, self._digest_of = path, path, digest
        self.listing = Listing()
        for name in folder_files(path, self.listing.leave):
            if os.access(path / name, os.R_OK):
                self.listing.add(name, self.open)
            else:
                self.listing.leave("permission denied", name)
        self.listing.sort()

    @property
    def names(self) -> list[str]:
        return self.listing.names

    @cached_property
    def digest(self) -> str:
        return self.digest_of(self.names)

    def digest_of(self, names: Iterable[str]) -> str:
        """Hash of the names and of the raw bytes of these files."""
        whole = hashlib.sha256()
        for name in names:
            line = f"{name}\0{self._digest_of(self.root / name)}\n"
            # file names need not be UTF-8
            whole.update(line.encode("utf-8", "surrogateescape"))
        return whole.hexdigest()

    def open(self, name: str) -> BinaryIO:
        file = open_regular(self.root / name)
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            file.close()
            raise DataError(f"{size} bytes, limit {MAX_FILE_BYTES}")
        return file


class Zip:
    """Pictures inside a zip; several threads may read at once."""

    def __init__(self, path: Path, digest: Callable[[Path], str]) -> None:
        self.path, self._digest_of = path, digest
        try:
            self._zip = zipfile.ZipFile(require_regular(path))
            infos = self._zip.infolist()
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as a zip ({error})") from error
        # The collector may end the open file of a circle before the archive that would close it.
        weakref.finalize(self, self._zip.close)
        if len(infos) > MAX_FILES:
            raise DataError(f"{path}: expected at most {MAX_FILES} files, received {len(infos)}")
        self.listing = Listing()
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            # some programs of Windows separate by its own sign
            name = info.filename.replace("\\", "/").removeprefix("./")
            if name.startswith("/") or ".." in name.split("/"):
                self.listing.leave("its name leads outside the zip", name)
            elif not name.endswith("/") and not hidden(name):
                self._infos[name] = info
        for name in self._infos:
            self.listing.add(name, self.open)
        self.listing.sort()

    @property
    def names(self) -> list[str]:
        return self.listing.names

    @cached_property
    def digest(self) -> str:
        return self._digest_of(self.path)

    def open(self, name: str) -> BinaryIO:
        info = self._infos[name]
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > MAX_FILE_BYTES:
            raise DataError(f"{info.file_size} bytes unpacked, limit {MAX_FILE_BYTES}")
        # A small file may well pack as far (a black picture); a large one is made to fill the
        # memory.
        if info.file_size > 1 << 20 and ratio > MAX_RATIO:
            raise DataError(f"unpacks to {ratio:.0f} times its size, limit {MAX_RATIO}")
        return self._zip.open(info)  # type: ignore[return-value]


def read(files: PictureFiles, name: str) -> bytes:
    """The bytes of one file. Raises DataError with the reason."""
    try:
        with files.open(name) as file:
            # One byte more than is allowed: the size that a header states may be wrong.
            raw = file.read(MAX_FILE_BYTES + 1)
    except DataError:
        raise
    except Exception as error:  # encrypted, bad checksum, unknown compression, gone
        raise DataError(str(error) or type(error).__name__) from error
    if len(raw) > MAX_FILE_BYTES:
        raise DataError(f"more than {MAX_FILE_BYTES} bytes")
    return raw


def in_order(work: Callable[[str], T], names: Iterable[str], ahead: int = 64) -> Iterator[T]:
    """`map` by threads, in order, at most `ahead` results waiting to be taken."""
    names = iter(names)
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="decode")
    try:
        pending = deque(pool.submit(work, name) for name in islice(names, ahead))
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(work, name) for name in islice(names, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class FilePart:
    """A split whose samples are files; less opaque ones than the share `min_alpha` are left out.

    `pages`: which of a file's pages are samples, first, middle or all (see `pages.with_pages`).
    `ground`: what transparency is laid on.
    `unclear`: why there are no classes, where one would expect some.
    """

    label: str
    files: PictureFiles
    names: list[str]
    labels: np.ndarray | None
    classes: tuple[str, ...] | None
    min_alpha: float = 0.0
    pages: str = "first"
    ground: Ground = "black"
    unclear: str = ""

    @cached_property
    def digest(self) -> str:
        text = [self.files.digest, str(self.min_alpha), *self.names]
        # Only these: what older versions read of 8 bits keeps its digest.
        text += ["deep"] * self.deep + [self.pages] * (self.pages != "first")
        text += [self.ground] * (self.ground != "black")
        # file names need not be UTF-8
        return hashlib.sha256("\0".join(text).encode("utf-8", "surrogateescape")).hexdigest()

    @cached_property
    def deep(self) -> bool:
        """Whether any picture has more than 8 bits a channel: by the headers alone."""
        return any(self._is_deep(name) for name in self.names)

    def _is_deep(self, name: str) -> bool:
        # most sets are of these: their headers need not be read
        if name.lower().endswith(EIGHT_BITS):
            return False
        try:
            with self.files.open(self._page(name)[0]) as file:
                head = file.read(25)
            if head.startswith(b"\x89PNG"):
                return head[24:] == b"\x10"
        except Exception:  # what can't be read is left out, and named, when it is decoded
            return False
        header = self.head(name)
        return not isinstance(header, str) and header.deep

    @cached_property
    def _whole(self) -> frozenset[str]:
        return frozenset(self.files.names)

    def _page(self, name: str) -> tuple[str, Page]:
        """The file of a sample and its page: `a.tif#3` is the third of `a.tif`."""
        if self.pages != "all":
            return name, self.pages  # type: ignore[return-value]
        file, _, number = name.rpartition("#")
        return (name, 0) if name in self._whole else (file, int(number) - 1)

    def picture(self, name: str, take: Callable[[int], None] = lambda size: None) -> Picture:
        """Raises DataError with the reason, without the name; `take` as in `read_picture`."""
        file, page = self._page(name)
        return read_picture(read(self.files, file), self.min_alpha, page, take, self.ground)

    def items(self) -> Iterator[Item]:
        return room.in_order(partial(_item, self), self.names, THREADS)

    def head(self, name: str) -> Header | str:
        """From the first bytes of a file, or the reason why there is none."""
        file, page = self._page(name)
        try:
            with self.files.open(file) as opened:
                return read_header(opened, page, self.ground)
        except Exception as error:
            return str(error) or type(error).__name__

    def header(self, name: str) -> tuple[int, int] | str:
        """(height, width), or the reason why there is none."""
        header = self.head(name)
        return header if isinstance(header, str) else (header.height, header.width)


def _item(part: FilePart, name: str, take: Callable[[int], None]) -> Item:
    try:
        return part.picture(name, take)
    except DataError as error:
        return str(error)

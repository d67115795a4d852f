"""Picture files in a folder or a zip, read one by one; nothing is ever extracted to disk."""

import hashlib
import os
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
from PIL import Image

from famulus.config.errors import DataError
from famulus.feed.regular_file import open_regular, require_regular
from famulus.images.listing import MAX_FILES, Listing, folder_files, hidden
from famulus.images.parts import Item
from famulus.images.picture import FORMATS, decode

T = TypeVar("T")
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

    `unclear`: why there are no classes, where one would expect some.
    """

    label: str
    files: PictureFiles
    names: list[str]
    labels: np.ndarray | None
    classes: tuple[str, ...] | None
    min_alpha: float = 0.0
    unclear: str = ""

    @cached_property
    def digest(self) -> str:
        text = "\0".join([self.files.digest, str(self.min_alpha), *self.names])
        # file names need not be UTF-8
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def pixels(self, name: str) -> np.ndarray:
        """uint8 HW or HWC. Raises DataError with the reason, without the name."""
        return decode(read(self.files, name), self.min_alpha)

    def items(self) -> Iterator[Item]:
        return in_order(partial(_item, self), self.names)

    def header(self, name: str) -> tuple[int, int] | str:
        """(height, width) from the first bytes of a file, or the reason why there is none."""
        try:
            with self.files.open(name) as file, Image.open(file, formats=FORMATS) as image:
                return image.height, image.width
        except Exception as error:  # as in `decode`
            # Pillow ends its message with the object's address, which is another one each time.
            return str(error).split("<")[0].strip() or type(error).__name__


def _item(part: FilePart, name: str) -> Item:
    try:
        return part.pixels(name)
    except DataError as error:
        return str(error)

"""The same operations on memory://, s3, gs and sftp, over fsspec.

An object appears at once and whole. Where files are really files (sftp), a temporary name is
written and moved. Exclusive creation is asked of the service and proved once by a probe: some
services that speak S3 ignore the condition.
"""

import hashlib
import uuid
from pathlib import Path
from typing import Any

from famulus.config.errors import StoreError
from famulus.store.files import CHUNK, Names, told
from famulus.store.layout import TEMPORARY
from famulus.store.secrets import without_credentials

Entries = list[tuple[str, Any]]  # names and kinds
EXTRAS = {
    "memory": "",
    "s3": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "sftp": "sftp",
    "ssh": "sftp",
}
MOVED = {"sftp", "ssh"}  # a file grows there while it is written


class FsspecFiles:
    """Any of the protocols above; `root` is the URL without credentials."""

    def __init__(self, url: str) -> None:
        protocol = url.partition("://")[0]
        if protocol not in EXTRAS or "::" in url:
            raise StoreError(
                f"expected a folder or a URL with {', '.join(sorted(EXTRAS))} or file,"
                f" received {without_credentials(url)!r}"
            )
        self.root = without_credentials(url).rstrip("/")
        self._moved = protocol in MOVED
        self._exclusive: bool | None = None
        import fsspec  # takes a while, and a local store doesn't need it

        try:
            with told("open", self.root):
                # Others write there too: a remembered listing would miss their files.
                self.fs, base = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            extra = EXTRAS[protocol]
            raise StoreError(
                f"could not open {self.root}: {error}; install famulus[{extra}]"
            ) from error
        self.base = base.rstrip("/")

    def read(self, path: str) -> bytes:
        with told("read", self._name(path)):
            return self.fs.cat_file(self._at(path))

    def write(self, path: str, data: bytes) -> None:
        with told("write", self._name(path)):
            self._parents(path)
            if not self._moved:
                self.fs.pipe_file(self._at(path), data)
                return
            temporary = self._temporary(path)
            try:
                self.fs.pipe_file(temporary, data)
                self.fs.mv(temporary, self._at(path))
            except BaseException:
                self._forget(temporary)
                raise

    def copy_in(self, source: Path, path: str) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        with told("read", str(source)), open(source, "rb") as original:
            # Read twice: putting a file tells no digest of what was put.
            while chunk := original.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
        with told("write", self._name(path)):
            self._parents(path)
            target = self._temporary(path) if self._moved else self._at(path)
            try:
                self.fs.put_file(str(source), target)
                if self._moved:
                    self.fs.mv(target, self._at(path))
            except BaseException:
                if self._moved:
                    self._forget(target)
                raise
        return size, digest.hexdigest()

    def create(self, path: str, data: bytes) -> bool:
        with told("write", self._name(path)):
            if not self.exclusive():  # single writer: good enough to see one's own file
                if self.exists(path):
                    return False
                self.write(path, data)
                return True
            return self._create(path, data)

    def exclusive(self) -> bool:
        """Whether the service keeps two writers apart; asks it once, with a file of its own."""
        if self._exclusive is None:
            probe = f".probe-{uuid.uuid4().hex}"
            try:
                with told("write", self.root):
                    first, second = self._create(probe, b"1"), self._create(probe, b"2")
                self._exclusive = self._one_request() and first and not second
            # A service that knows no exclusive creation says so in one of these ways; who starts a
            # run on it is told that only one may write.
            except (NotImplementedError, ValueError, TypeError):
                self._exclusive = False
            finally:
                self._forget(self._at(probe))
        return self._exclusive

    def _one_request(self) -> bool:
        """fsspec's default looks first and writes later, which two writers can both pass."""
        from fsspec import AbstractFileSystem

        return self._moved or type(self.fs).pipe_file is not AbstractFileSystem.pipe_file

    def _create(self, path: str, data: bytes) -> bool:
        self._parents(path)
        try:
            if self._moved:
                # fsspec has no exclusive mode for sftp; SFTP itself has.
                with self.fs.ftp.open(self._at(path), "wx") as file:
                    file.write(data)
            else:
                self.fs.pipe_file(self._at(path), data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            if _refused(error) or (self._moved and self.fs.exists(self._at(path))):
                return False  # sftp has no word of its own for "exists"
            raise
        return True

    def exists(self, path: str) -> bool:
        with told("read", self._name(path)):
            return self.fs.exists(self._at(path))

    def list(self, path: str) -> Names:
        return [name for name, _ in self._entries(path)]

    def folders(self, path: str) -> Names:
        return [name for name, kind in self._entries(path) if kind == "directory"]

    def stamps(self, path: str) -> dict[str, int]:
        """As of local files, but a service knows no time of a folder: always 0."""
        return dict.fromkeys(self.folders(path), 0)

    def move(self, old: str, new: str) -> None:
        with told("move", self._name(old)):
            self.fs.mv(self._at(old), self._at(new))

    def remove(self, path: str) -> None:
        with told("remove", self._name(path)):
            try:
                self.fs.rm(self._at(path), recursive=True)
            except FileNotFoundError:
                return

    def size(self, path: str) -> int:
        with told("read", self._name(path)):
            return int(self.fs.info(self._at(path))["size"])

    def sweep(self, path: str) -> None:
        if not self._moved:
            return
        with told("clean", self._name(path)):
            for partial in self.fs.find(self._at(path)):
                if partial.rpartition("/")[2].startswith(TEMPORARY):
                    self._forget(partial)

    def free_bytes(self) -> int | None:
        return None

    def _entries(self, path: str) -> Entries:
        try:
            with told("list", self._name(path)):
                entries = self.fs.ls(self._at(path), detail=True)
        except FileNotFoundError:
            return []
        named = [(e["name"].rstrip("/").rpartition("/")[2], e["type"]) for e in entries]
        return sorted((n, t) for n, t in named if n and not n.startswith("."))

    def _parents(self, path: str) -> None:
        parent = self._at(path).rpartition("/")[0]
        if self._moved:  # objects need no folders
            self.fs.makedirs(parent, exist_ok=True)

    def _temporary(self, path: str) -> str:
        return f"{self._at(path).rpartition('/')[0]}/{TEMPORARY}{uuid.uuid4().hex}"

    def _forget(self, absolute: str) -> None:
        try:
            self.fs.rm_file(absolute)
        except (OSError, NotImplementedError):
            return  # a leftover of a hidden name, which no listing shows

    def _at(self, path: str) -> str:
        return f"{self.base}/{path}" if path else self.base

    def _name(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root


def _refused(error: OSError) -> bool:
    """Whether a service said that its condition (no such object yet) did not hold."""
    text = f"{type(error).__name__} {error} {getattr(error, 'code', '')}".lower()
    return any(word in text for word in ("precondition", "412", "conditionalrequest", "exists"))

"""A complete checkpoint: files that are proved against the manifest before they are used."""

import hashlib
import json
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

from famulus.config.errors import StoreError
from famulus.store import layout
from famulus.store.files import Files

MODEL, AVERAGE = "model.safetensors", "average.safetensors"


def judged(names: Collection[str]) -> str:
    """Of a checkpoint's files the weights that were validated: the averaged ones, if there are."""
    return AVERAGE if AVERAGE in names else MODEL


class Checkpoint:
    """`read(name)` gives bytes whose size and SHA-256 are those of the manifest."""

    def __init__(self, files: Files, folder: str, manifest: Mapping[str, Any]) -> None:
        self._files = files
        self._folder = folder
        self.manifest = dict(manifest)
        self.step = int(manifest["step"])

    def __str__(self) -> str:
        return f"{self._files.root}/{self._folder}"

    def path(self, name: str) -> str:
        """Where the file called `name` lies, below the store's root: as the manifest says.

        After a takeover that is `model.2.safetensors` or the like: no fixed path is right. Raises
        StoreError for an unknown name.
        """
        entry = self.manifest["files"].get(name)
        if entry is None:
            raise StoreError(
                f"expected one of {', '.join(self.names)} in checkpoint {self.step},"
                f" received {name!r}"
            )
        # A manifest is a file like any other: its names must not lead out of the folder.
        return f"{self._folder}/{layout.part(entry['file'], 'a file of a manifest')}"

    @property
    def weights(self) -> str:
        """Name of the weights that were validated."""
        return judged(self.names)

    @property
    def names(self) -> list[str]:
        return sorted(self.manifest["files"])

    def read(self, name: str) -> bytes:
        """Raises StoreError if the file is unknown, missing, or not what was written."""
        path, entry = self.path(name), self.manifest["files"][name]
        try:
            # The size first: a file that can't be right is not loaded at all.
            size = self._files.size(path)
            if size != entry["size"]:
                raise self._damaged(path, f"{entry['size']} bytes", f"{size} bytes")
            data = self._files.read(path)
        except FileNotFoundError as error:
            raise self._damaged(path, f"{entry['size']} bytes", "no file") from error
        # of the bytes in memory: a second read could give others
        digest = hashlib.sha256(data).hexdigest()
        if digest != entry["sha256"]:
            raise self._damaged(path, f"sha256 {entry['sha256'][:16]}", f"{digest[:16]}")
        return data

    @cached_property
    def state(self) -> dict[str, Any]:
        return json.loads(self.read("state.json"))

    def _damaged(self, path: str, expected: str, received: str) -> StoreError:
        return StoreError(
            f"{self._files.root}/{path} is damaged: expected {expected}, received {received};"
            f" remove the folder {self._files.root}/{self._folder} to go on from the checkpoint"
            " before it"
        )

"""A trained model as a folder that anyone can use: weights, settings, a card, examples.

    model.safetensors    the weights
    model.json           task, settings, what the network is built from, scores, lineage, versions,
                         and the SHA-256 of every file but itself and the card
    README.md            the card; its licence is the person's to fill in, so it has no hash
    examples/            inputs of one call of the network, and the outputs that they must give
    parents/             weights of earlier runs without which it can't be applied

Nobody can tell who made such a folder. So nothing in it is executed or unpickled, no name leads out
of it, and sizes are compared with the files before anything is parsed or allocated.
"""

import hashlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from famulus.config import names
from famulus.config.errors import ConfigError, StoreError
from famulus.store import records
from famulus.store.files import Files, LocalFiles, make_folder, put, told
from famulus.store.layout import TEMPORARY

FORMAT = 1
ABOUT, CARD, WEIGHTS = "model.json", "README.md", "model.safetensors"
INPUTS, OUTPUTS = "examples/inputs.safetensors", "examples/outputs.safetensors"
FOLDERS = ("examples", "parents")
LARGEST_TEXT = 16 << 20  # bytes of model.json, or of the card
LARGEST_HEADER = 100_000_000  # bytes, as safetensors itself has it
MOST_FILES = 1000
DEEPEST = 64  # levels of lists and mappings in model.json
SECTIONS = {  # keys that model.json must have, and what they hold
    **{"task": str, "settings": dict, "built_from": dict, "scores": dict, "lineage": dict},
    **{"versions": dict, "files": dict},
}


def parent_file(key: str) -> str:
    """Where the weights of the run that the setting `key` names lie."""
    return f"parents/{key}.safetensors"


def names_a_folder(reference: str | Path) -> bool:
    """Whether `reference` means a model folder, not a run: it holds model.json, is written as a
    path, or is a URL."""
    text = str(reference)
    if text == "last" or text.startswith("last:"):  # of an experiment, whose name may hold slashes
        return False
    written = isinstance(reference, Path) or "/" in text or os.sep in text
    return written or (Path(text).expanduser() / ABOUT).is_file()


class ModelFolder:
    """`ModelFolder.open(place)`, with `about` (model.json); `read(name)` gives verified bytes."""

    weights = WEIGHTS  # as a Checkpoint has it

    def __init__(self, files: Files, about: Mapping[str, Any]) -> None:
        self._files = files
        self.place = files.root
        self.about = about

    def __str__(self) -> str:
        return self.place

    @classmethod
    def open(cls, place: str | Path) -> "ModelFolder":
        """A folder of this machine, or the URL of one. Raises StoreError."""
        text = str(place)
        if "://" in text and not text.startswith(("file://", "local://")):
            from famulus.store.remote import FsspecFiles  # here: a folder needs none of it

            files: Files = FsspecFiles(text)
        else:
            files = LocalFiles(text.partition("://")[2] or text)
        folder = cls(files, {})
        folder.about = _checked(_parsed(folder._bytes(ABOUT, LARGEST_TEXT), folder.place), files)
        return folder

    @property
    def names(self) -> list[str]:
        return sorted(self.about["files"])

    @property
    def digest(self) -> str:
        """SHA-256 of the weights, as they were written."""
        return str(self.about["files"][WEIGHTS])

    def read(self, name: str) -> bytes:
        """Raises StoreError if the file is missing, is not what was written, or is no safetensors
        though its name says so."""
        expected = self.about["files"].get(name)
        if expected is None:
            raise StoreError(f"{self.place}: {ABOUT} lists no {name}: it has {self.names}")
        data = self._bytes(name)
        digest = hashlib.sha256(data).hexdigest()
        if digest != expected:
            raise StoreError(
                f"{self.place}/{name} is damaged: expected sha256 {expected[:16]}, received"
                f" {digest[:16]}: copy or export it again"
            )
        if name.endswith(".safetensors"):
            _check_header(data, f"{self.place}/{name}")
        return data

    def card(self) -> str:
        """Markdown; empty where the card was removed."""
        if not self._files.exists(CARD):
            return ""
        return self._bytes(CARD, LARGEST_TEXT).decode(errors="replace")

    def _bytes(self, name: str, most: int | None = None) -> bytes:
        where = f"{self.place}/{name}"
        if isinstance(self._files, LocalFiles) and _leads_out(self._files.folder, name):
            raise StoreError(f"{where}: expected a file, received a link: a model folder has none")
        try:
            if most is not None and (size := self._files.size(name)) > most:
                raise StoreError(f"{where}: expected at most {most:,} bytes, received {size:,}")
            return self._files.read(name)
        except FileNotFoundError:
            hint = ": is it a model folder?" if name == ABOUT else ": copy or export it again"
            raise StoreError(f"{where}: expected a file, received none{hint}") from None


def write(out: Path, about: Mapping[str, Any], files: Mapping[str, bytes], card: str) -> None:
    """A model folder at `out`, whole or not at all.

    `about`: model.json without `format` and `files`. Raises ConfigError if something is at `out`
    already, StoreError if it can't be written.
    """
    out = out.expanduser().absolute()
    if out.is_symlink() or out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise ConfigError(f"{out}: expected no folder or an empty one: choose another -o")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    whole = _finite({"format": FORMAT, **about, "files": digests})
    texts = {ABOUT: records.encode(whole), CARD: records.text(card)}
    aside = out.parent / f"{TEMPORARY}{os.getpid()}-{uuid.uuid4().hex}"
    try:
        with told("write", str(out)):
            for name, data in {**files, **texts}.items():
                make_folder((aside / name).parent)
                with open(aside / name, "xb") as file:
                    put(file, data)
            if out.is_dir():
                out.rmdir()  # empty: some systems rename onto nothing else
            os.replace(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _parsed(data: bytes, place: str) -> dict[str, Any]:
    where = f"{place}/{ABOUT}"

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"{text[:20]} is no finite number")
        return value

    try:
        about = json.loads(data, parse_constant=number, parse_float=number)
        if _depth(about) > DEEPEST:
            raise ValueError(f"more than {DEEPEST} levels")
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is one
        reason = "too many levels" if isinstance(error, RecursionError) else error
        raise StoreError(f"{where}: expected JSON, received something else: {reason}") from None
    if not isinstance(about, dict):
        raise StoreError(f"{where}: expected a mapping, received a {type(about).__name__}")
    return about


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _checked(about: dict[str, Any], files: Files) -> dict[str, Any]:
    """`about`, if it is of a format that is known and says no name that leads out."""
    where, version = f"{files.root}/{ABOUT}", about.get("format")
    if type(version) is not int or version < 1:
        raise StoreError(f"{where}: expected format {FORMAT}, received {str(version)[:40]!r}")
    if version > FORMAT:
        raise StoreError(
            f"{where}: expected format {FORMAT} or older, received {version}: upgrade famulus"
        )
    for key, kind in SECTIONS.items():
        if not isinstance(about.get(key), kind):
            what = "a text" if kind is str else "a mapping"
            raise StoreError(f"{where}: {key}: expected {what}, received {about.get(key)!r:.80}")
    if len(about["files"]) > MOST_FILES:
        raise StoreError(f"{where}: expected at most {MOST_FILES} files")
    for name, digest in about["files"].items():
        if wrong := _name_problem(name):
            raise StoreError(f"{where}: files: {wrong}")
        if not isinstance(digest, str):
            raise StoreError(f"{where}: files: {name}: expected a sha256, received {digest!r:.80}")
    if WEIGHTS not in about["files"]:
        raise StoreError(f"{where}: files: expected {WEIGHTS}, received none")
    return about


def _name_problem(name: str) -> str | None:
    folder, slash, rest = name.rpartition("/")
    if slash and folder not in FOLDERS:
        return f"expected a name without folders but {' and '.join(FOLDERS)}, received {name!r:.80}"
    return names.part_problem(rest, "a file's name")


def _leads_out(folder: Path, name: str) -> bool:
    """Whether the file or the folder that holds it is a link; the model folder itself may be."""
    inside = [folder / part for part in (name, *map(str, PurePosixPath(name).parents)) if part]
    return any(one.is_symlink() for one in inside if one != folder)


def _check_header(data: bytes, where: str) -> None:
    """Its size, before it is parsed: a safetensors file begins with eight bytes that say it."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > LARGEST_HEADER or 8 + size > len(data):
        raise StoreError(
            f"{where}: expected safetensors, received a file of {len(data):,} bytes whose header"
            f" claims {size:,}"
        )


def _finite(value: Any) -> Any:
    """A copy in which numbers that JSON can't hold are texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value

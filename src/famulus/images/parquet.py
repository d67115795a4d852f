"""Tables with a column of picture files, as sets of Hugging Face are stored: local `.parquet`.

Names of files (`train-00000-of-00002.parquet`) or of their folders say the split; which columns
are read: see `parquet_schema`. Nothing but footers and labels is read before a picture is.
"""

import hashlib
import io
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.data_folder import file_digest
from famulus.images.cache import ByteCache
from famulus.images.files import FilePart
from famulus.images.listing import MAX_FILES, Listing
from famulus.images.parquet_labels import labels_of
from famulus.images.parquet_table import MAX_GROUP_BYTES, Table, read_group, table_of
from famulus.images.role_split import by_name, role_split
from famulus.images.splits import role_of

SUFFIX = ".parquet"
DEPTH = 2  # folders below the one that is named: data/, default/train/
SHARD = re.compile(r"-(\d{1,9})-of-(\d{1,9})\b")


def holds_parquet(path: Path) -> bool:
    """Whether a folder has parquet files, in itself or up to two folders deep."""
    return any(map(_is_table, _walk(path)))


def parquet_parts(
    path: Path, share: float | None, test: bool = False
) -> tuple[FilePart, FilePart, bool, list[str]]:
    """(train, validation, whether the split is the set's own, notes) of one file or a folder.

    `test`: the test files validate. Raises DataError with the file.
    """
    groups, notes = _by_role(path)
    tables = {role: [table_of(file) for file in files] for role, files in groups.items()}
    counts = {role: sum(table.count for table in group) for role, group in tables.items()}
    if sum(counts.values()) > MAX_FILES:
        raise DataError(f"{path}: expected at most {MAX_FILES:,} pictures, received more")
    split = role_split(path, counts, share, test)
    used = {role: tables[role] for role in dict.fromkeys(("train", split.validation))}
    first = used["train"][0].columns
    if first.unused:
        notes.append(f"{path.stem}: columns left out: {', '.join(first.unused)}")
    labels, classes, more = labels_of(path, used)
    files = ParquetFiles(path, used)
    parts = []
    for role, origin in (("train", "train"), ("validation", split.validation)):
        names = [name_of(origin, i) for i in range(counts[origin])]
        answers = labels.get(origin)
        if split.held_out is not None:
            rows = np.flatnonzero(split.held_out == (role == "validation"))
            names = [names[i] for i in rows]
            answers = None if answers is None else answers[rows]
        known = None if answers is None else classes
        parts.append(FilePart(f"{path.stem}/{role}", files, names, answers, known))
    return parts[0], parts[1], split.own, by_name(path, [*notes, *split.notes, *more])


def name_of(role: str, number: int) -> str:
    return f"{role}/{number:05d}"


class ParquetFiles:
    """Pictures in the rows of tables, as `files.PictureFiles`; several threads may read at once.

    A row group is read as a whole and kept while its neighbours are asked for.
    """

    def __init__(self, path: Path, tables: Mapping[str, list[Table]]) -> None:
        self.path, self._tables = path, tables
        self.listing = Listing()
        self._groups: dict[str, list[tuple[Table, int]]] = {}
        self._starts: dict[str, np.ndarray] = {}
        for role, group in tables.items():
            self._groups[role] = [(table, i) for table in group for i in range(len(table.rows))]
            rows = [table.rows[i] for table, i in self._groups[role]]
            self._starts[role] = np.cumsum([0, *rows])
        self.names = [name_of(role, i) for role in tables for i in range(self._starts[role][-1])]
        self._cache, self._lock = ByteCache(MAX_GROUP_BYTES), threading.Lock()

    @cached_property
    def digest(self) -> str:
        whole = hashlib.sha256()
        for role, group in self._tables.items():
            for table in group:
                whole.update(f"{role}\0{file_digest(table.path)}\n".encode())
        return whole.hexdigest()

    def open(self, name: str) -> BinaryIO:
        """Raises DataError with the reason, without the name."""
        role, _, number = name.partition("/")
        row = int(number)
        place = int(np.searchsorted(self._starts[role], row, side="right")) - 1
        raw = self._column(role, place)[row - int(self._starts[role][place])].as_py()
        raw = raw["bytes"] if isinstance(raw, dict) else raw
        if not raw:
            raise DataError("no bytes in its row")
        return io.BytesIO(raw)

    def _column(self, role: str, place: int) -> Any:
        # One at a time: a group that two threads ask for is read once.
        with self._lock:
            column = self._cache.get((role, place))
            if column is None:
                table, group = self._groups[role][place]
                column = read_group(table, group)
                self._cache.put((role, place), column, column.nbytes)
            return column


def _walk(path: Path) -> Iterator[Path]:
    """Files below `path`, sorted; no hidden ones."""
    for top, folders, names in os.walk(path):
        here = Path(top)
        deep = len(here.relative_to(path).parts) >= DEPTH
        folders[:] = [] if deep else sorted(name for name in folders if name[0] != ".")
        yield from (here / name for name in sorted(names) if name[0] != ".")


def _is_table(file: Path) -> bool:
    # No pipe and no device: opening one would wait for ever.
    return file.name.lower().endswith(SUFFIX) and file.is_file()


def _by_role(path: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Files of each split, and notes. Where no name says a split, all are train."""
    if path.is_file():
        # Named alone it is the set, whatever its name.
        return {"train": [path]}, _missing_shards(path, "train", [path])
    everything = list(_walk(path))
    files = [file for file in everything if _is_table(file)]
    if not files:
        raise DataError(f"{path}: expected {SUFFIX} files")
    notes = []
    others = Counter(file.suffix.lower() or file.name for file in everything)
    del others[SUFFIX]
    if others:
        counts = ", ".join(f"{n:,} {suffix}" for suffix, n in others.most_common(6))
        notes.append(f"{path.stem}: files left out, no tables: {counts}")
    roles = {file: _role(file.relative_to(path)) for file in files}
    groups: dict[str, list[Path]] = {}
    for file, role in roles.items():
        if role or not any(roles.values()):
            groups.setdefault(role or "train", []).append(file)
        else:
            notes.append(f"{path.stem}: {file.relative_to(path)} left out: its name says no split")
    for role, group in groups.items():
        folders = sorted({str(file.parent) for file in group})
        if len(folders) > 1:
            raise DataError(
                f"{path}: {role} in {' and in '.join(folders)}: more than one set: name the folder "
                "of one"
            )
        notes += _missing_shards(path, role, group)
    return groups, notes


def _role(file: Path) -> str | None:
    """By the words of the file's name, then of its folders', the nearest first."""
    for piece in (file.stem, *reversed(file.parts[:-1])):
        for word in re.split(r"[^A-Za-z0-9]+", piece):
            if role := role_of(word):
                return role
    return None


def _missing_shards(path: Path, role: str, files: list[Path]) -> list[str]:
    shards = [match.groups() for file in files if (match := SHARD.search(file.stem))]
    total = max((int(of) for _, of in shards), default=0)
    count = len({int(number) for number, _ in shards})
    return [f"{path.stem}: {role}: {count} of {total} files are there"] if count < total else []

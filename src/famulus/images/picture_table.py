"""A set given by a table: a path, a class and a split for each picture (`data.name: mine.csv`).

Paths are relative to the table's folder, or all of them to one folder in it (`images/`).
"""

import hashlib
import json
import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError
from famulus.images.file_parts import Side, split_sides
from famulus.images.files import FilePart, Folder
from famulus.images.folders import Layout, few, pictures
from famulus.images.listing import SUFFIXES, Listing, hidden, suffix
from famulus.images.splits import Role, Wish, role_of
from famulus.images.table_rows import Row, read_rows

SAMPLED = 100  # rows that tell which folder the paths start from


class TableFiles(Folder):
    """The pictures that a table names; `path` is the table's own, `root` where its paths start."""

    def __init__(
        self, path: Path, root: Path, rows: dict[str, Row], digest: Callable[[Path], str]
    ) -> None:
        self.path, self.root, self._rows, self._digest_of = path, root, rows, digest
        self.listing = Listing()
        self.listing.names.extend(sorted(rows))

    @cached_property
    def digest(self) -> str:
        """Of the pictures and of what the table says of them; its other columns do not count."""
        said = json.dumps([(n, self._rows[n].label, self._rows[n].split) for n in self.names])
        return hashlib.sha256((self.digest_of(self.names) + said).encode()).hexdigest()


class _Places:
    """Which files there are, folder by folder; each folder is listed once."""

    def __init__(self) -> None:
        self._files: dict[Path, dict[str, list[str]]] = {}

    def listed(self, folder: Path) -> dict[str, list[str]]:
        """Names of files by themselves, and by themselves without their suffix."""
        if folder not in self._files:
            names: dict[str, list[str]] = defaultdict(list)
            try:
                with os.scandir(folder) as entries:
                    for entry in sorted(entries, key=lambda entry: entry.name):
                        if hidden(entry.name) or not entry.is_file():
                            continue  # what is no regular file is missing, and so is named
                        if not os.access(entry.path, os.R_OK):
                            continue
                        names[entry.name].insert(0, entry.name)
                        if suffix(entry.name) in SUFFIXES:
                            names[entry.name.rpartition(".")[0]].append(entry.name)
            except OSError:
                pass  # a folder that is not there holds no file: its rows are named
            self._files[folder] = dict(names)
        return self._files[folder]

    def find(self, root: Path, relative: str) -> str | None:
        """The relative name of a file, its suffix added where the table has none."""
        folder, _, name = relative.rpartition("/")
        found = self.listed(root / folder).get(name, [])
        # of `1.png` and `1.jpg` nobody can tell which one is meant by `1`
        sure = len(found) == 1 or name in found
        return posixpath.join(folder, found[0]) if sure else None

    def unnamed(self, root: Path, names: Sequence[str]) -> int:
        """Pictures beside those of the table that it does not name."""
        folders = {root / posixpath.dirname(name) for name in names}
        there = sum(
            suffix(file) in SUFFIXES
            for folder in folders
            for file in {names[0] for names in self.listed(folder).values()}
        )
        return max(there - len(names), 0)


def table_parts(
    path: Path, wish: Wish, digest: Callable[[Path], str]
) -> tuple[FilePart, FilePart, bool, list[str]]:
    """(train, validation, whether the split is the table's own, notes).

    Raises DataError naming the table and the line: for a path that leads outside, for a picture
    with two classes or splits, for columns that are not clear, and where a side is empty.
    """
    columns, rows = read_rows(path)
    notes = [columns.sentence()]
    root, named = _pictures(path, rows, notes)
    if columns.label is not None:
        named = _with_labels(named, notes)
    sides = Layout({name: name for name in named})
    if columns.split is not None:
        sides = _by_split(path, named, columns.names[columns.split], notes)
    train, valid, own = split_sides(path, sides, wish, notes)
    labels = sorted({row.label for row in named.values()} - {""}, key=_by_number(named))
    files, parts = TableFiles(path, root, named, digest), []
    position = {label: i for i, label in enumerate(labels)}
    for role, side in (("train", train), ("validation", valid)):
        names = list(side)
        ids = np.array([position[named[n].label] for n in names], np.int64) if labels else None
        classes = tuple(labels) if labels else None
        parts.append(FilePart(f"{path.stem}/{role}", files, names, ids, classes))
    return parts[0], parts[1], own, [f"{path.stem}: {line}" for line in notes]


def _pictures(path: Path, rows: list[Row], notes: list[str]) -> tuple[Path, dict[str, Row]]:
    """(where the paths start, the rows by the name of a file that is there, in order of names)."""
    relative = [_inside(path, row) for row in rows]
    places = _Places()
    root = _root(path, relative, places)
    named: dict[str, Row] = {}
    empty: list[Row] = []
    missing: list[Row] = []
    twice: list[Row] = []
    for row, place in zip(rows, relative, strict=True):
        name = places.find(root, place) if place else None
        if name is None:
            (missing if place else empty).append(row)
        elif name not in named:
            named[name] = row
        elif (named[name].label, named[name].split) == (row.label, row.split):
            twice.append(row)
        else:
            first = named[name]
            raise DataError(
                f"{path}: lines {first.line} and {row.line} differ on {name}: expected one row a "
                f"picture, received {first.label, first.split} and {row.label, row.split}"
            )
    if not named:
        looked = f"looked in {path.parent} and the folders in it"
        raise DataError(
            f"{path}: expected the pictures of its {len(rows):,} rows, found none of them"
            + (f" (first: {missing[0].path!r}; {looked})" if missing else "")
        )
    notes += _left_out("without a path", empty) + _left_out("whose file is missing", missing)
    notes += _left_out("that repeat another", twice)
    if others := places.unnamed(root, list(named)):
        notes.append(f"left out {pictures(others)} that no row names")
    return root, dict(sorted(named.items()))


def _inside(path: Path, row: Row) -> str:
    """The path of a row, relative to the table's folder. Raises DataError where it leads out."""
    text = row.path.replace("\\", "/")
    # an absolute path may well lead to where the table lies
    place = posixpath.relpath(text, path.parent.resolve()) if text.startswith("/") else text
    place = posixpath.normpath(place) if place else ""
    if "\0" in place or place.startswith("../") or place == ".." or place[1:3] == ":/":
        raise DataError(
            f"{path}: line {row.line}: {row.path!r} leads outside the table's folder: expected "
            "paths relative to it"
        )
    return place


def _root(path: Path, relative: Sequence[str], places: _Places) -> Path:
    """The table's folder, or the one in it that holds most where the former holds none."""
    step = max(len(relative) // SAMPLED, 1)
    sample = [place for place in relative[::step] if place]
    folders = [path.parent]
    if not any(places.find(path.parent, place) for place in sample):
        folders += sorted(f for f in path.parent.iterdir() if f.is_dir() and not hidden(f.name))
    counts = {f: sum(places.find(f, place) is not None for place in sample) for f in folders}
    return max(folders, key=lambda folder: counts[folder])


def _with_labels(named: dict[str, Row], notes: list[str]) -> dict[str, Row]:
    """The rows with a label, unless none has one."""
    without = [row for row in named.values() if not row.label]
    if len(without) == len(named):
        notes.append("no row has a class: pictures without classes")
        return named
    notes += _left_out("without a class", without)
    return {name: row for name, row in named.items() if row.label}


def _left_out(why: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    shown = few([f"{row.path or 'no path'} (line {row.line})" for row in rows])
    return [f"left out {len(rows):,} row{'s' * (len(rows) > 1)} {why}: {shown}"]


def _by_split(path: Path, named: dict[str, Row], column: str, notes: list[str]) -> Layout:
    """The splits that the column's values name; rows of other values are in none."""
    roles = {row.split: role_of(row.split) for row in named.values()}
    if not any(roles.values()):
        values = few(sorted(roles))
        notes.append(f"column {column} names no split ({values}): unused, a hash of names splits")
        return Layout({name: name for name in named})
    sides: dict[Role, Side] = {"train": {}, "validation": {}, "test": {}}
    unused = Counter[str]()
    for name, row in named.items():
        if role := roles[row.split]:
            sides[role][name] = name
        else:
            unused[row.split or "no split"] += 1
    if not sides["train"]:
        raise DataError(
            f"{path}: column {column}: expected train among its values, received "
            f"{few(sorted(roles))}"
        )
    return Layout(sides["train"], sides["validation"], sides["test"], dict(unused))


def _by_number(named: dict[str, Row]) -> Callable[[str], tuple[int, str]]:
    """Labels that are all numbers are sorted as such: 2 before 10."""
    numbers = all(row.label.isdecimal() and len(row.label) < 10 for row in named.values())
    return lambda label: (int(label) if numbers else 0, label)

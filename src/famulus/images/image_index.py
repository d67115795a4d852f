"""An index of pictures: file, tags, width, height; and which of them a filter keeps.

CSV: a header line with `file` and any of `tags` (separated by ;), `width`, `height`.
JSON: a list of objects with the same keys; `tags` may be a list.
Without an index the tags of a picture are the folders and the words of its name.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from famulus.config.errors import ConfigError, DataError

ORIENTATIONS = ("any", "portrait", "landscape", "square")
# read whole: a wrong path may lead to anything
MAX_BYTES = 512 << 20


@dataclass(frozen=True)
class Entry:
    """One picture. Sizes in pixels, 0 where the index does not say."""

    file: str
    tags: frozenset[str]
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Filter:
    """Keeps a picture with any tag of `include` (all if empty), none of `exclude`, and the
    orientation. Raises ConfigError if a tag is in both lists or the orientation is unknown."""

    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    orientation: str = "any"

    def __post_init__(self) -> None:
        if both := sorted(self.include & self.exclude):
            raise ConfigError(f"data: tag {both[0]!r} is both in include and in exclude")
        if self.orientation not in ORIENTATIONS:
            raise ConfigError(
                f"data.orientation: expected one of {', '.join(ORIENTATIONS)}, "
                f"received {self.orientation!r}"
            )

    @property
    def keeps_all(self) -> bool:
        return not self.include and not self.exclude and self.orientation == "any"

    def keeps(self, entry: Entry) -> bool:
        wanted = not self.include or bool(self.include & entry.tags)
        return wanted and not self.exclude & entry.tags and self._lies_right(entry)

    def _lies_right(self, entry: Entry) -> bool:
        if self.orientation == "any":
            return True
        # of unknown size: no orientation can be vouched for
        if not entry.width or not entry.height:
            return False
        shape = (entry.height > entry.width) - (entry.height < entry.width)
        return {1: "portrait", -1: "landscape", 0: "square"}[shape] == self.orientation


def name_tags(name: str) -> frozenset[str]:
    """Folders of a name and the words of its last part, without its suffix and its numbers."""
    path = PurePosixPath(name)
    words = re.findall(r"[^\W\d_]+", path.name[: -len(path.suffix)] if path.suffix else path.name)
    return frozenset(
        part.lower() for part in (*path.parent.parts, *words) if part not in (".", "/")
    )


def read_index(path: Path) -> list[Entry]:
    """Raises DataError naming the file and the row that is wrong."""
    if not path.is_file():
        raise DataError(f"data.index: expected a .csv or .json, but {path} does not exist")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: expected at most {MAX_BYTES} bytes")
    try:
        text = path.read_text("utf-8-sig")  # spreadsheets put a mark first
        if path.suffix.lower() == ".json":
            rows = json.loads(text)
        elif path.suffix.lower() == ".csv":
            rows = list(csv.DictReader(text.splitlines()))
        else:
            raise DataError(f"{path}: expected a .csv or a .json")
    except DataError:
        raise
    # too many digits, or too deep, for the reader of JSON
    except (ValueError, RecursionError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not isinstance(rows, list):
        raise DataError(f"{path}: expected a list of pictures, received {type(rows).__name__}")
    return [_entry(path, number, row) for number, row in enumerate(rows, 1)]


def _entry(path: Path, number: int, row: Any) -> Entry:
    if not isinstance(row, dict) or not isinstance(row.get("file"), str) or not row["file"]:
        raise DataError(f"{path}: picture {number}: expected a `file`, received {row!r:.80}")
    tags = row.get("tags") or []
    if isinstance(tags, str):
        tags = tags.split(";")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise DataError(f"{path}: picture {number}: expected tags as text, received {tags!r:.80}")
    sides = []
    for key in ("width", "height"):
        value = row.get(key) or 0
        try:
            sides.append(int(value))
        except (TypeError, ValueError, OverflowError):
            raise DataError(
                f"{path}: picture {number}: expected {key} in pixels, received {value!r:.80}"
            ) from None
    # tags are typed by people
    cleaned = frozenset(tag.strip().lower() for tag in tags if tag.strip())
    return Entry(row["file"], cleaned, *sides)


def make_index(
    names: Iterable[str], size_of: Callable[[str], tuple[int, int] | str]
) -> tuple[list[Entry], list[str]]:
    """Entries with tags from the names and sizes from the files, and a note on what was skipped.

    `size_of` gives (height, width), or the reason why a file is no picture.
    """
    entries, notes = [], []
    for name in names:
        size = size_of(name)
        if isinstance(size, str):
            notes.append(f"{name}: left out: {size}")
        else:
            entries.append(Entry(name, name_tags(name), size[1], size[0]))
    return entries, notes


def write_index(path: Path, entries: Sequence[Entry]) -> None:
    """As CSV, or as JSON where the name says so. Raises DataError if the file exists."""
    if path.exists():
        raise DataError(f"{path}: expected the name of a new file: this one exists")
    rows = [
        {"file": e.file, "tags": ";".join(sorted(e.tags)), "width": e.width, "height": e.height}
        for e in entries
    ]
    with open(path, "w", encoding="utf-8", newline="") as file:  # csv ends lines itself
        if path.suffix.lower() == ".json":
            json.dump(rows, file, indent=1)
            return
        writer = csv.DictWriter(file, ["file", "tags", "width", "height"])
        writer.writeheader()
        writer.writerows(rows)


def kept_names(
    names: Sequence[str],
    entries: Sequence[Entry],
    how: Filter,
    size_of: Callable[[str], tuple[int, int]] = lambda name: (0, 0),
) -> list[int]:
    """Positions of the names that are in the index and pass the filter.

    A file is found by its whole relative name, else by its last part if that is unique. Where the
    orientation counts and the index says no size, `size_of` gives (height, width).
    """
    whole = {entry.file: entry for entry in entries}
    last: dict[str, Entry | None] = {}
    for entry in entries:
        key = PurePosixPath(entry.file).name
        # Two files of one name: which of them is meant, nobody can tell.
        last[key] = None if key in last else entry
    kept = []
    for i, name in enumerate(names):
        listed = whole.get(name) or last.get(PurePosixPath(name).name)
        if listed is None:
            continue
        if how.orientation != "any" and not (listed.width and listed.height):
            height, width = size_of(name)
            listed = replace(listed, width=width, height=height)
        if how.keeps(listed):
            kept.append(i)
    return kept

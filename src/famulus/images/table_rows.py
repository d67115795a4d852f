"""Rows of a text table of pictures: CSV with , ; or tab, or one JSON object a line (`.jsonl`).

Text is UTF-8, with or without the mark that spreadsheets put first. A row is kept as three texts:
nothing else of a wide table is held in memory.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from famulus.config.errors import DataError
from famulus.feed.regular_file import open_regular
from famulus.images.folders import few
from famulus.images.splits import plain

JSON_SUFFIXES = (".jsonl", ".ndjson")
SUFFIXES = (".csv", ".tsv", *JSON_SUFFIXES)
MAX_ROWS = 5_000_000
MAX_LINE = 1 << 20  # characters
# the first of each is what a column is renamed to where several might be meant
PATH = (
    *("path", "file", "filename", "image", "imagepath", "imagefile", "imagename", "img"),
    *("imgpath", "imgname", "filepath", "picture", "photo"),
)
IDENTITY = ("id", "imageid", "imgid")  # only where no column is a path
LABEL = ("label", "class", "classname", "category", "target", "y")
SPLIT = ("split", "set", "fold", "partition", "subset")


@dataclass(frozen=True)
class Row:
    """One picture of a table: `line` of the file (from 1), texts as they stand, "" where empty."""

    line: int
    path: str
    label: str
    split: str


@dataclass(frozen=True)
class Columns:
    """Positions of the columns that are used, and their names; `unused` are those of equal rank."""

    path: int
    label: int | None
    split: int | None
    names: tuple[str, ...]
    unused: tuple[str, ...]

    def sentence(self) -> str:
        """What was taken for what."""
        used = [f"paths from column {self.names[self.path]}"]
        for what, position in (("classes", self.label), ("splits", self.split)):
            used.append(
                f"{what} from {self.names[position]}" if position is not None else f"no {what}"
            )
        others = f"; unused: {', '.join(self.unused)}" if self.unused else ""
        return ", ".join(used) + others


def read_rows(path: Path) -> tuple[Columns, list[Row]]:
    """The columns in use, and all rows. Raises DataError naming the file and the line."""
    try:
        with io.TextIOWrapper(open_regular(path), "utf-8-sig", newline="") as file:
            return _rows(path, _lines(path, file))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected UTF-8 text, received {error.object[error.start : error.end]!r}: "
            "save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise DataError(f"{path}: can't be read as a table ({error})") from error


def _rows(path: Path, lines: Iterator[str]) -> tuple[Columns, list[Row]]:
    json_lines = path.suffix.lower() in JSON_SUFFIXES
    fields = _objects(path, lines) if json_lines else _fields(path, lines)
    _, header = next(fields, (1, []))
    columns = _columns(path, header)
    rows: list[Row] = []
    for line, values in fields:
        if len(rows) >= MAX_ROWS:
            raise DataError(f"{path}: expected at most {MAX_ROWS:,} rows, received more")
        texts = [
            values[at].strip() if at is not None and at < len(values) else ""
            for at in (columns.path, columns.label, columns.split)
        ]
        rows.append(Row(line, *texts))
    return columns, rows


def _lines(path: Path, file: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise DataError(f"{path}: line {number}: longer than {MAX_LINE:,} characters")
        yield line


def _fields(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of each row that is not empty, the header first."""
    first = next(lines, "")
    # a comma may stand inside a field: what separates is the most frequent in the header
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(_chain(first, lines), delimiter=delimiter)
    width = None
    for fields in reader:
        if not any(field.strip() for field in fields):
            continue
        width = width or len(fields)
        if any(field.strip() for field in fields[width:]):
            raise DataError(
                f"{path}: line {reader.line_num}: expected {width} fields, received "
                f'{len(fields)}: quote fields that hold {delimiter!r} as "..."'
            )
        yield reader.line_num, fields


def _chain(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _objects(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """As `_fields`, of JSON objects; the keys of the first are the header."""
    header: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: line {number}: can't be read as JSON ({error})") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number}: expected a JSON object, received {row!r:.80}")
        if not header:
            header = list(row)
            yield number, header
        yield number, [_text(path, number, row.get(key)) for key in header]


def _text(path: Path, number: int, value: object) -> str:
    # a box or a list of labels stands in a column that may well be unused
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _columns(path: Path, header: Sequence[str]) -> Columns:
    names = tuple(" ".join(name.split()) for name in header)
    found = [plain(name) for name in names]
    unused: list[str] = []

    def column(kind: Sequence[str], what: str) -> int | None:
        candidates = [i for i, name in enumerate(found) if name in kind]
        exact = [i for i in candidates if found[i] == kind[0]]
        best = exact if len(exact) == 1 else candidates
        if len(best) > 1:
            raise DataError(
                f"{path}: columns {few([names[i] for i in best])} might all hold {what}: rename "
                f"the one that does to {kind[0]}" + (", and the others" if exact else "")
            )
        unused.extend(names[i] for i in candidates if i not in best)
        return best[0] if best else None

    where = column(PATH, "the path of a picture")
    where = column(IDENTITY, "the name of a picture") if where is None else where
    if where is None:
        raise DataError(
            f"{path}: expected a header line with a column of paths ({', '.join(PATH[:4])}, ... or "
            f"id), received {few([name[:40] for name in names]) or 'an empty file'}"
        )
    return Columns(
        where, column(LABEL, "the class"), column(SPLIT, "the split"), names, tuple(unused)
    )

"""Axes into cells: the rules that people know from GitHub Actions' `matrix`.

Source: docs.github.com, "Running variations of jobs in a workflow". Cartesian, first key slowest;
`exclude` removes what it matches partially; `include` then extends the original cells that it
does not contradict, or becomes a cell of its own, which later includes leave alone.
"""

import hashlib
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from famulus.config.errors import SettingError
from famulus.config.nearest import suggestion
from famulus.config.yaml import inline

MAX_CELLS = 10_000
RESERVED = {"slug": "the cell's own name", "replicate": "the number of a replicate"}
AXIS = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
REFERENCE = re.compile(r"\$\{([^{}]*)\}")
# with an id and an ending behind it, well below the 255 bytes of a file's name
SLUG_LENGTH = 96
HASH_LENGTH = 6

Cell = dict[str, Any]


def expand(matrix: dict[str, Any] | None) -> list[Cell]:
    """The cells of a matrix, in order; one empty cell without a matrix.

    Raises SettingError for an axis that is no list, is empty or repeats a value, and for more than
    MAX_CELLS cells.
    """
    if matrix is None or matrix == {}:
        return [{}]
    if not isinstance(matrix, dict):
        raise SettingError(("matrix",), f"expected axes, received {inline(matrix)}")
    axes = {k: v for k, v in matrix.items() if k not in ("include", "exclude")}
    for name, values in axes.items():
        _check_axis(name, values)
    count = math.prod(len(values) for values in axes.values())
    # Before the product is made: a few long axes have billions of cells.
    if count > MAX_CELLS:
        raise SettingError(("matrix",), f"expected at most {MAX_CELLS:,} cells, received {count:,}")
    products = itertools.product(*axes.values()) if axes else ()
    originals = [dict(zip(axes, values, strict=True)) for values in products]
    for entry in _entries(matrix, "exclude", axes):
        originals = [cell for cell in originals if not _matches(entry, cell)]
    cells = _include(originals, axes, _entries(matrix, "include", None))
    if not cells:
        raise SettingError(("matrix",), "expected at least one cell, received none: all excluded")
    if len(cells) > MAX_CELLS:
        raise SettingError(
            ("matrix",), f"expected at most {MAX_CELLS:,} cells, received {len(cells):,}"
        )
    twice = [key for key, n in Counter(map(_frozen, cells)).items() if n > 1]
    if twice:
        raise SettingError(("matrix", "include"), f"the cell {twice[0]} stands there twice")
    return cells


def narrowed_to(matrix: Any, given: Collection[str]) -> Any:
    """The matrix without the included cells that have another value on one of the axes `given`:
    who asks for some values of an axis does not want the others back."""
    if not isinstance(matrix, dict) or not isinstance(matrix.get("include"), list):
        return matrix
    axes = {name: matrix[name] for name in given if isinstance(matrix.get(name), list)}

    def fits(entry: Any) -> bool:
        if not isinstance(entry, dict):
            return True  # `expand` will name the problem
        both = axes.keys() & entry.keys()
        return all(any(same(entry[name], value) for value in axes[name]) for name in both)

    return {**matrix, "include": [entry for entry in matrix["include"] if fits(entry)]}


def _include(originals: list[Cell], axes: dict[str, Any], entries: list[Cell]) -> list[Cell]:
    extended = [dict(cell) for cell in originals]
    own: list[Cell] = []
    for entry in entries:
        fixed = {k: v for k, v in entry.items() if k in axes}
        # against the originals: what one include added must not draw the next one in
        fits = [i for i, cell in enumerate(originals) if _matches(fixed, cell)]
        for i in fits:
            extended[i].update(entry)
        if not fits:
            own.append(dict(entry))
    return extended + own


def _matches(entry: Cell, cell: Cell) -> bool:
    return all(k in cell and same(v, cell[k]) for k, v in entry.items())


def same(a: Any, b: Any) -> bool:
    """Equal in value and type: 1, 1.0, true and "1" are four values."""
    if isinstance(a, list | dict) or isinstance(b, list | dict):
        return _frozen(a) == _frozen(b)
    return type(a) is type(b) and a == b


def _frozen(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _check_name(name: str, path: tuple[str | int, ...]) -> None:
    if name in RESERVED:
        raise SettingError(path, f"'{name}' is taken: it is {RESERVED[name]}")
    if not AXIS.fullmatch(name):
        raise SettingError(path, "expected a name of letters, digits, _ and -")


def _check_axis(name: str, values: Any) -> None:
    path = ("matrix", name)
    _check_name(name, path)
    if not isinstance(values, list):
        raise SettingError(path, f"expected a list of values, received {inline(values)}")
    if not values:
        raise SettingError(path, "expected at least one value, received an empty list")
    seen: set[str] = set()
    for i, value in enumerate(values):
        if (key := _frozen(value)) in seen:
            raise SettingError((*path, i), f"the value {inline(value)} stands there twice")
        seen.add(key)
        _check_plain(value, (*path, i))


def _check_plain(value: Any, path: tuple[str | int, ...]) -> None:
    if "${" in _frozen(value):
        raise SettingError(path, f"nothing is substituted inside a matrix: {inline(value)}")


def _entries(matrix: dict[str, Any], key: str, axes: dict[str, Any] | None) -> list[Cell]:
    entries = matrix.get(key)
    if entries is None:
        return []
    if not isinstance(entries, list) or len(entries) > MAX_CELLS:
        raise SettingError(("matrix", key), f"expected a list of at most {MAX_CELLS:,} entries")
    for i, entry in enumerate(entries):
        path = ("matrix", key, i)
        if not isinstance(entry, dict) or not entry:
            raise SettingError(path, f"expected keys and values, received {inline(entry)}")
        for name in entry:
            _check_name(name, (*path, name))
            _check_plain(entry[name], (*path, name))
            if axes is not None and name not in axes:
                raise SettingError((*path, name), f"no such axis, {suggestion(name, axes)}")
    return entries


def text(value: Any) -> str:
    """A matrix value inside a longer text, in a slug or in `says`: true, null, 0.001, bilinear."""
    return value if isinstance(value, str) else inline(value)


def substitute(value: Any, cell: Cell, slug: str | None = None) -> Any:
    """`value` with every `${matrix.x}` replaced; alone in its text it keeps its type.

    Nothing is evaluated. Raises SettingError for an unknown name, with the nearest.
    """
    return _substitute(value, cell, slug, ())


def _substitute(value: Any, cell: Cell, own: str | None, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, dict):
        return {k: _substitute(v, cell, own, (*path, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_substitute(v, cell, own, (*path, i)) for i, v in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def named(reference: str) -> Any:
        space, _, name = reference.strip().partition(".")
        if space != "matrix" or not name:
            raise SettingError(path, f"expected ${{matrix.NAME}}, received ${{{reference}}}")
        if name == "slug":
            return own if own is not None else slug(cell)
        if name not in cell:
            raise SettingError(
                path, f"unknown name ${{matrix.{name}}}, {suggestion(name, [*cell, 'slug'])}"
            )
        return cell[name]

    # alone it stays a number or a list
    if whole := REFERENCE.fullmatch(value):
        return named(whole[1])
    made = REFERENCE.sub(lambda match: text(named(match[1])), value)
    if "${" in REFERENCE.sub("", value):
        raise SettingError(path, f"expected ${{matrix.NAME}}, received {inline(value)}")
    return made


def slug(cell: Cell) -> str:
    """A file name for the cell, as `set=mnist_size=28`, of at most 96 characters; `run` if empty.

    Where a character must go or the name is cut, a short hash of the values follows.
    """
    exact = "_".join(f"{name}={text(value)}" for name, value in cell.items()) or "run"
    safe = re.sub(r"[^A-Za-z0-9._=-]+", "-", exact)
    if safe == exact and len(safe) <= SLUG_LENGTH:
        return safe
    return _hashed(safe, cell)


def _hashed(name: str, cell: Cell) -> str:
    digest = hashlib.sha256(_frozen(cell).encode()).hexdigest()[:HASH_LENGTH]
    return f"{name[: SLUG_LENGTH - HASH_LENGTH - 1].rstrip('-._=')}-{digest}"


def slugs(cells: Sequence[Cell]) -> list[str]:
    """A slug for each cell, different from all others also where case does not count."""
    plain = [slug(cell) for cell in cells]
    # Some file systems don't tell case apart: two cells would share a folder.
    count = Counter(name.casefold() for name in plain)
    names = [
        name if count[name.casefold()] == 1 else _hashed(name, cell)
        for name, cell in zip(plain, cells, strict=True)
    ]
    if len({name.casefold() for name in names}) < len(names):  # two hashes agree: one in 16 million
        names = [f"{name[: SLUG_LENGTH - 6]}-{i}" for i, name in enumerate(names, start=1)]
    return names

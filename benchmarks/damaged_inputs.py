"""What readers make of damaged input: small good inputs of every format, each damaged at random.

Input `index` is of kind `index` modulo their number; its damage follows from (SEED, index). Each
is opened as a user does, in a process of its own. `opened` and `refused` (DataError or ConfigError
of one line that names the input) are right; an internal error is all else: another exception,
several lines, no name, something printed, files that a failed conversion leaves, over `MOST_MB`
above the start, over `LONGEST_S`. `largest_mb` and `longest_s` are over all inputs.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.damage import good_arrays, good_pictures, good_tables, good_volumes
from benchmarks.damage.files_damaged import damaged

SEED = 18
INPUTS, QUICK = 3000, 300
MOST_MB, LONGEST_S = 1000, 10.0
KINDS = {
    **{
        name: ("pictures", make)
        for made_of in (good_pictures, good_tables, good_arrays)
        for name, make in made_of.MAKERS.items()
    },
    **{name: ("index", make) for name, make in good_tables.INDEXES.items()},
    **{name: ("settings", make) for name, make in good_tables.SETTINGS.items()},
    **{
        name: ("channel" if "channels" in name else "volume", make)
        for name, make in good_volumes.MAKERS.items()
    },
    **{name: ("map", make) for name, make in good_volumes.MAPS.items()},
}


class Opener:
    """A process that opens inputs, one by one."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.damage.opening"]
        root = Path(__file__).parents[1]
        self._process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, opener: str, path: Path) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([opener, str(path)]), file=self._process.stdin, flush=True)
        row: dict[str, Any] = json.loads(self._process.stdout.readline())
        if row["outcome"] != "internal" and row["mb"] > MOST_MB:
            row |= {"outcome": "internal", "text": f"took {row['mb']:.0f} MB ({row['text']})"}
        if row["outcome"] != "internal" and row["seconds"] > LONGEST_S:
            row |= {"outcome": "internal", "text": f"took {row['seconds']:.1f} s ({row['text']})"}
        return row

    def close(self) -> None:
        self._process.communicate()


def good(top: Path) -> dict[str, Path]:
    """Every good input in a folder of its own below `top`."""
    paths = {}
    for number, (name, (_, make)) in enumerate(KINDS.items()):
        folder = top / f"good{number}"
        folder.mkdir()
        paths[name] = make(folder)
    return paths


def made(index: int, paths: dict[str, Path], top: Path) -> tuple[str, Path, str]:
    """The kind of input `index`, its damaged copy below `top`, and what was done to it."""
    kind = list(paths)[index % len(paths)]
    folder = top / f"input{index}"
    shutil.copytree(paths[kind].parent, folder, symlinks=True)
    path = folder / paths[kind].relative_to(paths[kind].parent)
    return kind, path, damaged(path, Random(f"{SEED}/{index}"))


def rows(indices: range, top: Path) -> Iterator[dict[str, Any]]:
    """One row an input: index, kind, damage, outcome, text, mb, seconds."""
    paths, opener = good(top), Opener()
    try:
        for index in indices:
            kind, path, damage = made(index, paths, top)
            row = opener(KINDS[kind][0], path)
            yield {"index": index, "kind": kind, "damage": damage, **row}
            shutil.rmtree(top / f"input{index}")
    finally:
        opener.close()


def measure(quick: bool) -> dict[str, Any]:
    outcomes, wrong, largest, longest = Counter[str](), [], 0.0, 0.0
    count = QUICK if quick else INPUTS
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(range(count), Path(folder)):
            outcomes[row["outcome"]] += 1
            largest, longest = max(largest, row["mb"]), max(longest, row["seconds"])
            if row["outcome"] == "internal":
                wrong.append(row)
    return {
        "inputs": count,
        "opened": outcomes["opened"],
        "refused": outcomes["refused"],
        "internal_errors": outcomes["internal"],
        "largest_mb": largest,
        "longest_s": longest,
        "internal": [{k: r[k] for k in ("index", "kind", "damage", "text")} for r in wrong],
    }


def told(figures: dict[str, Any]) -> str:
    """The figures, and each internal error with what makes it again."""
    lines = [f"{key:<16} {value:.4g}" for key, value in figures.items() if key != "internal"]
    for row in figures["internal"]:
        lines.append(f"{row['index']:>5} {row['kind']}: {row['damage']}: {row['text']}")
    return "\n".join(lines)

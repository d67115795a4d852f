"""`python -m benchmarks damaged_inputs`, small: good inputs open, damaged ones end in one line."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from benchmarks.damage import bytes_damaged, opening
from benchmarks.damaged_inputs import KINDS, Opener, good, made, rows

from famulus.config.errors import DataError

for extra in ("zarr", "pydicom", "nrrd", "pyarrow", "imagecodecs"):
    pytest.importorskip(extra, reason="needs every extra for formats")
COUNT = 100
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return good(tmp_path_factory.mktemp("good"))


def test_every_good_input_opens(paths):
    opener = Opener()
    ends = {kind: opener(KINDS[kind][0], path) for kind, path in paths.items()}
    opener.close()
    assert {kind: row["text"] for kind, row in ends.items() if row["outcome"] != "opened"} == {}


def test_damaged_input_is_opened_or_refused_in_one_line(tmp_path):
    ends = list(rows(range(COUNT), tmp_path))
    assert [row for row in ends if row["outcome"] == "internal"] == []
    outcomes = Counter(row["outcome"] for row in ends)
    assert min(outcomes["opened"], outcomes["refused"]) > COUNT / 10  # damage does damage
    assert {row["kind"] for row in ends} == KINDS.keys()
    assert not list(tmp_path.glob("input*"))


def test_damage_follows_from_its_number(paths, tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    first, second = (made(47, paths, tmp_path / name) for name in "ab")
    assert first[::2] == second[::2]
    assert contents(first[1]) == contents(second[1])
    assert contents(first[1]) != contents(paths[first[0]])


def contents(path):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def test_headers_keep_their_magic():
    """Values at known offsets are changed, and not the first bytes that say what a file is."""
    for head in (b"GIF89a", b"BM"):
        raw = head + bytes(80)
        changed = [bytes_damaged.header(raw, Random(i)) for i in range(50)]
        assert all(other[:2] == head[:2] and len(other) == len(raw) for other in changed)
        assert sum(other != raw for other in changed) > 25


@pytest.mark.parametrize(
    ("behaviour", "kind", "text"),
    [
        (lambda path: "12 pictures", "opened", "12"),
        (lambda path: fail(DataError(f"{path}: damaged")), "refused", "damaged"),
        (lambda path: fail(DataError("damaged")), "internal", "names no file"),
        (lambda path: fail(DataError(f"{path}:\ndamaged")), "internal", "several lines"),
        (lambda path: fail(ValueError("shapes")), "internal", "ValueError: shapes"),
        (lambda path: fail(SystemExit(1)), "internal", "SystemExit"),
    ],
)
def test_what_counts_as_an_internal_error(monkeypatch, tmp_path, behaviour, kind, text):
    monkeypatch.setitem(opening.OPENERS, "pictures", behaviour)
    end, said = opening.outcome("pictures", tmp_path / "set")
    assert end == kind
    assert text in said


def fail(error):
    raise error


PROCESS = """
import json, os, sys
from pathlib import Path
from benchmarks.damage import opening
opening.OPENERS["pictures"] = lambda path: {behaviour}
print(json.dumps(opening.opened("pictures", Path("set"))))
"""


@pytest.mark.parametrize(
    ("behaviour", "kind", "text", "least_mb"),
    [
        ("''", "opened", "", 0),
        ("os.write(2, b'a library speaks') and ''", "internal", "printed: a library speaks", 0),
        ("os._exit(3)", "internal", "the process ended with", 0),
        ("bytearray(200 << 20) and ''", "opened", "", 200),
    ],
)
def test_what_a_process_of_its_own_shows(behaviour, kind, text, least_mb):
    program = PROCESS.format(behaviour=behaviour)
    row = json.loads(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT))
    assert row["outcome"] == kind
    assert text in row["text"]
    assert least_mb <= row["mb"] < least_mb + 60

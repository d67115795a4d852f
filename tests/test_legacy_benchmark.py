"""`python -m benchmarks legacy`: runs beside the journal's rows, and the page's table."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.legacy import Key, figures, journal_rows, our_rows, told

from tests.journal.runs import record

ROOT = Path(__file__).parents[1]
ROW = re.compile(
    r"^\| (mnist|tiles) \| (\w*) ?\| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.M
)
RHO = re.compile(r"Rank correlation with the journal's rows (-?[\d.]*\d)")


def run(key, loss, inputs=100_032, seed=0, **more):
    done = {"scores": {"val/loss": loss}, "inputs": inputs}
    axes = key._asdict() | {"filter": key.filter or None}  # as a record has it
    return record(axes, done=done, replicate=seed, **more)


def spearman(a, b):
    """1 - 6 sum d^2 / (n^3 - n), without ties."""
    ranks = [[sorted(of).index(v) for v in of] for of in (a, b)]
    n = len(a)
    return 1 - 6 * sum((x - y) ** 2 for x, y in zip(*ranks, strict=True)) / (n**3 - n)


def test_the_journal_has_twenty_of_these_rows():
    rows = journal_rows()
    assert len(rows) == 20
    assert rows[Key("mnist", "", 28, 0.001)] == pytest.approx((0.0326754 + 0.0321101) / 2)
    assert rows[Key("crawl-tiles", "bilinear", 28, 0.0003)] == 0.0369611


def test_runs_are_joined_by_what_they_are_and_ranked():
    journal = journal_rows()
    ours, budget, shorter = our_rows(
        [
            *(run(key, 2 * loss) for key, loss in journal.items()),
            *(run(key, 2 * loss, seed=1) for key, loss in journal.items()),
            run(Key("mnist", "nearest", 20, 0.001), 9.0, inputs=6_400),  # tried before, shortened
            run(Key("mnist", "nearest", 20, 0.001), 9.0, inputs=200_000, status="running"),
        ]
    )
    assert (budget, shorter) == (100_032, 1)
    assert ours == pytest.approx({key: 2 * loss for key, loss in journal.items()})
    found = figures(journal, ours)
    assert (found["rows"], found["missing"]) == (20, [])
    assert found["rank_correlation"] == pytest.approx(1)
    assert (found["bilinear_below_nearest"], found["pairs"]) == (8, 8)


def test_another_order_is_seen():
    journal = journal_rows()
    turned = {key: 1 / loss for key, loss in journal.items()}
    found = figures(journal, turned)
    assert found["rank_correlation"] == pytest.approx(-1)
    assert found["bilinear_below_nearest"] == 0


def test_what_is_missing_is_named():
    first, *rest = journal_rows().items()
    found = figures(journal_rows(), dict(rest))
    assert [Key(**row) for row in found["missing"]] == [first[0]]
    assert f"not there: | {first[0].set} | {first[0].filter}" in told(found)
    few = figures(journal_rows(), {first[0]: 1.0})
    assert few["rank_correlation"] is None
    assert "fewer than 3" in few["why"]


def test_the_table_of_the_page_says_what_the_page_says_of_it():
    text = (ROOT / "docs/tiles.md").read_text(encoding="utf-8")
    rows = [
        (Key("crawl-tiles" if name == "tiles" else name, filter, int(size), float(lr)), *losses)
        for name, filter, size, lr, *losses in ROW.findall(text)
    ]
    journal = journal_rows()
    assert len(rows) == len({row[0] for row in rows}) == 20
    for key, theirs, _ in rows:
        assert float(theirs) == pytest.approx(journal[key], abs=6e-5)
    rho = spearman([journal[key] for key, *_ in rows], [float(ours) for *_, ours in rows])
    assert float(RHO.search(text)[1]) == pytest.approx(rho, abs=0.006)


def test_only_what_reads_a_store_takes_one():
    command = [sys.executable, "-m", "benchmarks", "startup", "--store", "x"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "expected with forecast or legacy" in found.stderr

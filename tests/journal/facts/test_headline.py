"""Sentences about the made-up laboratory against a computation of their own."""

import re
import statistics

import numpy as np
import pytest

from famulus.journal.facts.entry import collect
from famulus.journal.facts.headline import sentences
from famulus.store.claims import claim
from tests.journal import conftest as lab

NAME = "tiles/compare-datasets"


@pytest.fixture(scope="module")
def entry(laboratory):
    return collect(laboratory, NAME)


def said(entry) -> str:
    return "\n".join("".join(s) for s in sentences(entry))


def test_the_best_cell_is_named_first(entry):
    means = {
        str(a): statistics.mean(lab.truth(a, s) for s in (0, 1)) for a in lab.cells()[:-1]
    }  # fmt: skip
    best = min(means, key=means.get)
    axes = next(a for a in lab.cells() if str(a) == best)
    assert (
        f"Best of the plan's cells is {axes['set']}, {axes['filter']}, size {axes['size']}"
        in said(entry)
    )
    assert "17 of 17 pairs" in said(entry)


def test_shares_of_variance_are_those_of_the_analysis(entry):
    keys = ("set", "filter", "size", "lr")
    runs = [(a, s) for a in lab.cells()[:-1] for s in (0, 1)]
    y = np.log([lab.truth(a, s) for a, s in runs])

    def unexplained(axes):
        columns = [np.ones(len(y))]
        for axis in axes:
            values = sorted({str(a[axis]) for a, _ in runs})[1:]
            columns += [np.array([str(a[axis]) == v for a, _ in runs], float) for v in values]
        design = np.stack(columns, 1)
        return ((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2).sum()

    total = ((y - y.mean()) ** 2).sum()
    for axis in ("set", "filter"):
        share = (unexplained([k for k in keys if k != axis]) - unexplained(keys)) / total
        assert re.search(rf"{axis} (explains )?{100 * share:.0f} %", said(entry))


def test_a_failure_is_told_with_its_reason(entry):
    assert (
        "1 run failed: crawl-tiles, nearest, size 32, lr 0.001 (NaN in recon at step 812)"
        in said(entry)
    )


def test_a_running_cell_shows_what_is_known_so_far(empty):
    axes = lab.cells()[0]
    empty.plan("e", "", {"a": {"id": lab.run_id(1)}, "b": {"id": lab.run_id(2)}})
    attempt = claim(empty.create_run("e", "a", lab.run_id(1), lab.config(axes)))
    lab.train(attempt, axes, 0, 0, 5000, 3, points=20)
    attempt.flush()
    entry = collect(empty, "e")
    attempt.close()
    assert entry.runs.states == {"running": 1, "planned": 1}
    assert re.search(r"So far a leads .* at 320 k samples; no cell has finished", said(entry))

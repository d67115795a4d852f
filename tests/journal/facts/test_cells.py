"""Cells in a sentence: forks are none of the plan's."""

import pytest

from famulus.journal.facts.cells import Cells
from famulus.journal.facts.group import Group
from tests.journal.runs import record


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ([0], "lr 1"),
        ([0, 1], "both cells"),
        ([0, 2], "lr 1 and 1 fork"),
        ([0, 1, 2], "both cells and 1 fork"),
        ([2, 3], "lr 3 and 1 fork"),
        ([0, 2, 3], "lr 1 and 2 forks"),
    ],
)
def test_a_fork_is_no_cell(keys, words):
    runs = [record({"lr": n}, 0.5) for n in (1, 2, 3, 4)]
    parents = ["", "", runs[0].id, runs[0].id]
    groups = [Group(n, r.axes, (r,), p) for n, (r, p) in enumerate(zip(runs, parents, strict=True))]
    cells = Cells(tuple(groups), ("lr",), ("lr",))
    assert cells.some([groups[n] for n in keys]) == words


def test_of_three_cells_two():
    groups = tuple(Group(n, {"lr": n}, (record({"lr": n}, 0.5),)) for n in (1, 2, 3))
    cells = Cells(groups, ("lr",), ("lr",))
    assert cells.some(groups[:2]) == "lr 1 and 1 other cell"
    assert cells.some(groups) == "all 3 cells"

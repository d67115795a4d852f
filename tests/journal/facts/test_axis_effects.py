"""What is said of axes: both ways of a pair, the means of several values, no news of nothing."""

from famulus.journal.facts.axis_effects import axis_effects
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.ranking import Ranking
from tests.journal.runs import group

DEFAULT = Ranking()


def said(cells, ranking=DEFAULT):
    return ["".join(s) for s in axis_effects(cells, ranking)]


def grid(values, axes=("lr", "size")):
    groups = [group(dict(zip(axes, key, strict=True)), v, key=n)
              for n, (key, v) in enumerate(values.items())]  # fmt: skip
    return Cells(tuple(groups), axes, axes)


def test_a_pair_that_went_the_other_way_is_told():
    cells = grid({(1, 8): 0.9, (2, 8): 1.0, (1, 16): 1.25, (2, 16): 1.0})
    lines = [line for line in said(cells) if line.startswith("lr")]
    assert lines == [
        "lr: validation loss is lower with 1 than with 2 in 1 of 2 pairs (by 10 %),"
        " and higher in the other (by 25 %)."
    ]


def test_the_better_value_comes_first_whichever_way_is_better():
    cells = grid({(1, 8): 0.5, (2, 8): 0.75, (1, 16): 0.5, (2, 16): 0.75})
    for one in cells.groups:
        for run in one.records:
            run.done["scores"] = {"val/acc": run.scores["val/loss"]}
    lines = said(cells, Ranking("val/acc", "higher"))
    assert "lr: validation acc is higher with 2 than with 1 in 2 of 2 pairs (by 50 %)." in lines


def test_of_several_values_the_means_are_told_the_best_first():
    values = {(s, n): v + n / 100 for s, v in (("a", 0.3), ("b", 0.1), ("c", 0.2)) for n in (1, 3)}
    line = next(x for x in said(grid(values, ("set", "size"))) if x.startswith("set"))
    assert line == (
        "set: validation loss in the mean of 2 cells each is 0.120 with b, 0.220 with c,"
        " 0.320 with a."
    )


def test_shares_of_nothing_are_no_news():
    values = {(a, b, c): 1.0 if a == 1 else 2.0
              for a in (1, 2) for b in (1, 2) for c in (1, 2)}  # fmt: skip
    line = said(grid(values, ("lr", "size", "code")))[0]
    assert line == (
        "Of the variance of log validation loss, lr explains 100 %; size and code hardly any."
    )


def test_equal_scores_win_no_pair():
    cells = grid({(1, 8): 0.5, (2, 8): 0.5, (1, 16): 0.4, (2, 16): 0.5})
    assert any("lower with 1 than with 2 in 1 of 2 pairs (by 20 %)." in x for x in said(cells))

"""What is scored without a trained net, and which cells are said to do no better."""

from famulus.config.scores import Score, as_json
from famulus.journal.facts.baselines import baselines_of, nothing_learned, shortfalls, side_scores
from famulus.journal.facts.cells import Cells, cells_of
from famulus.journal.facts.group import Group
from famulus.journal.facts.ranking import Ranking
from tests.journal.runs import record

SCORES = {"scores": as_json({"auc": Score(better="higher"), "l1": Score(better="lower")})}


def floor(value, means="best constant", score="loss"):
    return {"score": score, "value": value, "means": means}


def cells(*runs):
    groups = tuple(Group(n, r.axes, (r,)) for n, r in enumerate(runs))
    return Cells(groups, ("lr",), ("lr",))


def said(sentences):
    return ["".join(s) for s in sentences]


def test_a_baseline_has_one_value_or_the_cells_that_have_each():
    same = cells(*(record({"lr": n}, floors=(floor(0.161),)) for n in (1, 2)))
    assert baselines_of(same) == (("best constant predictor (loss)", "0.161"),)
    own = [record({"lr": n}, floors=(floor(v),)) for n, v in ((1, 0.2), (2, 0.125), (3, 0.2))]
    assert baselines_of(cells(*own)) == (
        ("best constant predictor (loss)", "0.200 (lr 1 and 1 other cell); 0.125 (lr 2)"),
    )
    assert baselines_of(cells_of([record()])) == ()


def test_a_bound_of_one_cell_is_not_told_of_all():
    """Of five cells four have another loss: 0.693 is no bound of theirs."""
    runs = [record({"lr": n}, 0.3) for n in range(4)]
    runs.append(record({"lr": 4}, 0.7, floors=(floor(0.693, "best possible"),)))
    assert baselines_of(cells(*runs)) == (("best possible (loss)", "0.693 (lr 4)"),)


def test_baselines_of_a_score_are_those_of_its_bare_name_too():
    one = record(
        floors=(
            floor(1, "initial loss"),
            floor(2),
            floor(3, score="val/loss"),
            floor(4, score="l1"),
        )
    )
    assert [f["value"] for f in one.floors_of("val/loss")] == [2, 3]


def test_what_learned_nothing_and_what_a_rival_beats_are_told_apart():
    """No input is needed for the zero image; TKD is a method, and a bound is neither."""
    floors = tuple(
        floor(v, m) for m, v in (("zero image", 1.0), ("TKD", 0.4), ("best possible", 0.1))
    )
    losses = ((1, 2.0), (0.1, 0.45), (2, 0.41), (3, 0.3))
    grid = cells(*(record({"lr": lr}, loss, floors=floors) for lr, loss in losses))
    assert said(nothing_learned(grid)) == [
        "lr 1 has learned nothing that a held-out score shows: validation loss 2.00"
        " (zero image, 1.00)."
    ]
    assert said(s.sentence for s in shortfalls(grid, Ranking())) == [
        "lr 1 and 2 other cells do not beat TKD (0.400) in validation loss: at best 0.410."
    ]


def test_what_is_common_to_all_cells_is_told_of_all():
    grid = cells(*(record({"lr": n}, 0.7, floors=(floor(0.69),)) for n in range(24)))
    assert said(nothing_learned(grid))[0].startswith("All 24 cells have learned nothing")


def test_a_loss_above_its_constant_is_not_all_that_counts():
    """AUC .668 where chance is .5: the odds are wrong, the ranks are not."""
    floors = (floor(0.30), floor(0.5, "chance", "auc"))
    done = {"scores": {"val/loss": 0.33, "val/auc": 0.668}}
    runs = [record({"lr": n}, floors=floors, done=done, facts=SCORES) for n in (1, 2)]
    assert nothing_learned(cells(*runs)) == []
    line = said(s.sentence for s in shortfalls(cells(*runs), Ranking()))[0]
    assert line.startswith("No cell beats best constant predictor (0.300)")
    assert "auc of 0.668 beats chance (0.500)" in line


def test_learned_by_heart_is_said():
    one = record({"lr": 1}, 0.9, floors=(floor(0.69),), last={"values": {"total": 0.1}})
    assert "training loss lies below" in said(nothing_learned(cells(one)))[0]


def test_a_method_is_named_whatever_score_it_is_measured_by():
    """Ranked by the loss, which has no rival; the question is about NDI, whose error is known."""
    floors = (floor(1.0, "zero image"), floor(72.0, "TKD", "l1"), floor(55.0, "NDI", "l1"))
    done = {"scores": {"val/loss": 0.4, "val/l1": 60.0}}
    runs = [record({"lr": n}, floors=floors, done=done, facts=SCORES) for n in (1, 2)]
    (short,) = shortfalls(cells(*runs), Ranking())
    assert "".join(short.sentence) == "No cell beats NDI (55.0) in validation l1: at best 60.0."
    assert short.everywhere
    assert said(side_scores(cells(runs[0]), Ranking())) == [
        "Validation l1 is 60.0; baselines: TKD 72.0, NDI 55.0."
    ]


def test_figures_that_differ_look_different():
    one = record({"lr": 1}, 0.36521, floors=(floor(0.36512),))
    (sentence,) = said(nothing_learned(cells(one)))
    assert "validation loss 0.3652 (just as best constant predictor, 0.3651)" in sentence

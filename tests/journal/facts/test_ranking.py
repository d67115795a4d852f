"""Nothing is ranked by a guess: not by a word in a name, nor by losses that are not the same."""

from dataclasses import replace

import numpy as np
import pytest

from famulus.config.scores import Score, as_json
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.curves import Series
from famulus.journal.facts.expect import check
from famulus.journal.facts.forecast import ahead
from famulus.journal.facts.group import Group
from famulus.journal.facts.headline import sentences
from famulus.journal.facts.ranking import Ranking, better, ranking
from famulus.journal.facts.record import PictureFile
from famulus.journal.facts.table import build
from famulus.journal.pages.panels import MOST_RUNS, _drawn
from famulus.journal.pages.pictures import chosen
from tests.journal.runs import entry_of, record

DECLARED = {"accuracy": Score(better="higher"), "prevalence": Score()}


def run(lr=1.0, facts=None, keep=None, task="mine", loss=None, replicate=1, **scores):
    """A finished run with the given scores; `facts` None: of a run of 0.1.0, which had no such."""
    config = {"task": task, "training": {"keep": keep or {"best": "val/loss", "direction": "min"}}}
    config |= {"loss": loss} if loss else {}
    done = {"scores": {f"val/{k}": v for k, v in scores.items()}}
    return record({"lr": lr}, None, "finished", replicate, config=config, done=done,
                  facts={} if facts is None else facts)  # fmt: skip


def new(declared=DECLARED, **more):
    return {"scores": as_json(declared), **more}


def headline(*runs):
    return " ".join("".join(s) for s in sentences(entry_of(*runs)))


ACCURACY = {"best": "val/accuracy", "direction": "max"}


def test_the_best_of_a_score_that_rises_is_the_highest():
    runs = [run(lr, new(), ACCURACY, accuracy=a) for lr, a in ((3e-5, 0.0917), (0.003, 0.661))]
    assert "Best is lr 0.003 with a validation accuracy of 0.661; next comes lr 3e-05" in headline(
        *runs
    )
    table = build([Group(n, r.axes, (r,)) for n, r in enumerate(runs)], ["lr"],
                  ranking(runs, ["val/accuracy"]), ["val/accuracy"])  # fmt: skip
    assert [r.cells["meter"] for r in table.rows] == [1, 21]
    assert table.ranking.legend == "val/accuracy: higher is better"


@pytest.mark.parametrize(
    ("task", "score", "way"),
    [
        ("scroll", "f05", "higher"),
        ("scroll", "auc spread", None),
        ("pretext", "knn", "higher"),
        ("pretext", "feature_rank", "higher"),
        ("pretext", "without_colour", "higher"),
        ("qsm", "xsim_uniform", "higher"),
        ("qsm", "nrmse", "lower"),
        ("prior", "bits_per_dim", "lower"),
        ("codes", "perplexity", "higher"),
        ("tiles", "snr", None),
        ("own-loop", "accuracy", None),
        ("own-loop", "loss", "lower"),
    ],
)
def test_runs_older_than_the_record_of_scores_are_asked_of_their_task(task, score, way):
    assert better(f"val/{score}", [run(task=task, **{score: 0.5})]) == way


def test_a_name_that_nobody_declared_is_not_ranked():
    runs = [run(lr, new(), {"best": None}, precision=p) for lr, p in ((1, 0.2), (2, 0.3))]
    assert ranking(runs, ["val/precision"]).better is None
    said = headline(*runs)
    assert "not ranked: nobody declared which way val/precision is better" in said
    assert "Best" not in said
    groups, unranked = entry_of(*runs).cells.groups, ranking(runs, ["val/precision"])
    assert "meter" not in build(groups, ["lr"], unranked, ["val/precision"]).names
    for way, found in (("min", "lower"), ("max", "higher")):  # unless the file said it
        kept = {"best": "val/precision", "direction": way}
        assert better("val/precision", [run(1, new(), kept, precision=0.2)]) == found
    filled = {"best": "val/precision", "direction": "min"}  # by 0.1.0, where nobody had said it
    assert better("val/precision", [run(1, None, filled, precision=0.2)]) is None
    assert better("val/precision", [run(1, None, filled | {"direction": "max"}, precision=1)])


UNITS = {"loss": Score(better="lower", comparable=False, depends_on=("loss.kind",))}
L1 = {"l1": Score(better="lower"), "psnr": Score(better="higher")}


def test_losses_that_are_not_the_same_are_not_ranked():
    declared = new({**UNITS, **L1, "accuracy": Score(better="higher")})
    runs = [run(1, declared, None, loss={"kind": "l2"}, l1=0.2, psnr=3.0),
            run(2, declared, None, loss={"kind": "bce"}, l1=0.1, psnr=2.0)]  # fmt: skip
    for one, value in zip(runs, (0.05, -0.2), strict=True):
        one.done["scores"]["val/loss"] = value
    found = ranking(runs, ["val/loss", "val/l1", "val/psnr"])
    assert (found.score, found.better) == ("val/l1", "lower")
    said = headline(*runs)
    assert "Best is lr 2 with a validation l1 of 0.1" in said
    assert "Ranked by val/l1, since val/loss is not the same quantity in all cells." in said
    alone = ranking(runs, ["val/loss"])  # no score compares
    assert alone.better is None
    other = [{"kind": "l2", "weight": w} for w in (1, 2)]  # a setting that it does not depend on
    same = [run(lr, declared, loss=section) for lr, section in enumerate(other)]
    assert ranking(same, ["val/loss"]).better == "lower"


def test_what_only_some_cells_measured_does_not_rank_the_others():
    """A net of ink and one that rebuilds have no score in common: nothing is left out for it."""
    declared = new({**UNITS, **L1})
    runs = [run(1, declared, loss={"kind": "l2"}, psnr=3.0), run(2, declared, loss={"kind": "bce"})]
    for one in runs:
        one.done["scores"]["val/loss"] = 0.1
    found = ranking(runs, ["val/loss", "val/psnr"])
    assert (found.score, found.better) == ("val/loss", None)
    one = replace(entry_of(*runs), ranking=Ranking("val/psnr", "higher"))
    said = " ".join("".join(s) for s in sentences(one))
    assert "Validation psnr of lr 1 is 3.00." in said  # of which cell


def test_another_section_of_the_loss_is_another_loss_where_a_task_says_nothing():
    runs = [run(lr, new({}), loss={"weight": w}) for lr, w in ((1, 0.1), (2, 1.0))]
    assert ranking(runs, ["val/loss"]).better is None
    runs = [run(lr, new({}), loss={"weight": 0.1}) for lr in (1, 2)]
    assert ranking(runs, ["val/loss"]).better == "lower"


def test_a_name_made_at_run_time_may_be_what_compares():
    declared = new({**UNITS, "recall": Score(better="higher")})
    kinds = enumerate(("l2", "bce"))
    runs = [run(n, declared, loss={"kind": k}, **{"recall of 1": n / 4}) for n, k in kinds]
    found = ranking(runs, ["val/loss", "val/recall of 1"])
    assert (found.score, found.better) == ("val/recall of 1", "higher")


def test_runs_that_disagree_or_say_nothing():
    """Who declared nothing has nothing against it; who declares the opposite has."""
    up, down = (new({"accuracy": Score(better=way)}) for way in ("higher", "lower"))
    some = [run(1, up, ACCURACY, accuracy=0.5), run(2, new({}), {"best": None}, accuracy=0.4)]
    assert ranking(some, ["val/accuracy"]).better == "higher"
    both = [run(1, up, {"best": None}, accuracy=0.5), run(2, down, {"best": None}, accuracy=0.4)]
    found = ranking(both, ["val/accuracy"])
    assert (found.better, found.because) == (
        None,
        "runs declare different directions of val/accuracy",
    )


def test_a_person_may_watch_what_neither_way_is_better_of():
    kept = {"best": "val/prevalence", "direction": "max"}
    runs = [run(lr, new(), kept, prevalence=lr / 10) for lr in (1, 2)]
    assert ranking(runs, ["val/prevalence"]).better == "higher"
    runs = [run(lr, new(), {"best": None}, prevalence=lr / 10) for lr in (1, 2)]
    found = ranking(runs, ["val/prevalence"])
    assert found.because == "of val/prevalence, neither lower nor higher is better"


PRETEXTS = [{"pretext": p} for p in ("rotation", "quadrant")]


@pytest.mark.parametrize(
    ("task", "section", "values"),
    [
        ("pretext", "data", PRETEXTS),
        ("pretext", "data", [{"candidates": c} for c in (8, 32)]),
        ("pretext", "loss", [{"temperature": t} for t in (0.1, 1.0)]),
        ("codes", "data", [{"scaling": s} for s in ("unit", "centred")]),
        ("codes", "loss", [{"scale": s} for s in ("none", "variance")]),
        ("prior", "codes", [{"run": "a"}, {"run": "b"}]),
        ("scroll", "data", [{"scale": s} for s in ("zscore", "range")]),
        ("scroll", "model", [{"kind": k} for k in ("vae", "autoencoder")]),
        ("qsm", "loss", [{"error": e} for e in ("relative", "l2")]),
        ("qsm", "data", [{"form": f} for f in ("volume", "spectrum")]),
        ("tiles", "loss", [{"reconstruction": r} for r in ("l1", "bce")]),
        ("tiles", "loss", [{"histogram": {"bins": b}} for b in (10, 20)]),
        ("tiles", "model", [{"kind": k} for k in ("vae", "autoencoder")]),
    ],
)
def test_settings_that_make_a_loss_another_quantity(task, section, values):
    for sections, same in ((values, False), (values[:1] * 2, True)):
        runs = [run(n, None, task=task) for n in (1, 2)]
        for one, value in zip(runs, sections, strict=True):
            one.config[section] = value
            one.done["scores"]["val/loss"] = 1.0
        assert (ranking(runs, ["val/loss"]).better == "lower") is same


def test_accuracies_of_other_questions_do_not_compare():
    runs = [run(n, None, {"best": None}, task="pretext", accuracy=0.5, knn=0.1 * n)
            for n in (1, 2)]  # fmt: skip
    for one, section in zip(runs, PRETEXTS, strict=True):
        one.config["data"] = section
    assert ranking(runs, ["val/accuracy", "val/knn"]).score == "val/knn"
    assert ranking(runs[:1], ["val/accuracy", "val/knn"]).score == "val/accuracy"


def test_a_run_that_kept_its_worst_as_the_best_is_not_believed():
    """0.1.0 filled in `min` of an accuracy: what it noted as its best is the first validation."""
    old = run(1, None, {"best": "val/knn", "direction": "min"}, task="pretext", knn=0.6)
    old.done["best"] = {"score": "val/knn", "value": 0.1}
    made = build([Group(0, old.axes, (old,))], ["lr"], ranking([old], ["val/knn"]), ["val/knn"])
    assert made.rows[0].cells["best val/knn"] is None  # there is no curve to look it up in
    old.config["training"]["keep"]["direction"] = "max"
    made = build([Group(0, old.axes, (old,))], ["lr"], ranking([old], ["val/knn"]), ["val/knn"])
    assert made.rows[0].cells["best val/knn"].mean == 0.1


@pytest.mark.parametrize(("way", "word"), [("lower", "worse"), ("higher", "better"), (None, "")])
def test_a_promise_that_broke_says_to_which_side(way, word):
    one = run(1, new(), accuracy=0.9)
    promise = {"score": "val/accuracy", "value": 0.6, "within": "10%"}
    found = check([promise], [Group(0, one.axes, (one,))], ["lr"], True, lambda score: way)[0]
    assert found.state == "not met"
    assert found.measured.endswith(f", {word}" if word else "%)")


def test_floors_are_missed_on_the_side_that_is_worse():
    chance = {"score": "accuracy", "value": 0.25, "means": "chance"}
    runs = [run(lr, new(), ACCURACY, accuracy=a) for lr, a in ((1, 0.2), (2, 0.7))]
    runs = [replace(one, floors=(chance,)) for one in runs]
    assert "lr 1 has learned nothing" in headline(*runs)
    assert "lr 2 beats chance (0.250)" in headline(*runs)


def test_the_order_of_equal_and_unranked_cells_is_kept():
    cells = [3, 1, 2]
    assert Ranking(better="higher").sorted(cells, float) == [3, 2, 1]
    assert Ranking(better="lower").sorted(cells, float) == [1, 2, 3]
    assert Ranking(better=None).sorted(cells, float) == cells
    assert Ranking(better=None).best([1.0]) is None
    assert not Ranking(better=None).beaten(2, 1)


@pytest.mark.parametrize(("section", "key"), [("stop", "score"), ("schedule", "score")])
def test_whoever_watches_a_score_may_say_its_direction(section, key):
    one = run(1, new(), {"best": None}, precision=0.2)
    one.config["training"][section] = {key: "val/precision", "direction": "max"}
    assert better("val/precision", (one,)) == "higher"
    assert better("val/other", (one,)) is None


def test_runs_that_did_not_measure_a_score_say_nothing_of_it():
    with_it, without = run(1, new(), accuracy=0.5), run(2, new({}), l1=0.1)
    assert better("val/accuracy", [with_it, without]) == "higher"
    assert better("val/l1", [with_it, without]) is None


def test_a_run_that_has_not_begun_changes_no_meaning():
    """It has no score yet; those of the others decide."""
    runs = [run(lr, new({}), loss={"kind": "l1"}) for lr in (1, 2)]
    for one in runs:
        one.done["scores"]["val/loss"] = 1.0
    later = run(3, None, loss={"kind": "l2"})
    assert ranking([*runs, later], ["val/loss"]).better == "lower"
    later.done["scores"]["val/loss"] = 1.0
    assert ranking([*runs, later], ["val/loss"]).better is None


def under_way(*runs):
    ends = [np.array([1.0])] * 3
    curves = [{n: Series(*ends, np.array([v])) for n, v in one.scores.items()} for one in runs]
    pairs = zip(runs, curves, strict=True)
    return [replace(one, status="running", done={}, series=series) for one, series in pairs]


def test_so_far_the_better_one_leads():
    runs = under_way(*(run(lr, new(), ACCURACY, accuracy=a) for lr, a in ((1, 0.2), (2, 0.7))))
    assert "So far lr 2 leads with a validation accuracy of 0.7" in headline(*runs)
    unknown = {"best": "val/precision"}
    runs = under_way(*(run(lr, new(), unknown, precision=p) for lr, p in ((1, 0.2), (2, 0.7))))
    assert "leads" not in headline(*runs)


def test_of_what_is_not_ranked_no_axis_explains_a_part():
    cells = [(a, b) for a in (1, 2) for b in (1, 2)]
    for declared, found in ((DECLARED, True), ({}, False)):
        runs = [run(a, new(declared), {"best": None}, replicate=10 * a + b, accuracy=a + b / 10)
                for a, b in cells]  # fmt: skip
        for one, (a, b) in zip(runs, cells, strict=True):
            one.axes.update(lr=a, size=b)
        entry = entry_of(*runs)
        both = replace(entry.cells, axes=("lr", "size"), naming=("lr", "size"))
        said = " ".join("".join(s) for s in sentences(replace(entry, cells=both)))
        assert (
            "lr: validation accuracy is higher with 2 than with 1 in 2 of 2 pairs" in said
        ) is found


def test_the_best_of_a_curve_is_on_the_side_that_is_better():
    old = run(1, None, {"best": "val/knn", "direction": "min"}, task="pretext", knn=0.6)
    steps = np.arange(3.0)
    old.series["val/knn"] = Series(steps, steps, steps, np.array([0.1, 0.7, 0.6]))
    made = build([Group(0, old.axes, (old,))], ["lr"], ranking([old], ["val/knn"]), ["val/knn"])
    assert made.rows[0].cells["best val/knn"].mean == 0.7


def test_a_loss_of_which_higher_is_better_is_not_foreseen():
    one = replace(run(1, new({"loss": Score(better="higher")}), loss=None), status="running")
    assert "higher is better" in ahead(one).reason
    other = replace(run(1, new(), loss=None), status="running")
    assert "higher is better" not in ahead(other).reason


def test_with_many_runs_the_best_are_drawn_and_pictured():
    pictures = (PictureFile("p", "pictures/p.png", 1, 1, (), ""),)
    runs = [run(n, new(), ACCURACY, accuracy=n / 1000) for n in range(MOST_RUNS + 50)]
    entry = entry_of(*(replace(one, pictures=pictures) for one in runs))
    groups = entry.cells.groups
    drawn, left_out = _drawn(groups, entry.ranking)
    assert left_out > 0
    assert min(g.mean("val/accuracy") for g in drawn) > 0.001 * (left_out - 1)
    front, _ = chosen(Cells(groups, (), ("lr",)), entry.ranking)
    assert front[0].mean("val/accuracy") == max(g.mean("val/accuracy") for g in groups)

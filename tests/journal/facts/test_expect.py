"""Promises: kept, broken, not yet, each with its figure."""

import pytest

from famulus.journal.facts.expect import check, expectations, tolerance
from tests.journal.runs import group


def cells(bilinear=(0.03, 0.04), nearest=(0.05, 0.06), **more):
    made = []
    for name, values in (("bilinear", bilinear), ("nearest", nearest)):
        for size, value in zip((20, 28), values, strict=True):
            made.append(group({"filter": name, "size": size}, value, **more))
    return made


def state(promise, groups, complete=True):
    found = check([promise], groups, ["filter", "size"], complete)[0]
    return found.state, found.measured


SCORE = {"score": "val/loss", "where": {"filter": "nearest", "size": 20}, "value": 0.052}
ORDER = {"order": "val/loss", "by": "filter", "says": "bilinear < nearest"}


@pytest.mark.parametrize(("within", "wanted"), [("10%", "met"), ("3%", "not met"), (0.01, "met")])
def test_a_score_within_its_tolerance(within, wanted):
    assert state(SCORE | {"within": within}, cells())[0] == wanted


def test_the_tolerance_is_a_share_or_a_number():
    assert tolerance("10%", 0.5) == pytest.approx(0.05)
    assert tolerance(0.01, 0.5) == 0.01


def test_the_replicate_mean_is_compared():
    one = [group({"filter": "nearest", "size": 20}, 0.04, 0.064)]  # mean 0.052, each far off
    assert state(SCORE | {"within": "1%"}, one)[0] == "met"


def test_the_farthest_of_several_cells_decides():
    said = state({"score": "val/loss", "where": {}, "value": 0.04, "within": "30%"}, cells())
    assert said == ("not met", "0.0600, the farthest of 4 cells")


def test_nothing_is_judged_before_it_is_there():
    going = cells(status="running")
    assert state(SCORE | {"within": "50%"}, going, complete=False)[0] == "not judged yet"
    assert state(ORDER, going, complete=False) == ("not judged yet", "no pair has both scores")
    assert state({"finding": "none"}, going, complete=False) == ("not judged yet", "none so far")


def test_of_a_failed_cell_nothing_can_be_judged():
    dead = [group({"filter": "nearest", "size": 20}, None, status="failed")]
    assert state(SCORE | {"within": "50%"}, dead)[0] == "can't be judged"
    assert state({"finding": "none"}, dead) == ("can't be judged", "nearest, size 20 failed")


def test_every_pair_is_counted():
    assert state(ORDER, cells()) == ("met", "2 of 2 pairs")
    assert state(ORDER, cells(bilinear=(0.03, 0.07))) == ("not met", "1 of 2 pairs")
    turned = ORDER | {"says": "nearest > bilinear"}
    assert state(turned, cells()) == ("met", "2 of 2 pairs")


def test_one_bad_pair_breaks_an_unfinished_promise():
    groups = [*cells(bilinear=(0.03, 0.07))[:4], group({"filter": "bilinear", "size": 32}, None)]
    assert state(ORDER, groups, complete=False)[0] == "not met"


def test_three_values_are_three_pairs():
    groups = [group({"s": s}, v) for s, v in (("a", 1.0), ("b", 2.0), ("c", 1.5))]
    found = check([{"order": "val/loss", "by": "s", "says": "a < b < c"}], groups, ["s"], True)
    assert (found[0].state, found[0].measured) == ("not met", "2 of 3 pairs")


def test_the_mean_forgives_a_single_pair():
    uneven = cells(bilinear=(0.01, 0.07))
    assert state(ORDER | {"in": "mean"}, uneven)[0] == "met"
    assert state(ORDER | {"in": "mean", "says": "nearest < bilinear"}, uneven)[0] == "not met"


def test_numbers_of_an_axis_are_named_as_the_file_names_them():
    groups = [group({"lr": v}, s) for v, s in ((0.0003, 2.0), (0.001, 1.0))]
    promise = {"order": "val/loss", "by": "lr", "says": "0.001 < 0.0003"}
    assert check([promise], groups, ["lr"], True)[0].state == "met"


@pytest.mark.parametrize(
    ("cause", "least", "wanted"),
    [("none", "warning", "not met"), ("none", "error", "met"), ("too-high", "info", "met"),
     ("posterior-unused", "info", "not met")],
)  # fmt: skip
def test_findings(cause, least, wanted):
    groups = [group({"a": 1}, 0.1, findings=[{"cause": "too-high", "severity": "warning"}])]
    promise = {"finding": cause, "severity": least}
    assert check([promise], groups, ["a"], True)[0].state == wanted


def test_a_cell_that_does_not_exist():
    promise = SCORE | {"where": {"filter": "cubic"}, "within": "10%"}
    assert state(promise, cells(), complete=False) == ("not judged yet", "no such cell was run")
    assert state(promise, cells()) == ("can't be judged", "no such cell was run")


def named(*rows):
    return [
        group({"name": name, "width": width, "depth": depth}, v) for name, width, depth, v in rows
    ]


AXES = ["name", "width", "depth"]
BY_NAME = {"order": "val/loss", "by": "name", "says": "white < yellow", "in": "mean"}


def test_what_follows_from_a_name_is_no_hindrance():
    groups = named(("white", 32, 3, 0.07), ("yellow", 32, 25, 0.13), ("purple", 128, 25, 0.12))
    kept = check([BY_NAME], groups, AXES, True)[0]
    assert (kept.state, kept.measured) == ("met", "white 0.0700, yellow 0.130")
    turned = check([BY_NAME | {"says": "yellow < white"}], groups, AXES, True)[0]
    assert turned.state == "not met"


@pytest.mark.parametrize("extent", ["mean", "every pair"])
def test_two_axes_that_always_change_together_are_one(extent):
    """Else `random < pretext`, each with a start of its own, could never be judged; what moves with
    the axis in question is said, since either may be the reason."""
    both = [group({"lr": 0.1, "decay": 0}, 0.2), group({"lr": 0.01, "decay": 1}, 0.3)]
    promise = {"order": "val/loss", "by": "lr", "says": "0.1 < 0.01", "in": extent}
    found = check([promise], both, ["lr", "decay"], True)[0]
    assert found.state == "met"
    assert found.measured.endswith("; decay changes with lr")
    turned = check([promise | {"says": "0.01 < 0.1"}], both, ["lr", "decay"], True)[0]
    assert turned.state == "not met"


@pytest.mark.parametrize("extent", ["mean", "every pair"])
def test_where_no_two_cells_differ_in_the_axis_alone_nothing_can_be_judged(extent):
    apart = [group({"lr": 0.1, "size": n}, 0.2) for n in (1, 2)]
    apart += [group({"lr": 0.01, "size": n}, 0.3) for n in (3, 4)]
    promise = {"order": "val/loss", "by": "lr", "says": "0.1 < 0.01", "in": extent}
    found = check([promise], apart, ["lr", "size"], True)[0]
    assert (found.state, found.measured) == ("can't be judged", "no two cells differ in lr alone")


def test_an_expectation_says_when_it_was_written():
    groups = cells()
    known = groups[0].records[0].id
    entry = {"score": "val/loss", "where": dict(groups[0].axes), "value": 0.03, "within": 1.0}
    before = {"entry": entry, "time": "2026-11-20T10:00:00", "results": []}
    after, gone = before | {"results": [known]}, before | {"withdrawn": "2026-11-21T10:00:00"}
    others = before | {"results": ["0" * 12]}  # of another cell: nothing was known of this one
    early, late, left, elsewhere = (
        expectations([e], groups, ["filter", "size"], True)[0]
        for e in (before, after, gone, others)
    )
    assert early.when == elsewhere.when == "written before the first result (2026-11-20)"
    assert late.when == (
        "written after the result (2026-11-20): a regression band, not a prediction"
    )
    assert left.when.endswith("; withdrawn 2026-11-21")
    assert {e.state for e in (early, late, left, elsewhere)} == {"met"}
    nothing_yet = [group(dict(groups[0].axes), None, status="running")]
    waiting = expectations([before], nothing_yet, ["filter", "size"], False)[0]
    assert waiting.when == "written 2026-11-20"


def test_a_name_that_stands_for_several_cells_compares_like_with_like():
    groups = named(("a", 8, 3, 0.1), ("a", 16, 3, 0.2), ("b", 8, 5, 0.15), ("c", 16, 3, 0.1))
    promise = {"order": "val/loss", "by": "name", "says": "a < b"}
    assert check([promise], groups, AXES, True)[0].measured == "1 of 1 pair"  # at width 8


def test_what_was_set_beside_the_file_leaves_its_expectations_open():
    """Written for 48,000 samples, run with 2,000 of them: neither met nor broken."""
    groups = cells()
    dated = [{"entry": ORDER, "results": []}, {"entry": {"finding": "none"}, "results": []}]

    def states(*overrides):
        judged = expectations(dated, groups, ["filter", "size"], True, overrides=overrides)
        return [e.state for e in judged]

    assert states() == ["met", "met"]
    assert states("training.inputs=2_000") == ["can't be judged"] * 2
    assert states("matrix.size=[20]", "training.threads=1", "replicates=2") == ["met", "met"]
    # written for this very plan
    assert states("training.inputs=2_000", "expect=[{finding: none}]") == ["met", "met"]
    text = expectations(dated, groups, ["filter", "size"], True, overrides=["data.size=8"])[0]
    assert text.measured == "2 of 2 pairs, but with data.size=8 beside the file"


@pytest.mark.parametrize("extent", ["mean", "every pair"])
@pytest.mark.parametrize(
    ("gap", "wanted"), [(0.001, "can't be judged"), (0.5, "met"), (-0.5, "not met")]
)
def test_an_order_within_the_spread_of_seeds_is_none(extent, gap, wanted):
    """Three seeds with a spread of .01: a gap of .001 says nothing, one of .5 does."""
    seeds = (-0.01, 0.0, 0.01)
    groups = [group({"lr": 1}, *(0.7 + s for s in seeds))]
    groups += [group({"lr": 2}, *(0.7 + gap + s for s in seeds))]
    promise = {"order": "val/loss", "by": "lr", "says": "1 < 2", "in": extent}
    found = check([promise], groups, ["lr"], True)[0]
    assert found.state == wanted
    assert ("within the seed-to-seed spread" in found.measured) == (wanted == "can't be judged")


def test_an_order_of_cells_that_learned_nothing_is_none():
    floors = ({"score": "loss", "value": 0.5, "means": "best constant"},)
    groups = [group({"lr": n}, v) for n, v in ((1, 0.6), (2, 0.7))]
    for one in groups:
        object.__setattr__(one.records[0], "floors", floors)
    promise = {"order": "val/loss", "by": "lr", "says": "1 < 2"}
    found = check([promise], groups, ["lr"], True)[0]
    assert (found.state, found.measured) == (
        "can't be judged", "none of the cells has learned anything"
    )  # fmt: skip

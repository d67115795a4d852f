"""A filter that did nothing is blank, and its twins are replicates; a filter that worked stays."""

import pytest

from famulus.journal.facts.expect import check
from famulus.journal.facts.group import gather
from famulus.journal.facts.unused_axes import applying, without
from tests.journal.runs import record

AXES = ["set", "filter", "size"]


def run(name, filter_, size, score, seed=0, idle=True):
    axes = {"set": name, "filter": filter_, "size": size}
    config = {"matrix": axes, "data": {"name": name, "filter": filter_, "size": size}}
    config |= {"training": {"seed": seed, "batch": 64}}
    facts = {"without_effect": ["data.filter"]} if idle else {}
    shown = applying(axes, config, facts)
    return record(shown, score, replicate=seed, id=f"{filter_}{size}{seed}", config=config,
                  facts=facts)  # fmt: skip


def rows(idle=True):
    return [
        run("mnist", "bilinear", 28, 0.030, seed=0, idle=idle),
        run("mnist", "nearest", 28, 0.031, seed=1, idle=idle),
        run("mnist", "bilinear", 20, 0.020, idle=False),
        run("mnist", "nearest", 20, 0.025, idle=False),
    ]


def test_twins_are_replicates_of_one_blank_cell():
    groups = gather(rows())
    assert [(g.axes["filter"], g.axes["size"], len(g.records)) for g in groups] == [
        (None, 28, 2),
        ("bilinear", 20, 1),
        ("nearest", 20, 1),
    ]
    assert groups[0].mean("val/loss") == pytest.approx(0.0305)
    assert groups[0].spread("val/loss") == pytest.approx(0.001 / 2**0.5)


def test_without_the_fact_they_would_be_a_pair():  # proof that the test above can fail
    assert len(gather(rows(idle=False))) == 4


def test_a_promise_over_filters_leaves_blank_cells_out():
    promise = {"order": "val/loss", "by": "filter", "says": "bilinear < nearest"}
    assert check([promise], gather(rows()), AXES, True)[0].measured == "1 of 1 pair"
    assert check([promise], gather(rows(idle=False)), AXES, True)[0].measured == "2 of 2 pairs"


def test_a_blank_cell_is_found_by_the_files_own_value():
    where = {"set": "mnist", "size": 28, "filter": "bilinear"}
    promise = {"score": "val/loss", "where": where, "value": 0.0305, "within": "1%"}
    assert check([promise], gather(rows()), AXES, True)[0].state == "met"


def test_a_seed_axis_numbers_replicates():
    config = {"training": {"seed": 3}}
    assert applying({"lr": 0.1, "seed": 3}, config, {}) == {"lr": 0.1}
    assert applying({"lr": 0.1, "seed": 4}, config, {}) == {"lr": 0.1, "seed": 4}


def test_settings_are_left_out_of_a_copy():
    config = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert without(config, ["a.b", "e", "a.x", "y.z"]) == {"a": {"c": {"d": 2}}}
    assert config["a"]["b"] == 1

"""Forks stand under the settings that they were trained with, not under their parent's."""

from dataclasses import replace

from famulus.journal.facts.cells import cells_of
from famulus.journal.facts.overridden import filled_by, repeated, with_overrides
from famulus.journal.facts.ranking import ranking, score_names
from famulus.journal.facts.table import build
from tests.journal.runs import record

TEXT = """
matrix: {rate: [0.001, 0.1], batch: [64]}
training:
  batch: "${matrix.batch}"
  optimizer: {name: adam, lr: "${ matrix.rate }"}
data: {title: "of ${matrix.rate}"}
"""


def run(id, score, inputs, parent="", **changed):
    settings = {"batch": 64, "optimizer": {"name": "adam", "lr": 0.001}, "clip": None, "seed": 0}
    settings["inputs"] = inputs
    for path, value in changed.items():
        inner = settings["optimizer"] if path == "lr" else settings
        inner[path] = value
    config = {"training": settings, "matrix": {"rate": 0.001, "batch": 64}}
    if parent:
        config["origin"] = {"run": parent, "step": 8, "kind": "resume"}
    done = {"scores": {"val/loss": score}, "inputs": inputs}
    above = {"run": parent, "kind": "resume"} if parent else {}
    axes = {"rate": 0.001, "batch": 64}
    return replace(record(axes, config=config, done=done, parent=above), id=id, slug=id)


def test_an_axis_is_the_setting_that_the_file_fills_from_it():
    assert filled_by(TEXT) == {"batch": ["training.batch"], "rate": ["training.optimizer.lr"]}
    assert filled_by("why: [") == {}


def test_a_fork_shows_its_own_value_and_a_column_for_what_no_axis_sets():
    runs = [run("a", 0.5, 512), run("b", 0.4, 512, "a", lr=0.01), run("c", 0.3, 512, "b", clip=1)]
    plain, slower, clipped = with_overrides(runs, TEXT)
    assert plain.axes == {"rate": 0.001, "batch": 64, "training.clip": None}
    assert slower.axes["rate"] == 0.01
    assert (clipped.axes["rate"], clipped.axes["training.clip"]) == (0.001, 1)


def test_a_repetition_of_a_fork_stands_under_what_the_fork_was_trained_with():
    """Its matrix holds the parent's value, as the fork's does."""
    shown = with_overrides([run("a", 0.5, 512), run("b", 0.4, 512, "a", lr=0.01)], TEXT)
    again = [run(id, 0.4, 512, lr=0.01) for id in ("c", "d", "e")]
    for one, origin in zip(again, ("b", "c", "a"), strict=True):
        one.config["origin"] = {"run": origin, "kind": "rerun"}
    assert [r.axes["rate"] for r in repeated(again, shown)] == [0.01, 0.01, 0.001]


def test_without_the_file_one_setting_of_the_old_value_is_the_axis():
    plain, slower = with_overrides([run("a", 0.5, 512), run("b", 0.4, 512, "a", lr=0.01)], "")
    assert (plain.axes["rate"], slower.axes["rate"]) == (0.001, 0.01)


def test_who_was_trained_for_longer_is_neither_best_nor_has_a_bar():
    runs = [run("a", 0.5, 512), run("b", 0.1, 1024, "a", lr=0.01), run("c", 0.4, 512, "a", clip=1)]
    runs = with_overrides(runs, TEXT)
    cells = cells_of(runs)
    table = build(cells.groups, cells.axes, ranking(runs, score_names(runs)), ["val/loss"])
    rows = {row.records[0].id: row for row in table.rows}
    assert rows["b"].cells["meter"] is None
    assert rows["a"].cells["meter"] is not None
    assert rows["c"].cells["meter"] is not None
    assert [c.shown for c in table.columns if c.name == "inputs"] == [True]
    assert [rows[n].cells["inputs"] for n in "abc"] == [512, 1024, 512]
    # a heading names a number of samples only where all rows have it
    assert "val/loss" in table.names


def test_cells_of_unequal_length_are_ranked_with_a_word():
    runs = [replace(run("a", 0.5, 512), axes={"n": 1}), replace(run("b", 0.4, 1024), axes={"n": 2})]
    assert "were trained for 512 to 1,024 samples" in ranking(runs, ["val/loss"]).legend
    assert ranking(runs[:1], ["val/loss"]).lengths == ""

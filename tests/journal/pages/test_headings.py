"""Tables for people: headings and units that they read; JSON and CSV keep their keys."""

import csv
import io
import json
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.selection import select
from famulus.journal.facts.table import Column, build
from famulus.journal.pages import render
from famulus.journal.pages.compare import _key
from famulus.journal.pages.results import caption, legend
from tests.journal.runs import entry_of, group, record


def table(*seconds, axes=("lr",)):
    groups = [group(dict.fromkeys(axes, n), 0.5 + n, key=n) for n in range(len(seconds))]
    for one, s in zip(groups, seconds, strict=True):
        one.records[0].done.update(seconds=s, rate=1234.5, inputs=640)
    return build(groups, list(axes), Ranking(), ["val/loss"])


@pytest.mark.parametrize(
    ("seconds", "heading", "cells"),
    [
        ((0.04,), "seconds", ["0.0400"]),
        ((0.5, 19.4), "seconds", ["0.500", "19.4"]),
        ((252, 600), "minutes", ["4.20", "10.0"]),
        ((9000, 36_000), "hours", ["2.50", "10.0"]),
    ],
)
def test_times_have_the_unit_of_the_longest(seconds, heading, cells):
    made = render.for_people(table(*seconds))
    column = next(c for c in made.columns if c.name == heading)
    assert [render.shown(r.cells[heading], column) for r in made.rows] == cells
    for text in (render.text(table(*seconds)), render.markdown(table(*seconds))):
        assert heading in text
        assert all(cell in text for cell in cells)


def test_markdown_shows_marks_of_its_own_as_they_are():
    made = table(3.0, 4.0)
    made.rows[0].cells["lr"] = "***a|b\\c"
    html = MarkdownIt("commonmark").enable("table").render(render.markdown(made))
    assert ">***a|b\\c</td>" in html
    assert "<code>*********************</code>" in html


def test_machines_keep_keys_and_digits():
    made = table(0.04, 0.05)
    line = next(csv.DictReader(io.StringIO(render.as_csv(made))))
    assert float(line["minutes"]) == 0.04 / 60
    assert line["meter"] == "21"
    row = json.loads(render.as_json(made))["rows"][0]
    assert (row["minutes"], row["meter"], row["inputs/s"]) == (0.04 / 60, 21, 1234.5)


def test_headings_are_words_of_the_field():
    head = render.text(select(table(3.0, 4.0), include=["inputs"])).splitlines()[0].split()
    assert {"bar", "samples/s", "samples", "seconds"} < set(head)
    assert not {"meter", "inputs", "inputs/s", "minutes"} & set(head)
    assert "640 samples)" in render.text(table(3.0, 4.0))
    made = table(3.0, 4.0)
    spread = Column("val/loss (640 inputs) (std)", "number")
    head = render.text(replace(made, columns=(*made.columns, spread))).splitlines()[0]
    assert "val/loss (640 samples) (std)" in head


def test_an_axis_keeps_its_name_and_its_values():
    made = render.for_people(table(3.0, 4.0, axes=("inputs", "seconds", "bar")))
    assert [c.name for c in made.columns][:3] == ["inputs", "seconds", "bar"]
    assert [r.cells["seconds"] for r in made.rows] == [0, 1]
    assert [r.cells["bar"] for r in made.rows] == [0, 1]
    assert made.rows[0].cells["minutes"] == 3.0 / 60  # the other name is taken
    assert made.rows[0].cells["meter"] == 21


def test_a_heading_selects_its_column():
    made = table(3.0, 4.0)
    assert [_key(w, made) for w in ("seconds", "-bar", "samples/s", "lr", "bar-", "-")] == [
        "minutes", "-meter", "inputs/s", "lr", "meter-", "-",
    ]  # fmt: skip
    assert _key("bar", table(3.0, axes=("bar",))) == "bar"


def test_the_caption_says_which_way_the_bar_goes_and_whose_time_is_told():
    assert legend(Ranking()).endswith("lower is better; the longest bar is the best")
    assert "bar" not in legend(Ranking("val/loss", None, "units differ"))
    runs = [record({"lr": n}, 0.1 * n) for n in (1, 2)]
    assert caption(entry_of(*runs).cells, Ranking()) == legend(Ranking())
    runs[1].facts["inherited"] = {"seconds": 5.0}
    assert "fork" in caption(entry_of(*runs).cells, Ranking())

"""One colour says one thing: in the curves, in the table, beside the pictures."""

import html
import itertools
import math
import re

import pytest

from famulus.journal.facts.cells import Cells
from famulus.journal.facts.entry import collect
from famulus.journal.facts.group import title
from famulus.journal.facts.ranking import Ranking
from famulus.journal.pages.entry_page import entry_page
from famulus.journal.pages.panels import COLOURS, IN_ONE, layout
from tests.journal.runs import group

CURVE = re.compile(r'<path class="[a-z] c(\d)[^>]*data-g="(\d+)"')
ROW = re.compile(r'<tr data-g="(\d+)"[^>]*><td class="sw"><a class="c(\d)"')
PICTURE = re.compile(r'<h3><i class="c(\d)"></i>(.+?) <span')


def disagreements(text: str, entry) -> list[str]:
    """Cells whose curves, row and pictures do not all have one colour, as the page shows them."""
    own = entry.cells.own
    cells = {title(g.axes, entry.cells.naming): g.key for g in own}
    assert len(cells) == len(own)
    seen = {key: {} for key in cells.values()}
    for colour, key in CURVE.findall(text):
        if int(key) in seen:
            seen[int(key)].setdefault("curve", set()).add(colour)
    for key, colour in ROW.findall(text):
        if int(key) in seen:
            seen[int(key)].setdefault("row", set()).add(colour)
    for colour, name in PICTURE.findall(text):
        if html.unescape(name) in cells:
            seen[cells[html.unescape(name)]].setdefault("picture", set()).add(colour)
    assert sum("curve" in places for places in seen.values()) >= 30
    assert sum("row" in places for places in seen.values()) >= 30
    assert sum("picture" in places for places in seen.values()) >= 5
    return [name for name, key in cells.items() if len(set().union(*seen[key].values())) != 1]


def test_curves_table_and_pictures_agree(laboratory):
    entry = collect(laboratory, "tiles/compare-datasets")
    text, _ = entry_page(entry)
    assert disagreements(text, entry) == []


@pytest.mark.parametrize("place", [ROW, PICTURE])
def test_a_place_with_colours_of_its_own_is_seen(laboratory, place):
    entry = collect(laboratory, "tiles/compare-datasets")
    text, _ = entry_page(entry)

    def other(found):
        return re.sub(r'class="c(\d)"', lambda c: f'class="c{(int(c[1]) + 1) % 8}"', found[0])

    assert disagreements(place.sub(other, text), entry)


def planned(*sizes):
    """The layout of a full matrix with axes of these sizes."""
    axes = tuple(f"axis{n}" for n in range(len(sizes)))
    values = enumerate(itertools.product(*map(range, sizes)))
    groups = tuple(group(dict(zip(axes, v, strict=True)), 0.1, key=k) for k, v in values)
    return layout(Cells(groups, axes, axes), Ranking())


@pytest.mark.parametrize("sizes", [(1,), (2,), (5,), (2, 3), (IN_ONE,), (7,), (COLOURS,)])
def test_few_cells_have_a_colour_each(sizes):
    plan = planned(*sizes)
    assert len(set(plan.colour.values())) == len(plan.colour) == math.prod(sizes)
    assert len(plan.panels) == 1


@pytest.mark.parametrize("sizes", [(9,), (13,), (3, 3), (2, 5), (7, 2), (2, 3, 4), (3, 2, 3, 2)])
def test_of_many_cells_a_colour_means_the_same_in_every_small_chart(sizes):
    plan = planned(*sizes)
    assert len(plan.panels) > 1
    for panel in plan.panels:
        assert len({plan.colour[g.key] for g in panel.groups}) == len(panel.groups)
    assert len({colour for colour, _ in plan.legend}) == len(plan.legend) <= COLOURS

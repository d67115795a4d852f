"""Energy on the pages: only where it was measured, and of as many inputs as it was measured for."""

import pytest

from famulus.journal.facts import table as tables
from famulus.journal.facts.cost import energy
from famulus.journal.facts.group import Group
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.selection import select, sort
from famulus.journal.pages.parts import entry_margin
from famulus.journal.pages.run_page import _run_margin
from tests.journal.runs import entry_of
from tests.journal.runs import metered as run


def table_of(*records):
    groups = [Group(n, r.axes, (r,)) for n, r in enumerate(records)]
    return tables.build(groups, ["batch"], Ranking(), ["val/loss"])


def test_the_batch_with_the_least_energy_an_input_leads():
    """8 Wh for 2,000 inputs are 4 for a thousand; 9 Wh for 3,000 are 3, though they are more."""
    table = table_of(run(64, 8.0), run(256, 9.0, inputs=3_000), run(1024))
    assert tables.PER_INPUTS in select(table).names
    ranked = sort(table, [tables.PER_INPUTS]).rows
    cells = [(row.cells["batch"], row.cells[tables.PER_INPUTS]) for row in ranked]
    assert cells == [(256, pytest.approx(3.0)), (64, pytest.approx(4.0)), (1024, None)]
    assert [row.cells["watts"] for row in table.rows] == [80.0, 90.0, None]
    assert {"Wh", "watts"} <= set(select(table, include=["Wh", "watts"]).names)


def test_a_table_of_unmeasured_runs_has_no_such_column():
    table = table_of(run(64), run(256))
    assert not [name for name in select(table).names if "Wh" in name or name == "watts"]


def test_replicates_are_averaged_over_those_that_were_measured():
    runs = [run(64, 8.0), run(64, 6.0), run(64)]
    table = tables.build([Group(0, {"batch": 64}, tuple(runs))], ["batch"], Ranking(), ["val/loss"])
    assert table.rows[0].cells[tables.PER_INPUTS] == pytest.approx(3.5)
    assert table.rows[0].cells["Wh"] == pytest.approx(7.0)


def test_pages_say_whose_energy_it_is_and_of_how_many_runs():
    paid = {"config": {"cost": {"per_hour": 2.0}}}
    whole, some = [run(64, 8.0, **paid), run(256, 12.0)], [run(64, 8.0), run(256)]
    assert energy(whole) == "20.0 Wh (whole GPU), 100 W in the mean"
    assert energy(some) == "8.00 Wh of 1 of 2 runs (whole GPU), 80.0 W in the mean"
    assert energy([run(64)]) == energy([]) == ""
    for wrong in ("much", float("nan"), -3.0, True):
        strange = run(64)
        strange.done["energy_wh"] = wrong
        assert energy([strange]) == ""
    entry = entry_of(*whole)
    assert energy(whole) in entry_margin(entry)
    assert entry.cost.price == (pytest.approx(2.0 * 720 / 3600), "EUR")  # of time, as before
    assert energy(whole[:1]) in _run_margin(whole[0])
    assert not [line for line in _run_margin(run(64)) if "W" in line]


def test_a_run_under_way_shows_its_power():
    going = run(64, status="running", done={}, last={"watts": 312.4})
    assert "312 W" in _run_margin(going)
    assert energy([going]) == ""

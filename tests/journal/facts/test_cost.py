"""Time, energy and price of runs, and of those that go on from others."""

from famulus.journal.facts.cost import cost_of, energy
from tests.journal.runs import metered as run


def test_what_a_child_goes_on_from_is_paid_for_once():
    """A parent of 360 s, a child from its 300th second that ran for 200 more."""
    known = {"inherited": {"seconds": 300.0, "energy_wh": 6.0}}
    parent = run(64, 8.0, config={"cost": {"per_hour": 3600.0}})
    child = run(256, 11.0, seconds=500.0, facts=known)
    cost = cost_of([parent, child])
    assert cost.seconds == 360.0 + 200.0
    assert cost.price == (560.0, "EUR")
    assert cost.energy == "13.0 Wh (whole GPU), 83.6 W in the mean"
    assert energy([child]).startswith("5.00 Wh")
    child.facts["inherited"] = {"seconds": "long", "energy_wh": None}  # a strange file: as if alone
    assert child.own_seconds == 500.0

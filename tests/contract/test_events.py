"""What is written to a run is what `store/event_kinds.py` declares: no key more, none less.

A run of Famulus and a loop under a Monitor are recorded here; each event is held against the
declaration of its kind. The doctor and the journal read by that declaration.
"""

import pytest
import torch
from torch import nn

from famulus import Monitor
from famulus.store.event_kinds import KINDS
from famulus.store.store import Store
from famulus.tasks.base import Facts
from tests.launch.tiny import ONE, famulus, write


def strangers(event, shown=()):
    """Keys of an event that its kind does not declare, or lacks; of a fact, `shown` are free."""
    kind = KINDS[event["kind"]]
    given = set(event) - set(shown)
    return sorted(given - set(kind.__annotations__)) + sorted(kind.__required_keys__ - given)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Events of a small run, of one that is stopped by a NaN, and of a monitored loop."""
    folder = tmp_path_factory.mktemp("events")
    store = folder / "runs"
    assert famulus("run", write(folder), *ONE, *PICTURED, "--store", store).code == 0
    assert famulus("run", write(folder), *ONE, *BROKEN, "--store", store).code == 1
    torch.manual_seed(0)
    x = torch.randn(64, 5)
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with Monitor(net, optimizer, store=str(store), name="mine", log_every=2) as monitor:
        for _ in range(9):
            targets = torch.zeros(64, dtype=torch.long)
            outputs = net(x)
            loss = nn.functional.cross_entropy(outputs, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            monitor.step(loss, inputs=x, outputs=outputs, targets=targets)
        monitor.validate({"loss": float(loss.detach())})
        monitor.mark("half way")
    return [event for run in Store.open(store).runs() for event in run.events()]


PICTURED = ("--set", "training.pictures_every={steps: 5}")
BROKEN = ("--set", "training.optimizer.lr=1e30")


def test_every_event_is_as_its_kind_declares(recorded):
    assert {event["kind"] for event in recorded} == set(KINDS)
    found = {event["kind"]: wrong for event in recorded if (wrong := strangers(event))}
    assert found == {}


def test_a_key_that_nobody_declared_is_seen():
    floor = {"kind": "floor", "step": 0, "inputs": 0, "score": "loss", "value": 1.0, "means": "x"}
    assert strangers(floor) == []
    assert strangers({**floor, "unit": "nats"}) == ["unit"]
    assert strangers({k: v for k, v in floor.items() if k != "means"}) == ["means"]


def test_what_a_task_states_is_declared():
    """What it only shows may have any name; what others read is of the contract."""
    stated = Facts(loss="x").json().keys() | Facts.__dataclass_fields__.keys() - {"shown"}
    assert stated <= set(KINDS["facts"].__annotations__)

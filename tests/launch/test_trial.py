"""The bench of a cell: it has what controls ask for, and its short trainings tell no lie."""

import inspect

import pytest
import torch

from famulus.diagnosis.controls import bench
from famulus.launch.fresh_net import FreshNet
from famulus.launch.trial import Trial
from famulus.training.randomness import Streams
from tests.launch.sound import Sound, Unsettled, ready


def lacking(thing, protocol):
    """Members of a protocol that a thing has not, or whose parameters are others there."""
    names = [n for n in (*vars(protocol), *protocol.__annotations__) if not n.startswith("_")]
    wrong = [n for n in names if not hasattr(thing, n)]
    for name in (n for n in names if n not in wrong and inspect.isfunction(vars(protocol).get(n))):
        asked, own = (inspect.signature(getattr(c, name)) for c in (protocol, type(thing)))
        if [(p.name, p.kind, p.default) for p in asked.parameters.values()] != [
            (p.name, p.kind, p.default) for p in own.parameters.values()
        ]:
            wrong.append(name)
    return wrong


def test_a_trial_has_what_controls_ask_a_bench_for():
    trial = Trial(ready(Sound()), torch.device("cpu"))
    with Streams(0, torch.device("cpu")).isolated():
        assert lacking(trial, bench.Bench) == lacking(trial.net(), bench.Net) == []


@pytest.mark.parametrize(
    ("kind", "name"), [(Trial, "wait"), (Trial, "frozen"), (FreshNet, "judge")]
)
def test_a_missing_member_is_seen(kind, name, monkeypatch):
    monkeypatch.delattr(kind, name)
    thing = kind.__new__(kind)
    protocol = bench.Bench if kind is Trial else bench.Net
    assert name in lacking(thing, protocol)


def test_another_parameter_is_seen(monkeypatch):
    monkeypatch.setattr(FreshNet, "rate", lambda self, value: None)
    assert "rate" in lacking(FreshNet.__new__(FreshNet), bench.Net)


def test_running_statistics_that_lag_in_a_short_fit_are_no_gap():
    """Thirty fast steps: the statistics of batch norm have not followed, and it is no fault."""

    def gap(kind):
        trial = Trial(ready(kind(), optimizer={"name": "adam", "lr": 0.1}), torch.device("cpu"))
        fit = trial.fit("true", 1.0, 8)
        return fit.judged - fit.last

    with Streams(0, torch.device("cpu")).isolated():
        settled, unsettled = gap(Sound), gap(Unsettled)
    assert settled < 0.05 < 0.5 < unsettled

"""Corners of the loop: what happens between two events, and where a child begins."""

import itertools
import math

import pytest
import torch
from safetensors.torch import load

from famulus.launch.plan import Start
from famulus.training.optim import Patience
from tests.training.test_loop import after, store, train, values, weights
from tests.training.toy import Toy, training

__all__ = ["store"]  # the fixture
NEVER_BETTER = {"inputs": 6400, "optimizer": {"name": "sgd", "lr": 0.0}}


def test_an_interruption_at_the_early_stop_is_the_stop(store):
    settings = training(**NEVER_BETTER, stop={"patience": 3})
    _, whole = train(store, settings)
    outcome, run = train(store, settings, interrupted=after(50), id_="b" * 12)
    assert outcome.status == "stopped"
    assert run.done()["step"] == whole.done()["step"] == 50


def test_a_process_killed_after_its_last_checkpoint_stops_where_it_would_have(store):
    settings = training(**NEVER_BETTER, stop={"patience": 3})
    _, run = train(store, settings)
    store.files.remove(f"{run.path}/done.json")  # killed just before it was written
    outcome, run = train(store, settings)
    assert (outcome.status, run.done()["step"]) == ("stopped", 50)


def test_an_interruption_at_the_last_step_is_the_end(store):
    outcome, run = train(store, training(), interrupted=after(40))
    assert outcome.status == "finished"
    assert run.done()["step"] == 40


class NotANumberAtFirst(Toy):
    """Scores of the rehearsal and of the first validation are NaN."""

    def __init__(self):
        super().__init__()
        self.judged = itertools.count()

    def scores(self, model, batches):
        found = super().scores(model, batches)
        return found if next(self.judged) >= 2 else {"loss": math.nan}


def test_nan_is_never_the_best_score(store):
    _, run = train(store, training(), NotANumberAtFirst())
    assert math.isnan(values(run, "val")[0][1]["loss"])
    best = run.done()["best"]
    assert best["step"] == run.step_of("best") > 10
    assert best["value"] == min(v["loss"] for _, v in values(run, "val")[1:])


def test_patience_runs_out_on_nan():
    patience = Patience("min", 1)
    assert [patience.exhausted(v) for v in (math.nan, 3.0, math.nan, math.nan)] == [
        *(False, False, False, True)
    ]
    assert patience.best == 3.0


class Overflow(Toy):
    """The loss of step 15 is finite; its gradient is not: the square root's slope at 0."""

    def __init__(self, times):
        super().__init__()
        self.left = times

    def loss(self, model, batch, at):
        parts = super().loss(model, batch, at)
        if at.step == 15 and self.left:
            self.left -= 1
            parts["total"] = parts["total"] + (0 * model[0].weight).sum().abs().sqrt()
        return parts


def test_weights_that_broke_silently_never_become_a_checkpoint(store):
    """Step 16 is a checkpoint: a roll-back to it would meet the same NaN for ever."""
    outcome, run = train(store, training(on_nan="rollback"), Overflow(1))
    assert outcome.status == "finished"
    assert [a["start_from"] for a in run.attempts()] == [None, 10]
    outcome, run = train(store, training(), Overflow(1), id_="b" * 12)
    assert outcome.status == "failed"
    assert "weights are not finite after step 16" in run.done()["reason"]
    assert all(torch.isfinite(t).all() for t in load(weights(run)).values())


class Thawing(Toy):
    """The first layer is frozen until step 5."""

    def build(self):
        model = super().build()
        model[0].requires_grad_(False)
        return model

    def param_groups(self, model):
        return [{"params": list(model.parameters())}]

    def on_inputs(self, model, at):
        model[0].requires_grad_(at.step >= 5)


@pytest.mark.parametrize("clip", [{"value": 1e-9}, {"norm": 1e-9}])
def test_layers_that_thaw_are_clipped_as_the_others(store, clip):
    settings = {"optimizer": {"name": "sgd", "lr": 1.0}, "schedule": {"name": "constant"}}
    _, start = train(store, training(inputs=16, clip=clip, **settings), Thawing())
    _, clipped = train(store, training(clip=clip, **settings), Thawing(), id_="b" * 12)
    _, free = train(store, training(**settings), Thawing(), id_="c" * 12)
    before, after_clip, after_free = (load(weights(r))["0.weight"] for r in (start, clipped, free))
    assert (after_clip - before).abs().max() < 1e-6 < (after_free - before).abs().max()


def child_of(store, parent, settings, **more):
    origin = Start(parent, parent.step_of("last"), "resume")
    return train(store, settings, id_="c" * 12, origin=origin, **more)


def test_the_best_of_a_child_is_a_checkpoint_of_its_own(store):
    """Even where its parent was better: `RUN@best` must name weights that are there."""
    _, parent = train(store, training(inputs=320))
    worse = training(schedule={"name": "constant"}, optimizer={"name": "adam", "lr": 0.5})
    _, child = child_of(store, parent, worse)
    assert child.done()["best"]["value"] > parent.done()["best"]["value"]
    assert child.step_of("best") == child.done()["best"]["step"] > 20


def test_a_child_of_a_stopped_run_goes_on(store):
    stopping = {"stop": {"patience": 3}, "keep": {"last": 9}}
    _, parent = train(store, training(**NEVER_BETTER, **stopping))
    settings = training(**{**NEVER_BETTER, "inputs": 9600}, **stopping)
    _, child = child_of(store, parent, settings)
    assert child.done()["step"] == 50 + 40  # four more validations that are not better


def test_counters_of_another_score_are_not_taken_over():
    patience = Patience("min", 3, score="val/loss")
    patience.exhausted(1.0), patience.exhausted(2.0)
    same, other = Patience("min", 3, score="val/loss"), Patience("min", 3, score="val/l1")
    same.restore(patience.state()), other.restore(patience.state())
    assert (same.best, same.bad) == (1.0, 1)
    assert (other.best, other.bad) == (None, 0)

"""`famulus check` on a sound task: nothing is accused, nothing is left behind."""

import numpy as np
import pytest
import torch

from famulus.config.errors import DataError
from famulus.diagnosis.controls.order import CHECKS
from famulus.feed.copies import Copies, CopyNote
from famulus.feed.source import Splits
from famulus.launch.check import check, controls
from famulus.launch.trial import Trial
from tests.launch.sound import Sound, found, ready, rows


def bad(told):
    return {n: (c.verdict, c.text) for n, c in told.items() if c.verdict in ("warning", "failed")}


def test_nothing_is_accused():
    told = found(Sound())
    assert bad(told) == {}
    expected = {check.name for check in CHECKS} - {
        "self tests",
        "loader threads",
        "batch sizes",
        "parameters",
    }
    assert expected <= set(told)
    assert [n for n, c in told.items() if c.verdict == "skipped"] == []


def test_augmentation_drawn_from_each_samples_seed_is_no_fault():
    task = Sound(rows(240, 0, noise=0.1))
    told = found(task, "randomness", "targets", "split")
    assert bad(told) == {}
    assert "other numbers" in told["randomness"].text


def test_a_question_is_asked_once():
    """Copies across the split: the dataset's note is the line of the check, not one beside it."""
    task = Sound()
    note = CopyNote.of(Copies(1, 0, 90, 240), ", as b = a")
    task.splits = Splits(task.splits.train, task.splits.validation, ["a file is damaged", note])
    lines = [c.text for c in check([ready(task)], 2.0) if c.name in ("data", "duplicates")]
    assert [line for line in lines if "exact cop" in line or "near-dup" in line] == [note]
    assert sum("damaged" in line for line in lines) == 1


def test_the_cost_is_said_before_anything_else():
    first = next(iter(check([ready(Sound())], 60.0)))
    assert first.name == "forecast"
    assert first.verdict == "ok"
    assert first.figures["seconds"] > 0
    # a budget in which nothing can be measured still asks the same first
    assert next(iter(check([ready(Sound())], 1e-9))).name == "forecast"


def test_data_that_can_not_be_read_are_named_before_the_forecast_gives_up():
    class Unreadable(type(Sound().splits.train)):
        def __len__(self):
            raise DataError("set: expected at least 1 readable picture, received 0")

    task = Sound()
    task.splits = Splits(task.splits.train, task.splits.validation)
    cell = ready(task)
    task.splits.train.__class__ = Unreadable
    lines = check([cell], 5.0)
    assert [next(lines).name for _ in range(3)] == ["settings", "data", "device"]
    with pytest.raises(DataError, match="readable picture"):
        next(lines)


def test_no_trace_is_left():
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.random.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled()
    numpy_before = np.random.get_state()[1].copy()
    task = Sound()
    images = task.splits.train.image.copy()
    list(controls(ready(task), 60.0, {"overfit one batch", "input", "learning rate"}))
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == before[1:]
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    assert np.array_equal(task.splits.train.image, images)


def test_the_same_figures_every_time():
    """Fresh nets under the cell's own streams; no control depends on another."""
    alone = found(Sound(), "overfit one batch")["overfit one batch"]
    after = found(Sound(), "overfit one batch", "weights move", "validation")["overfit one batch"]
    assert alone.figures == after.figures


def test_cheap_ones_come_first_and_what_finds_no_time_is_listed(monkeypatch):
    """As if a step took a second: what takes many of them does not fit into half a minute."""
    monkeypatch.setattr(Trial, "step_s", 1.0)
    monkeypatch.setattr(Trial, "small_s", 1.0)
    told = found(Sound(), budget_s=30.0)
    order = list(told)
    assert order.index("parameters") < order.index("weights move") < order.index("input")
    unrun = {n: c for n, c in told.items() if c.text.startswith("not run")}
    assert {"input", "overfit one batch", "learning rate"} <= set(unrun)
    assert all(c.verdict == "skipped" and "--budget" in c.remedy for c in unrun.values())
    assert "takes about 10 min" in unrun["overfit one batch"].text  # 600 steps are wanted
    assert told["labels"].verdict == told["weights move"].verdict == "ok"


def test_an_unknown_control_is_refused_by_name():
    with pytest.raises(ValueError, match="overfitt"):
        list(controls(ready(Sound()), 1.0, {"overfitt"}))


def test_an_event_is_what_a_store_keeps():
    control = found(Sound(), "labels")["labels"]
    assert control.event() == {"kind": "control", **control.json()}
    assert control.event()["cause"] == ""

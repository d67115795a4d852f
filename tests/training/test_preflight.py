"""What a rehearsal forecasts, against a clock that moves as told."""

import pytest
import torch

from famulus.feed.source import Splits
from famulus.training import preflight
from famulus.training.preflight import choose_threads, rehearse
from famulus.training.setup import Setup
from tests.training.toy import Toy, ToySource, training


class Clocked(Toy):
    """A step takes the next of these seconds, the last one for ever."""

    def __init__(self, monkeypatch, *steps, validation=0.0, pictures=0.0):
        super().__init__()
        self.steps, self.validation_s, self.pictures_s = list(steps), validation, pictures
        self.clock = 0.0
        monkeypatch.setattr(preflight.time, "perf_counter", lambda: self.clock)

    def loss(self, model, batch, at):
        self.clock += self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        return super().loss(model, batch, at)

    def scores(self, model, batches):
        self.clock += self.validation_s
        return super().scores(model, batches)

    def pictures(self, model, fixed):
        self.clock += self.pictures_s
        return super().pictures(model, fixed)


class Banked(Clocked):
    """Scores take 30 s, however many samples there are, and 2 s a batch of 32."""

    def __init__(self, monkeypatch, validation):
        super().__init__(monkeypatch, 1.0)
        self.validation = validation

    def data(self):
        return Splits(ToySource(self.samples, 0), ToySource(self.validation, 1))

    def scores(self, model, batches):
        def counted():
            for batch in batches:
                self.clock += 2.0
                yield batch

        self.clock += 30.0
        return super().scores(model, counted())


@pytest.mark.parametrize("batches", [1, 2, 3, 20])
def test_what_scores_cost_once_is_counted_once_a_validation(monkeypatch, batches):
    """Five validations; taken for a cost of batches, 30 s would be 300 s at 20 of them."""
    setup = Setup(Toy(), Toy().data(), training(), torch.device("cpu"))
    task = Banked(monkeypatch, batches * setup.validated_at_once)
    assert seconds(task) == pytest.approx(40 * 1.0 + 5 * (30.0 + 2.0 * batches))


def seconds(task):
    """Of 40 steps, with a validation every 10 of them and pictures every 20."""
    forecast = rehearse(Setup(task, task.data(), training(), torch.device("cpu")))
    return forecast.seconds


@pytest.mark.parametrize("odd", [0.0, 500.0])
def test_the_median_step_counts_and_not_the_first(monkeypatch, odd):
    task = Clocked(monkeypatch, 1000.0, 2.0, odd, 2.0)
    assert seconds(task) == pytest.approx(40 * 2.0)


def test_validations_and_pictures_are_counted_as_often_as_they_come(monkeypatch):
    """Every 10 and every 20 of 40 steps, and once more at the end."""
    steps, validations, pictures = 40 * 1.0, 5 * 3.0, 3 * 7.0
    task = Clocked(monkeypatch, 1.0, validation=3.0, pictures=7.0)
    assert seconds(task) == pytest.approx(steps + validations + pictures)


@pytest.mark.parametrize("odd", [0.0, 500.0])
def test_threads_are_chosen_by_the_median_step_and_not_by_the_first(monkeypatch, odd):
    """One thread takes 2 s a step, two take 3 s; an odd one on either side changes nothing."""
    one, two = (2.0, odd, 2.0), (3.0, 500.0 - odd, 3.0)
    steps = [50.0, 900.0, 50.0, 0.0]  # of the first round: each is woken, then timed
    for a, b in zip(one, two, strict=True):
        steps += [0.0, a, 0.0, b]
    before = torch.get_num_threads()
    task = Clocked(monkeypatch, *steps, 1.0)
    assert choose_threads(Setup(task, task.data(), training(), torch.device("cpu")), 2) == 1
    assert torch.get_num_threads() == before

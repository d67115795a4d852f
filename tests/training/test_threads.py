"""How many threads a net gets is measured, not guessed."""

import time

import torch

from famulus.training.preflight import choose_threads
from famulus.training.setup import Setup
from tests.training.toy import Toy, training


class Slow(Toy):
    """A step that takes as long as it is told for a number of threads."""

    seconds: dict[int, float]

    def loss(self, model, batch, at):
        time.sleep(self.seconds[torch.get_num_threads()])
        return super().loss(model, batch, at)


def chosen(one_s, two_s):
    task = Slow()
    task.seconds = {1: one_s, 2: two_s}
    return choose_threads(Setup(task, task.data(), training(), torch.device("cpu")), 2)


def test_the_faster_number_is_taken_and_nothing_is_left_set():
    before = torch.get_num_threads()
    assert chosen(one_s=0.001, two_s=0.1) == 1
    assert chosen(one_s=0.1, two_s=0.001) == 2
    assert torch.get_num_threads() == before

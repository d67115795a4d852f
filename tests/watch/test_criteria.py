"""What a call of a loss function says of answers."""

import torch
from torch.nn import functional as F

from famulus.bridges.watch.criteria import read, right_answers


def test_places_that_the_loss_ignores_are_neither_right_nor_wrong():
    outputs = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0], [0.0, 1.0, 4.0]])
    for ignored in (-100, -1, 255):
        targets = torch.tensor([0, 2, ignored])
        loss = F.cross_entropy(outputs, targets, ignore_index=ignored)
        call = read("cross_entropy", (outputs, targets), {"ignore_index": ignored}, loss)
        right, classes = right_answers(call)
        assert right.tolist() == [True, False]
        assert classes.tolist() == [1, 0, 1]

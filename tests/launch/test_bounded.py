"""What a stranger's settings may allocate: as much as the weights beside them could fill."""

import pytest
import torch
from torch import nn

from famulus.config.errors import StoreError
from famulus.launch.bounded import MARGIN, SINGLE, TOTAL, bounded

MAKERS = {
    "as numbers": lambda n: torch.empty(n, 8),
    "as a tuple": lambda n: torch.empty((n, 8)),
    "by name": lambda n: torch.empty(size=(n, 8)),
    "filled": lambda n: torch.zeros(n, 8),
    "drawn": lambda n: torch.rand(n, 8),
    "layer": lambda n: nn.Linear(n, 8, device="meta"),  # counted, never allocated
    "repeated": lambda n: torch.empty(1, 8, device="meta").repeat(n, 1),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
def test_one_tensor_far_larger_than_all_weights_is_refused(make):
    with bounded(1000, "models/x"):
        make(100)
    with pytest.raises(StoreError, match=r"models/x: its settings"), bounded(1000, "models/x"):
        make(SINGLE)  # 32 times what is allowed


def test_many_tensors_are_refused_together():
    most, each = TOTAL // (SINGLE // 2), SINGLE // 8  # float32: half of what one may be
    with bounded(1000, "x"):
        assert len([torch.empty(each, device="meta") for _ in range(most)]) == most
    with pytest.raises(StoreError, match="far smaller"), bounded(1000, "x"):
        [torch.empty(each, device="meta") for _ in range(most + 1)]


def test_large_weights_allow_large_tensors():
    with bounded(SINGLE, "x"):
        torch.empty(MARGIN * SINGLE // 16, device="meta")
    assert torch.empty(3).shape == (3,)

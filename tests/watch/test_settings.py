"""What of an optimizer is written down."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from famulus.bridges.watched import options_of


@pytest.mark.parametrize("rate", [np.float64(0.01), np.float32(0.01), torch.tensor(0.01)])
def test_a_rate_of_numpy_or_torch_is_a_plain_number(rate):
    """As `np.logspace` and fastai's schedules give them."""
    optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)
    optimizer.param_groups[0]["lr"] = rate
    found = options_of(optimizer)["lr"]
    assert type(found) is float
    assert json.loads(json.dumps(found)) == pytest.approx(0.01)

"""The faulty twin of scroll is named by the task's own test; its maps are as wrong as they must be.

A window of side P at a stride of P / 2: Hann weights of the two windows that meet along an axis add
up to one, and there are two of them. Divided by their number, a constant c comes out as c / 4.
"""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from famulus.tasks.scroll import blend
from famulus.tasks.scroll.faults.count_blend import ScrollCountBlend, by_counts
from famulus.tasks.scroll.scroll import ScrollConfig, ScrollTask

DATA = {"phantom": {"shape": [12, 96, 96], "letter": 32}, "cube": [8, 16, 16], "validation": 1}


@pytest.mark.parametrize("kind", [ScrollTask, ScrollCountBlend])
def test_dividing_by_counts_is_named(kind):
    given = {"data": DATA | {"cover": 0.7}, "model": {"kind": "ink", "widths": [4, 8]}}
    task = kind(ScrollConfig.model_validate(given), {})
    (test,) = task.self_tests(torch.nn.Identity(), {})
    assert test.cause == "seams"
    assert test.passed == (kind is ScrollTask)


@pytest.mark.parametrize(("faulty", "level"), [(False, 0.8), (True, 0.2)])
def test_dividing_by_counts_shows_in_a_map(faulty, level):
    with by_counts() if faulty else nullcontext():
        canvas = blend.Canvas((96, 96), 16, 8)
        out = blend.blend(lambda y, x: np.full((1, 16, 16), 0.8), canvas)
    assert np.abs(out[0, 16:-16, 16:-16] - level).max() < 0.002  # the floor under the weights
    assert blend.partition.__module__ == blend.__name__  # nothing stays behind

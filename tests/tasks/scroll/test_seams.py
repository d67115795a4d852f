"""The test of a blend passes for the right one and fails for a wrong one."""

import numpy as np
import pytest

from famulus.tasks.scroll import seams


@pytest.mark.parametrize("size", [16, 17])
def test_a_constant_through_blending(size, monkeypatch):
    for kind in ("hann", "gaussian", "linear", "constant"):
        assert seams.constant_error(size, size // 2, kind) < 1e-12

    def undivided(length, starts_N, window_P):
        return np.stack([window_P for _ in starts_N])

    monkeypatch.setattr("famulus.tasks.scroll.blend.partition", undivided)
    assert seams.constant_error(size, size // 2) > 0.1

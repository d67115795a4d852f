"""Scores as the package qsm-ci, by which methods are ranked in public, gives them."""

import numpy as np
import pytest

from famulus.tasks.qsm.map_scores import SCORES
from famulus.tasks.qsm.phantoms import shapes

qsm_eval = pytest.importorskip("qsm_ci.qsm_eval", reason="qsm-ci is not installed")
NAMES = {
    "nrmse": "nrmse",
    "detrended_nrmse": "nrmse_detrend",
    "hfen": "hfen",
    "xsim_uniform": "xsim",
}


@pytest.fixture(params=[0.0, 0.5, 3.0], ids=["exact", "near", "far"])
def maps(request):
    """(made, truth, mask), 0 outside of a ball."""
    made = shapes((28, 26, 24), 7)
    z, y, x = np.indices(made.mask.shape) - np.array([13.5, 12.5, 11.5]).reshape(3, 1, 1, 1)
    mask = (z**2 + y**2 + x**2 < 11**2).astype(np.float32)
    truth = made.chi_ppm * mask
    noise = np.random.default_rng(0).normal(0, request.param * truth.std(), truth.shape)
    return ((0.8 * truth + noise) * mask if request.param else truth), truth, mask


def test_scores_are_those_of_the_public_scorer(maps):
    theirs, _ = qsm_eval.score_arrays(*maps)
    for ours, name in NAMES.items():
        assert SCORES[ours](*maps) == pytest.approx(theirs[name], rel=1e-6, abs=1e-6), ours


def test_another_window_is_another_number(maps):
    """The two XSIM of the field must not be taken for each other."""
    made, truth, mask = maps
    theirs, _ = qsm_eval.score_arrays(made, truth, mask)
    gaussian = SCORES["xsim_gaussian"](made, truth, mask)
    if made is truth:
        assert gaussian == pytest.approx(1.0)
    else:
        assert abs(gaussian - theirs["xsim"]) > 1e-3

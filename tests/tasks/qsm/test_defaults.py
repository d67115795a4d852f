"""What a person gets who gives no parameter: against the best parameter, which only truth tells."""

import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from famulus.feed import progress
from famulus.tasks.qsm.baselines import MOST_UNASKED, invert
from famulus.tasks.qsm.inversion import usable
from famulus.tasks.qsm.map_scores import nrmse
from famulus.tasks.qsm.ndi import Grid, referenced
from famulus.tasks.qsm.phantoms import Scan, scan, shapes
from famulus.tasks.qsm.rho import DEFAULT, SANE, rho_in, sane
from tests.launch.tiny import famulus

SIDE, SEED = 32, 21
METHODS = ("tkd", "tikhonov", "ndi")
GIVEN = ("--mask", "mask.nii.gz", "--echo-time", "0.025", "--field-strength", "3")
GIVEN += ("--units", "rad", "-o", "chi.nii.gz")


@pytest.fixture(scope="module")
def truth():
    """Solids in a ball."""
    made = shapes((SIDE,) * 3, SEED)
    z, y, x = np.indices((SIDE,) * 3) - (SIDE - 1) / 2
    mask = (z**2 + y**2 + x**2 < 15**2).astype(np.float32)
    return type(made)(**{**vars(made), "mask": mask, "magnitude": made.magnitude * mask})


def best(method, phase, weight, grid, score):
    if method == "ndi":
        counts = sorted({round(n) for n in np.geomspace(1, 500, 24)})
        return min(score(chi) for chi in grid.descend(phase, weight, counts, 2.0))
    name, low, high = ("threshold", 0.03, 0.6) if method == "tkd" else ("alpha", 5e-4, 1.0)
    tried = np.geomspace(low, high, 24).tolist()
    return min(score(invert(method, phase, weight, 1.0, grid, {name: v})[0]) for v in tried)


@pytest.mark.parametrize("magnitude", [False, True])
@pytest.mark.parametrize("noise", [0.003, 0.01, 0.03, 0.1, 0.3])
def test_no_default_is_15_per_cent_worse_than_the_best(truth, noise, magnitude):
    how = Scan(snr=1 / noise)
    found = scan(truth, how, 5)
    phase, mask, weight = (
        torch.from_numpy(v)[None] for v in (found["phase"], truth.mask, found["weight"])
    )
    grid = Grid(truth.mask.shape, truth.geometry)

    def score(chi):
        chi = referenced(chi / how.rad_per_ppm, mask)[0].numpy()
        return nrmse(chi, truth.chi_ppm, truth.mask)

    weight = weight if magnitude else mask
    rho = rho_in("signal", phase, mask, truth.geometry, weight if magnitude else None)
    for method in METHODS[2 * magnitude :]:  # W is for ndi alone
        made = score(invert(method, phase, weight, float(sane(rho)[0]), grid, {})[0])
        assert made < 1.15 * best(method, phase, weight, grid, score), method
    if noise == 0.003 and not magnitude:  # Wiener's alpha for white maps
        wrong = score(invert("tikhonov", phase, mask, 1.0, grid, {"alpha": 1 / float(rho[0])})[0])
        assert wrong > 1.15 * best("tikhonov", phase, mask, grid, score)


def test_a_scan_without_noise_wants_a_filter_all_the_same():
    assert usable(SANE[1]) == pytest.approx(330, rel=0.01)
    assert usable(1.0) == pytest.approx(1.0, rel=0.01)


@pytest.fixture
def folder(truth, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save("mask.nii.gz", truth.mask)
    return tmp_path


def save(name, values):
    image = nibabel.Nifti1Image(np.asarray(values, np.float32).T, np.eye(4))
    image.set_sform(np.eye(4), code=1)
    image.set_qform(np.eye(4), code=1)
    nibabel.save(image, name)


def applied(truth, phase, method, *words):
    """(NRMSE, sidecar, notes)."""
    save("phase.nii.gz", phase * truth.mask)
    said = famulus("apply", "phase.nii.gz", "--method", method, *words, *GIVEN)
    assert said.code == 0, said.err
    chi = nibabel.load("chi.nii.gz").get_fdata().T
    facts = json.loads(Path("chi.json").read_text())
    return nrmse(chi, truth.chi_ppm, truth.mask), facts, said.err


@pytest.mark.parametrize("method", METHODS)
def test_neither_an_offset_nor_another_range_spoils_a_map(truth, folder, method):
    phase = scan(truth, Scan(snr=100.0), 5)["phase"].astype(np.float64)
    plain, facts, err = applied(truth, phase, method)
    assert "PhaseOffset_rad" not in facts
    assert facts["PhaseNoise_rad"] == pytest.approx(0.016, rel=0.25)  # the echo has decayed
    for offset, low in ((2.5, -np.pi), (-3.0, 0.0), (0.0, 0.0)):
        shifted = np.mod(phase + offset - low, 2 * np.pi) + low
        # of 0..4, which is no whole turn, somebody must say that it is a phase
        words = ("--rescale", "none") if shifted.max() < 6 and low == 0 else ()
        found, facts, err = applied(truth, shifted, method, *words)
        assert found == pytest.approx(plain, rel=0.02)
        assert facts.get("PhaseOffset_rad", 0.0) == pytest.approx(offset, abs=0.05)
        assert ("offset" in err) == (offset != 0)
    # which the values themselves would
    mask, grid = torch.from_numpy(truth.mask)[None], Grid(truth.mask.shape, truth.geometry)
    raw = torch.from_numpy(phase + 2.5)[None].float() * mask
    chi = invert(method, raw, mask, 100.0, grid, {})[0]
    chi = referenced(chi / Scan().rad_per_ppm, mask)[0].numpy()
    assert nrmse(chi, truth.chi_ppm, truth.mask) > 1.2 * plain


def test_what_can_not_be_seen_is_said_and_replaced(truth, folder):
    phase = scan(truth, Scan(snr=None), 5)["phase"]
    smooth = (np.indices(phase.shape).sum(0) - 46.5) * 1e-3 + phase * 1e-6
    _, facts, err = applied(truth, smooth, "tikhonov")
    assert "no noise can be seen" in err
    assert facts["SignalToNoisePower"] == SANE[1]
    assert facts["Alpha"] == pytest.approx(1 / 330, rel=0.01)
    thin = np.zeros_like(truth.mask)
    thin[10:15] = 1
    save("mask.nii.gz", thin)
    _, facts, err = applied(truth, phase * thin, "tikhonov")
    assert "too small or too thin" in err
    assert facts["SignalToNoisePower"] == DEFAULT
    assert "PhaseNoise_rad" not in facts


def test_steps_are_bounded_and_tell_how_far_they_are(truth, folder, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    phase = scan(truth, Scan(snr=100.0), 5)["phase"]
    magnitude = np.full_like(truth.mask, 0.01)  # but for a few vessels
    magnitude[::4, ::4, ::4] = 1.0
    save("mag.nii.gz", magnitude * truth.mask)
    _, facts, err = applied(truth, phase, "ndi", "--magnitude", "mag.nii.gz")
    assert facts["Steps"] == MOST_UNASKED < facts["StepsThatSuitTheNoise"]
    assert f"stopped after {MOST_UNASKED:,} steps" in err
    assert re.search(r"ndi: steps: 25 of 1,000, about \d+ s left", err)

"""The mask and the weights of a scan, from the map to the loss: what counts, and what NDI is given.

Shapes: B batch, Z Y X voxels. Units: ppm, rad.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from famulus.feed.source import Splits
from famulus.tasks.base import Position
from famulus.tasks.qsm.dipole import cropped, padded
from famulus.tasks.qsm.ndi import Grid
from famulus.tasks.qsm.phantoms import shapes
from famulus.tasks.qsm.qsm import Qsm, QsmConfig
from famulus.tasks.qsm.source import Acquisition, VolumeSource

AT = Position(0, 0, 0, 0)
SIZE = 10
INDEX, SEEDS = np.arange(2), np.arange(2).astype(np.uint64)


def truth(seed):
    """Solids in a box that is tissue but for a slab and a hole."""
    made = shapes((SIZE,) * 3, seed)
    mask = np.ones_like(made.mask)
    mask[:3], mask[5:7, 5:8, 2:6] = 0, 0
    chi = np.where(mask > 0, made.chi_ppm - made.chi_ppm[mask > 0].mean(), 0)
    return replace(made, mask=mask, chi_ppm=chi.astype(np.float32))


class KnownMap(nn.Module):
    """Stands for `Ndi`: one map for every phase; keeps the weight that it was given."""

    def __init__(self, chi_BZYX_rad):
        super().__init__()
        self.chi = nn.Parameter(chi_BZYX_rad)

    def forward(self, phase, d, weight, rho, k):
        self.phase, self.weight = phase, weight
        return padded(self.chi, phase.shape[1:])

    def schedule(self, rho):
        return torch.ones(1, 1, dtype=rho.dtype), None


def task(weights="mask", error="relative"):
    acquisition = Acquisition(3.0, 20.0, (30.0, None), weights, fresh_noise=False)
    given = {
        "data": {"size": SIZE, "te_ms": 20.0, "weights": weights, "snr": [30.0, None]},
        "loss": {"error": error},
    }
    made = Qsm(QsmConfig.model_validate(given), {})
    volumes = VolumeSource(truth, [4, 5], acquisition, "known")
    made.__dict__["_splits"] = Splits(volumes, volumes)
    return made, volumes.gather(INDEX, SEEDS)


def maps(seed=0):
    """chi ppm of the two samples: far from the truth, and of no mean 0."""
    return 0.1 + 0.05 * torch.randn(2, SIZE, SIZE, SIZE, generator=torch.manual_seed(seed))


def answers(made, chi_ppm):
    return KnownMap(chi_ppm * float(made._volumes.acquisition.scan(0).rad_per_ppm))


def errors(chi_ppm):
    """Sums over the tissue of |chi - truth|^2 and |truth|^2, chi without its mean there: float64,
    and how many voxels that are."""
    rows = []
    for i, seed in enumerate((4, 5)):
        known = truth(seed)
        inside = known.mask > 0
        x = chi_ppm[i].double().numpy()[inside]
        y = known.chi_ppm.astype(np.float64)[inside]
        rows.append((((x - x.mean() - y) ** 2).sum(), (y**2).sum(), inside.sum()))
    return np.array(rows).T


@pytest.mark.parametrize("error", ["relative", "l2"])
def test_the_loss_is_that_of_the_tissue(error):
    made, batch = task(error=error)
    wrong, power, count = errors(maps())
    want = (wrong / (power if error == "relative" else count)).mean()
    net = answers(made, maps())
    assert made.loss(net, batch, AT)["total"].item() == pytest.approx(want, rel=1e-5)
    scores = made.scores(net, [batch])
    assert scores["loss"] == pytest.approx(want, rel=1e-5)
    everywhere = (maps() - maps().mean() - batch["chi"]).square().mean().item()
    assert abs(everywhere - (wrong / count).mean()) > 0.02 * everywhere  # of all voxels of the box


def test_outside_the_tissue_nothing_counts():
    made, batch = task()
    outside = maps() + 7 * (batch["mask"] == 0)
    one, other = (made.loss(answers(made, x), batch, AT)["total"].item() for x in (maps(), outside))
    assert one == other
    inside = maps() + 0.01 * (batch["mask"] > 0) * batch["chi"].sign()
    change = made.loss(answers(made, inside), batch, AT)["total"].item()
    wrong, power, _ = errors(inside)
    assert change == pytest.approx((wrong / power).mean(), rel=1e-5)
    assert abs(change / one - 1) > 1e-3


def signal_of(seed):
    """float64 |S| of a scan without noise: magnitude times exp(-TE R2*)."""
    known = truth(seed)
    return known.magnitude.astype(np.float64) * np.exp(-20e-3 * known.r2star_hz)


@pytest.mark.parametrize("weights", ["none", "mask", "magnitude"])
def test_the_net_is_given_the_weights_that_were_asked_for(weights):
    made, batch = task(weights)
    net = answers(made, maps())
    made.loss(net, batch, AT)
    mask = truth(5).mask
    if weights == "none":
        assert net.weight is None
        return
    weight = cropped(net.weight, mask.shape)[1].numpy()  # the sample without noise
    want = mask
    if weights == "magnitude":
        signal = signal_of(5)
        top = np.sort(signal[mask > 0])[int(np.ceil(0.99 * mask.sum())) - 1]
        want = np.minimum(signal / top, 1) * mask
        bare = truth(5).magnitude / truth(5).magnitude.max() * mask
        assert np.abs(weight - bare).max() > 0.02  # as if nothing had decayed
    np.testing.assert_allclose(weight, want, rtol=1e-5, atol=1e-7)
    assert net.weight.sum() == pytest.approx(net.weight[:, :SIZE, :SIZE, :SIZE].sum())  # padding


def test_padding_of_a_volume_weighs_nothing():
    """11 planes are padded to 12: what is added has weight 0 as it has phase 0."""
    grid = Grid((11, 13, 17), truth(4).geometry)
    net = KnownMap(torch.zeros(1, 11, 13, 17))
    grid.run(net, torch.ones(1, 11, 13, 17), torch.full((1, 11, 13, 17), 0.5), torch.ones(1))
    assert net.weight.shape == net.phase.shape == (1, *grid.sizes)
    assert net.weight.shape != (1, 11, 13, 17)
    assert net.weight.sum() == pytest.approx(0.5 * 11 * 13 * 17)
    assert net.phase.sum() == pytest.approx(11 * 13 * 17)

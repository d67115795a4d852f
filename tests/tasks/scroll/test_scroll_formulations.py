"""Ink asked for in three ways is judged on one grid: against means and pairs in float64 numpy."""

import numpy as np
import pytest
import torch

from famulus.config.errors import ConfigError
from famulus.feed.feeder import validation_batches
from famulus.tasks.scroll.ink_loss import pooled
from famulus.tasks.scroll.net import ink_of
from famulus.tasks.scroll.scroll import ScrollConfig, ScrollTask
from tests.tasks.scroll.pairs import auc_between, auc_of

DATA = {"phantom": {"shape": [12, 96, 96], "letter": 32}, "cube": [8, 16, 16], "validation": 1}


def task(kind, coarse=4, **loss):
    model = {"kind": kind, "widths": [4, 8], "code": 6, "coarse": coarse}
    given = {"data": {**DATA, "cover": 0.7}, "model": model, "loss": loss}
    return ScrollTask(ScrollConfig.model_validate(given), {})


def scored(t, net):
    return t.scores(net.eval(), validation_batches(t.data().validation, 7, "cpu"))


def sharp(t):
    """A net whose logits are many sd wide: the mean of probabilities is no mean of logits."""
    torch.manual_seed(1)
    net = t.build().eval()
    with torch.no_grad():
        net.decoder[-1].main[0].weight.mul_(200)
    return net


def written_out(t, net, factor):
    """float64: p and hard labels of the judged pixels that count, p of their mean logits, their
    cross-entropy, and the loss of the net's own pixels."""
    batch = next(validation_batches(t.data().validation, 1000, "cpu"))
    with torch.no_grad():
        logits = ink_of(net, batch["image"])[0].double().numpy()
    label, weight = (batch[k].double().numpy() for k in ("label", "weight"))
    p = 1 / (1 + np.exp(-logits))

    def coarse(a):
        n, y, x = a.shape
        return a.reshape(n, y // factor, factor, x // factor, factor).mean((2, 4))

    counts = coarse(weight)
    kept = counts > 0.5
    share = coarse(label)
    terms = -(share * np.log(coarse(p)) + (1 - share) * np.log(1 - coarse(p)))
    own = np.where(label > 0, -np.log(p), -np.log1p(-p))
    return {
        "p": coarse(p)[kept],
        "hard": share[kept] >= 0.5,
        "p of mean logits": 1 / (1 + np.exp(-coarse(logits)[kept])),
        "bce": (counts * terms).sum() / counts.sum(),
        "loss": (weight * own).sum() / weight.sum(),
    }


@pytest.mark.parametrize("kind", ["cube", "joint"])
def test_fine_logits_are_judged_on_the_coarse_grid(kind):
    t = task(kind)
    net = sharp(t)
    found, fine = scored(t, net), written_out(t, net, 1)
    want = written_out(t, net, 4)
    low, high = auc_between(want["p"], want["hard"])
    assert low <= found["auc"] <= high < low + 1e-3
    for p, hard in (want["p of mean logits"], want["hard"]), (fine["p"], fine["hard"]):
        assert not low <= auc_of(p, hard) <= high
    assert found["bce"] == pytest.approx(want["bce"], rel=1e-4)
    assert found["prevalence"] == pytest.approx(want["hard"].mean())
    assert found["predicted prevalence"] == pytest.approx(want["p"].mean(), rel=1e-4)
    rest = found["recon"] + 0.01 * found["kl"] / 2048 if kind == "joint" else 0
    assert found["loss"] - rest == pytest.approx(
        want["loss"], rel=1e-3
    )  # of the pixels that were trained on
    assert abs(found["bce"] - fine["bce"]) > 0.02 * fine["bce"]  # voxel by voxel is another score


def test_all_formulations_have_the_same_floors():
    floors = [task(kind).floors(task(kind).data()) for kind in ("ink", "cube", "joint")]
    for name in ("best constant", "chance", "chance, ap", "everything"):
        assert len({(found[name].score, found[name].value) for found in floors}) == 1, name


def test_a_silenced_cube_net_scores_its_floors():
    t = task("cube")
    net = t.build()
    torch.nn.init.zeros_(net.decoder[-1].main[0].weight)
    found, floors = scored(t, net), t.floors(t.data())
    assert found["bce"] == pytest.approx(floors["best constant"].value, rel=1e-5)
    assert found["loss"] == pytest.approx(floors["best constant, loss"].value, rel=1e-5)
    # Of equal logits a sigmoid in float32 may differ in the last bit from lane to lane, which would
    # be an order among pixels. At 0 it is one half to the last bit, and these floors are the same.
    torch.nn.init.zeros_(net.decoder[-1].main[0].bias)
    found = scored(t, net)
    assert found["f05"] == pytest.approx(floors["everything"].value, rel=1e-12)
    assert found["auc"] == floors["chance"].value == 0.5


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_pooled_logits_are_the_mean_probability(factor):
    logits = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0)) * 5
    p = (1 / (1 + np.exp(-logits.double().numpy()))).reshape(2, 8 // factor, factor, -1, factor)
    found = pooled(logits.double(), factor).sigmoid().numpy()
    assert np.abs(found - p.mean((2, 4))).max() < 1e-14
    single = pooled(logits, factor).double().sigmoid().numpy()
    assert np.abs(single - p.mean((2, 4))).max() < 1e-5
    mean = torch.nn.functional.avg_pool2d(logits.double()[:, None], factor)[:, 0].sigmoid().numpy()
    assert (np.abs(mean - p.mean((2, 4))).max() > 0.1) == (factor > 1)  # of the mean logit
    assert pooled(logits * 200, factor).isfinite().all()  # where float32 probabilities are 0 and 1


def test_a_cube_that_the_grid_does_not_divide_is_refused():
    t = task("cube", coarse=3)
    t.data()
    with pytest.raises(ConfigError, match=r"coarse: expected a cube that 3 divides"):
        t.build()

"""Loops with losses of their own under a monitor: what ails them is named first, and sound ones
are left in peace.

Small nets on data with a few hidden factors, some hundred steps each.
"""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus import Monitor
from famulus.diagnosis.verdict import GRAVE

STEPS, BATCH, FACTORS, PIXELS = 150, 64, 4, 32
SEEDS = (0, 1)


def factors(seed):
    """An endless row of (B, 32) pictures of 4 factors each, a little noise on them; and those."""
    draws = torch.Generator().manual_seed(seed)
    mixing = torch.randn(FACTORS, PIXELS, generator=draws)
    while True:
        hidden = torch.randn(BATCH, FACTORS, generator=draws)
        noise = torch.randn(BATCH, PIXELS, generator=draws)
        yield hidden @ mixing + 0.1 * noise, hidden


def mlp(*sizes):
    layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def trained(model, step, tmp_path, seed=0, steps=STEPS, lr=1e-2, optimizer=torch.optim.Adam):
    """`step(model, x, hidden)` gives the loss and what else a monitor is told. The monitor, or
    without a folder none."""
    held = optimizer(model.parameters(), lr=lr)
    data = factors(seed)
    monitor = None
    if tmp_path is not None:
        monitor = Monitor(model, held, store=str(tmp_path), controls_s=0).start()
    for _ in range(steps):
        loss, told = step(model, *next(data))
        held.zero_grad()
        loss.backward()
        held.step()
        if monitor:
            monitor.step(loss, **told)
    if monitor:
        monitor.close()
    return monitor


def grave(monitor):
    return [f.cause for f in monitor.findings() if f.severity in GRAVE]


def first(make, step, tmp_path, seed=0, **options):
    torch.manual_seed(seed)
    return next(iter(grave(trained(make(), step, tmp_path, seed, **options))), None)


# -- a code of mean and width ----------------------------------------------------------------


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = mlp(PIXELS, 64, 2 * FACTORS), mlp(FACTORS, 64, PIXELS)

    def forward(self, x):
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        return self.decoder(mu + (logvar / 2).exp() * torch.randn_like(mu)), mu, logvar


def vae(mean, known=True):
    """The KL is summed; beside it the squares' mean, or their sum."""

    def step(model, x, hidden):
        outputs, mu, logvar = model(x)
        kl = (mu.square() + logvar.exp() - 1 - logvar).sum() / 2
        if not mean:
            kl = kl / len(x)
        recon = F.mse_loss(outputs, x) if mean else (outputs - x).square().sum() / len(x)
        told = {"inputs": x, "outputs": outputs, "targets": x}
        if known:
            told |= {"parts": {"recon": recon, "kl": kl}, "latent": {"mu": mu, "logvar": logvar}}
        return recon + kl, told

    return step


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", [True, False])
def test_a_kl_summed_beside_a_mean(known, seed, tmp_path):
    assert first(VAE, vae(True, known), tmp_path, seed) == "posterior-collapse"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", [True, False])
def test_both_summed(known, seed, tmp_path):
    assert first(VAE, vae(False, known), tmp_path, seed, steps=300) is None


# -- a codebook ------------------------------------------------------------------------------


class VQVAE(nn.Module):
    """Straight-through (van den Oord et al. 2017, arXiv 1711.00937); codes of 4 numbers."""

    def __init__(self, scale):
        super().__init__()
        self.encoder, self.decoder = mlp(PIXELS, 64, 8 * 4), mlp(8 * 4, 64, PIXELS)
        self.codebook = nn.Parameter(scale * torch.randn(32, 4))

    def forward(self, x):
        z = self.encoder(x).view(-1, 4)
        ids = torch.cdist(z, self.codebook).argmin(1)
        rows = self.codebook[ids]
        beside = F.mse_loss(rows, z.detach()) + 0.25 * F.mse_loss(z, rows.detach())
        quantized = (z + (rows - z).detach()).view(len(x), -1)
        return self.decoder(quantized), beside, ids


def vq(known):
    def step(model, x, hidden):
        outputs, beside, ids = model(x)
        recon = F.mse_loss(outputs, x)
        told = {"inputs": x, "outputs": outputs, "targets": x}
        if known:
            told |= {"parts": {"recon": recon, "vq": beside}, "codes": ids}
        return recon + beside, told

    return step


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", [True, False])
def test_a_codebook_far_larger_than_the_vectors(known, seed, tmp_path):
    assert first(lambda: VQVAE(100.0), vq(known), tmp_path, seed) == "codebook-collapsed"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", [True, False])
def test_a_codebook_of_the_vectors_own_size(known, seed, tmp_path):
    assert first(lambda: VQVAE(0.3), vq(known), tmp_path, seed, steps=300) is None


# -- features of two views -------------------------------------------------------------------


def encoder():
    return mlp(PIXELS, 64, 16)


def view(x):
    return x + 0.3 * torch.randn_like(x)


def attraction(one, other):
    return -F.cosine_similarity(one, other).mean()


def contrast(one, other, dim=1):
    """InfoNCE (van den Oord et al. 2018, arXiv 1807.03748) of features of length 1."""
    one, other = F.normalize(one, dim=dim), F.normalize(other, dim=dim)
    return F.cross_entropy(one @ other.T / 0.2, torch.arange(len(one)))


def siamese(loss, known, views=view):
    def step(model, x, hidden):
        seen = views(x)
        one, other = model(seen), model(views(x) if views is view else seen)
        told = {"inputs": x} | ({"features": (one, other)} if known else {})
        return loss(one, other), told

    return step


def over_batch(one, other):
    return contrast(one, other, dim=0)


class SimSiam(nn.Module):
    """Chen & He 2021, arXiv 2011.10566."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(PIXELS, 64), nn.BatchNorm1d(64), nn.ReLU(),
                                     nn.Linear(64, 16), nn.BatchNorm1d(16))  # fmt: skip
        self.predictor = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(),
                                       nn.Linear(8, 16))  # fmt: skip


def simsiam(known):
    def step(model, x, hidden):
        one, other = model.encoder(view(x)), model.encoder(view(x))
        loss = attraction(model.predictor(one), other.detach())
        loss = loss + attraction(model.predictor(other), one.detach())
        return loss / 2, {"inputs": x} | ({"features": (one, other)} if known else {})

    return step


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", [True, False])
def test_nothing_pushes_samples_apart(known, seed, tmp_path):
    step = siamese(lambda a, b: F.mse_loss(a, b), known)
    assert first(encoder, step, tmp_path, seed, steps=520) == "features-collapsed"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", [True, False])
def test_two_views_that_are_one(known, seed, tmp_path):
    step = siamese(contrast, known, views=lambda x: x)
    assert first(encoder, step, tmp_path, seed) == "features-collapsed"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", [True, False])
def test_features_of_length_1_over_the_batch(known, seed, tmp_path):
    step = siamese(over_batch, known)
    assert first(encoder, step, tmp_path, seed) == "features-collapsed"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", [True, False])
def test_samples_are_pushed_apart_or_predicted(known, seed, tmp_path):
    assert first(encoder, siamese(contrast, known), tmp_path / "a", seed) is None
    assert first(SimSiam, simsiam(known), tmp_path / "b", seed, steps=300) is None


# -- losses of outputs and targets -----------------------------------------------------------


def masks(model, x, hidden):
    """Where a pixel is bright."""
    return model(x), (x > 0.5).float()


def dice(shares, mask):
    return 1 - (2 * (shares * mask).sum() + 1) / (shares.sum() + mask.sum() + 1)


def of_masks(squash, before=False):
    """Dice of what `squash` makes of the outputs; `before`: a monitor is told that."""

    def step(model, x, hidden):
        outputs, mask = masks(model, x, hidden)
        taken = squash(outputs)
        told = {"inputs": x, "outputs": taken if before else outputs, "targets": mask}
        return dice(taken, mask), told

    return step


def painter():
    return mlp(PIXELS, 64, PIXELS)


@pytest.mark.parametrize("seed", SEEDS)
def test_dice_of_logits(seed, tmp_path):
    step = of_masks(lambda outputs: outputs)
    assert first(painter, step, tmp_path, seed) == "output-activation"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("before", [True, False])
def test_dice_of_a_sigmoid(before, seed, tmp_path):
    step = of_masks(torch.sigmoid, before)
    assert first(painter, step, tmp_path, seed) is None


def classes(hidden):
    return hidden[:, :3].argmax(1)


def of_shares(loss):
    def step(model, x, hidden):
        outputs, labels = model(x), classes(hidden)
        told = {"inputs": x, "outputs": outputs, "targets": labels}
        return loss(outputs, F.one_hot(labels, 3).float()), told

    return step


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "loss",
    [
        lambda o, t: F.binary_cross_entropy_with_logits(o.softmax(1), t),
        lambda o, t: F.binary_cross_entropy(o.softmax(1).sigmoid(), t),
        lambda o, t: -(t * o.softmax(1).sigmoid().log()).sum(1).mean(),
    ],
)
def test_softmax_and_then_sigmoid(loss, seed, tmp_path):
    found = first(lambda: mlp(PIXELS, 32, 3), of_shares(loss), tmp_path, seed)
    assert found == "activation-twice"


@pytest.mark.parametrize("seed", SEEDS)
def test_softmax_alone(seed, tmp_path):
    step = of_shares(lambda o, t: -(t * (o.softmax(1) + 1e-8).log()).sum(1).mean())
    assert first(lambda: mlp(PIXELS, 32, 3), step, tmp_path, seed) is None


def smooth(outputs, targets):
    """Charbonnier's."""
    return ((outputs - targets).square() + 1e-3).sqrt().mean()


def number(target, loss=smooth, scale=1.0):
    """Regression of one number."""

    def step(model, x, hidden):
        outputs, targets = model(scale * x), target(hidden[:, 0])
        return loss(outputs, targets), {"inputs": scale * x, "outputs": outputs, "targets": targets}

    return step


def regressor():
    return mlp(PIXELS, 32, 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_outputs_beside_targets_of_another_shape(seed, tmp_path):
    assert first(regressor, number(lambda h: h), tmp_path / "a", seed) == "shapes-broadcast"
    sound = number(lambda h: h[:, None])
    assert first(regressor, sound, tmp_path / "b", seed) is None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("loss", [smooth, F.mse_loss])
def test_targets_of_a_million(loss, seed, tmp_path):
    step = number(lambda h: 1e6 * (1 + 0.1 * h[:, None]), loss)
    assert first(regressor, step, tmp_path, seed) == "targets-out-of-range"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("loss", [smooth, F.mse_loss])
def test_inputs_of_ten_thousand(loss, seed, tmp_path):
    step = number(lambda h: h[:, None], loss, scale=1e4)
    assert first(regressor, step, tmp_path, seed) == "input-out-of-range"


def labelled(shuffled):
    def step(model, x, hidden):
        labels = classes(hidden)
        labels = labels[torch.randperm(len(labels))] if shuffled else labels
        outputs = model(x)
        told = {"inputs": x, "outputs": outputs, "targets": labels}
        return F.cross_entropy(outputs, labels), told

    return step


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_of_other_samples_without_a_validation(seed, tmp_path):
    def net():
        return mlp(PIXELS, 32, 3)

    assert first(net, labelled(True), tmp_path / "a", seed, lr=1e-3) == "predicts-the-mean"
    assert first(net, labelled(False), tmp_path / "b", seed, lr=1e-2) is None


# -- and the training is the same ------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "step"),
    [
        (VAE, vae(False)),
        (lambda: VQVAE(0.3), vq(True)),
        (encoder, siamese(contrast, True)),
        (painter, of_masks(torch.sigmoid)),
    ],
)
def test_whatever_is_told_the_training_is_the_same_bit_for_bit(make, step, tmp_path):
    def run(folder, lr=1e-2):
        torch.manual_seed(0)
        model = make()
        trained(model, told, folder, steps=40, lr=lr)
        weights = torch.cat([p.detach().flatten() for p in model.parameters()])
        return weights, torch.get_rng_state()

    def told(model, x, hidden):
        loss, more = step(model, x, hidden)
        return loss, more | {"loss_fn": lambda outputs, targets: dice(outputs, targets)}

    plain, watched = run(None), run(tmp_path)
    assert all(torch.equal(*pair) for pair in zip(plain, watched, strict=True))
    assert not torch.equal(plain[0], run(None, 1.0001e-2)[0])  # proof that it can fail

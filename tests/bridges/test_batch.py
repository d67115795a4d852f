"""What a loop hands over at a step: errors in one line, and figures that are those of numpy."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from famulus.bridges.batch import SIGMA, Batch, checked_batch, inside
from famulus.config.errors import ConfigError

B, D = 40, 6
ROUNDED = 1e-3  # four digits are kept


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


MU, WIDTH = drawn(B, D), drawn(B, D, seed=1).abs() + 0.1
SCORES = drawn(3, 4)


@pytest.mark.parametrize(
    ("wrong", "expected", "received"),
    [
        ({"latent": (MU, WIDTH)}, "latent=", "tuple"),
        ({"latent": MU}, "latent=", "a tensor of torch.float32"),
        ({"latent": {"mu": MU}}, "latent=", "['mu']"),
        ({"latent": {"logvar": MU}}, "latent=", "['logvar']"),
        ({"latent": {"mu": MU, "width": WIDTH}}, "latent=", "['mu', 'width']"),
        ({"latent": {"mu": 0.0, "logvar": WIDTH}}, "latent=", "['logvar', 'mu']"),
        ({"latent": {"mu": MU, "logvar": 0.0}}, "latent=", "['logvar', 'mu']"),
        ({"latent": {}}, "latent=", "dict"),
        ({"codes": SCORES}, "codes as a tensor of code ids", "a tensor of torch.float32"),
        ({"codes": [1, 2]}, "codes as a tensor of code ids", "list"),
        ({"codes": SCORES * 1j}, "codes as a tensor of code ids", "a tensor of torch.complex64"),
        ({"features": "z"}, "features as a tensor (B, D)", "str"),
        ({"features": []}, "features as a tensor (B, D)", "list"),
        ({"loss_fn": "mse"}, "loss_fn as a function", "str"),
        ({"loss_fn": SCORES}, "loss_fn as a function", "a tensor of torch.float32"),
    ],
)
def test_what_is_not_what_its_name_says(wrong, expected, received):
    with pytest.raises(ConfigError) as told:
        checked_batch(Batch(**wrong))
    text = str(told.value)
    assert text.startswith("Monitor.step: expected ")
    assert "\n" not in text
    assert expected in text
    assert text.partition("received")[2].strip() == received


def test_what_is_as_it_should_be_is_handed_on():
    batch = Batch(
        latent={"mean": MU, "std": WIDTH},
        codes=(torch.zeros(3, 2, dtype=torch.int16),),
        features=(MU, MU),
        loss_fn=F.mse_loss,
    )
    assert checked_batch(batch) is batch
    assert checked_batch(Batch()) == Batch()


def gaussian(mu, sigma):
    """KL(N(mu, sigma^2) | N(0, 1)) of each sample, summed over units, in float64."""
    m, s = (t.double().numpy() for t in (mu, sigma))
    return (0.5 * (m**2 + s**2 - 1) - np.log(s)).sum(1).mean()


WRITTEN = {  # a width's name -> what is written of a standard deviation
    "logvar": lambda s: 2 * s.log(),
    "log_var": lambda s: s.square().log(),
    "logsigma": torch.log,
    "log_sigma": torch.log,
    "var": torch.square,
    "sigma": lambda s: s,
    "std": lambda s: s,
}


def test_each_name_of_a_width_is_tested():
    assert set(WRITTEN) == set(SIGMA)


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("mean", ["mu", "mean", "loc"])
def test_a_posterior_under_each_of_its_names(name, mean):
    mu = MU.clone().requires_grad_()
    mu.data[:, :2] = 0.3  # which tell nothing of the sample
    found = inside(Batch(latent={mean: mu, name: WRITTEN[name](WIDTH)}), [])["code"]
    assert found["kl"] == pytest.approx(gaussian(mu.detach(), WIDTH), rel=ROUNDED)
    assert found["sigma"] == pytest.approx(float(WIDTH.double().mean()), rel=ROUNDED)
    assert (found["active"], found["code"]) == (D - 2, D)


def test_a_posterior_of_places_counts_each_of_them():
    mu, sigma = MU.reshape(B, 2, 3), WIDTH.reshape(B, 2, 3)
    found = inside(Batch(latent={"mu": mu, "sigma": sigma}), [])["code"]
    assert found["kl"] == pytest.approx(gaussian(MU, WIDTH), rel=ROUNDED)
    assert found["code"] == D
    assert "code" not in inside(Batch(latent={"mu": mu[:1], "sigma": sigma[:1]}), [])


@pytest.mark.parametrize(
    ("sizes", "size"), [([], None), ([8, 32], None), ([4, 32], 32), ([4], None)]
)
def test_codes_and_the_codebook_that_holds_them(sizes, size):
    ids = torch.tensor([[0, 0, 7, 7], [0, 0, 3, 3]])
    found = inside(Batch(codes=ids), sizes)["codebook"]
    assert found["perplexity"] == pytest.approx(2**1.5, rel=ROUNDED)  # shares 1/2, 1/4, 1/4
    assert (found["used"], found["vectors"], found.get("size")) == (3, 8, size)


def test_ids_below_zero_are_no_codes_and_large_ones_cost_nothing():
    found = inside(Batch(codes=torch.tensor([-1, 5, 5, 10**12])), [])["codebook"]
    assert (found["used"], found["vectors"]) == (2, 3)
    assert "codebook" not in inside(Batch(codes=torch.tensor([-1, -1])), [])


def test_a_mean_and_a_width_of_two_shapes():
    with pytest.raises(ConfigError, match=r"one shape, received \(4, 2\) and \(4, 3\)"):
        checked_batch(Batch(latent={"mu": torch.zeros(4, 2), "logvar": torch.zeros(4, 3)}))


def pairs(z):
    u = F.normalize(z.double(), dim=1).numpy()
    products = u @ u.T
    return products[~np.eye(len(u), dtype=bool)].mean()


def test_features_of_one_view_and_of_two():
    one, other = drawn(B, D) + 1, drawn(B, D, seed=1)
    found = inside(Batch(features=one), [])["features"]
    assert found["cosine"] == pytest.approx(pairs(one), rel=ROUNDED)
    assert found["of"] == D
    assert "views" not in found
    both = inside(Batch(features=(one, other)), [])["features"]
    apart = np.abs(one.double().numpy() - other.double().numpy()).max() / float(one.abs().max())
    assert both["views"] == pytest.approx(apart, rel=ROUNDED)
    assert both["cosine"] == found["cosine"]  # of the first view
    assert inside(Batch(features=(one, one.clone())), [])["features"]["views"] == 0


@pytest.mark.parametrize(("dim", "unit", "other"), [(0, "columns", "rows"), (1, "rows", "columns")])
def test_features_of_length_1_over_samples_or_over_their_numbers(dim, unit, other):
    z = drawn(B, D)
    found = inside(Batch(features=F.normalize(z, dim=dim)), [])["features"]
    assert found[unit] < 1e-5
    lengths = np.linalg.norm(F.normalize(z, dim=dim).double().numpy(), axis=1 - dim)
    assert found[other] == pytest.approx(np.abs(lengths - 1).max(), rel=ROUNDED)


def test_what_can_not_be_compared_is_left_out():
    assert inside(Batch(), []) == {}
    assert inside(Batch(features=drawn(3, 8)), []) == {}  # of so few samples
    assert inside(Batch(features=drawn(8, 2, 5, 5)), []) == {}
    assert inside(Batch(codes=torch.zeros(0, dtype=torch.long)), []) == {}

"""What a loss does to the outputs, read off real graphs of losses that people write themselves."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus.diagnosis.graph import between, name, read_graph

B, PIXELS = 6, 12
X = torch.randn(B, PIXELS, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
ONES = F.one_hot(LABELS, 3).float()


def graph(loss, net=None):
    """Of `loss(outputs)`, the outputs (6, 3) of a linear layer, after its backward pass."""
    torch.manual_seed(0)
    outputs = (net or nn.Linear(PIXELS, 3))(X)
    value = loss(outputs)
    value.backward()
    return read_graph(value, outputs)


def bce(outputs):
    return F.binary_cross_entropy_with_logits(outputs, ONES)


def mse(outputs):
    return F.mse_loss(outputs, ONES)


TWICE = {  # loss, [outer, inner]
    "sigmoid of softmax": (lambda o: mse(o.softmax(1).sigmoid()), ["Sigmoid", "Softmax"]),
    "softmax of sigmoid": (lambda o: mse(o.sigmoid().softmax(1)), ["Softmax", "Sigmoid"]),
    "in bce with logits": (
        lambda o: bce(o.softmax(1)), ["BinaryCrossEntropyWithLogits", "Softmax"]
    ),
    "cross entropy of shares": (
        lambda o: F.cross_entropy(o.softmax(1), LABELS), ["LogSoftmax", "Softmax"]
    ),
    "scaled between": (lambda o: mse((o.softmax(1) / 0.1).sigmoid()), ["Sigmoid", "Softmax"]),
    "reshaped between": (
        lambda o: mse(o.softmax(1).T.reshape(B, 3).sigmoid()), ["Sigmoid", "Softmax"]
    ),
}  # fmt: skip
ONCE = {
    "one": lambda o: mse(o.softmax(1)),
    "side by side": lambda o: mse(o.softmax(1)) + bce(o),
    "another value of it": lambda o: bce(o.softmax(1) + o),
    "its logarithm": lambda o: bce(o.softmax(1).log()),
    "a power": lambda o: mse(o.sigmoid().square().softmax(1)),
    "another layer between": lambda o: mse(
        (o.softmax(1) @ torch.eye(3).requires_grad_()).sigmoid()
    ),
}


@pytest.mark.parametrize("kind", TWICE)
def test_one_value_that_passes_two_activations(kind):
    loss, pair = TWICE[kind]
    assert graph(loss)["twice"] == [pair]


@pytest.mark.parametrize("kind", ONCE)
def test_activations_that_do_not_follow_each_other(kind):
    assert "twice" not in graph(ONCE[kind])


def test_the_activation_of_the_net_counts():
    net = nn.Sequential(nn.Linear(PIXELS, 3), nn.Softmax(1))
    found = graph(bce, net)
    assert found["twice"] == [["BinaryCrossEntropyWithLogits", "Softmax"]]
    assert found["output"] == "Softmax"


LINK = {
    "sigmoid": lambda o: mse(o.sigmoid()),
    "softmax": lambda o: -(ONES * o.log_softmax(1)).sum(),
    "tanh": lambda o: mse((2 * o).view(3, B).tanh().view(B, 3)),
    "": lambda o: mse(o) + mse((o + 1).sigmoid()),
}


@pytest.mark.parametrize("link", LINK)
def test_what_is_made_of_the_outputs_first(link):
    assert graph(LINK[link]).get("link", "") == link


@pytest.mark.parametrize(("dim", "over_batch"), [(0, True), (1, False)])
@pytest.mark.parametrize("log", [False, True])
def test_the_axis_that_shares_are_taken_over(dim, over_batch, log):
    """(6, 3): samples and classes."""

    def loss(outputs):
        return mse(outputs.log_softmax(dim) if log else outputs.softmax(dim))

    assert graph(loss).get("shares_over_batch", False) is over_batch
    net = nn.Sequential(nn.Linear(PIXELS, 3), nn.Softmax(dim))
    assert graph(mse, net).get("shares_over_batch", False) is over_batch


def test_similarities_of_samples_are_compared_both_ways():
    def loss(outputs):
        similar = outputs @ outputs.T
        return -similar.softmax(0).diagonal().log().mean()

    assert "shares_over_batch" not in graph(loss)


# -- features of unit length over the batch --------------------------------------------------


def compared(dim):
    """Samples with samples, InfoNCE."""

    def loss(outputs):
        z = F.normalize(outputs, dim=dim)
        return F.cross_entropy(z @ z.T / 0.1, torch.arange(B))

    return loss


def barlow(outputs):
    """Features with features (Zbontar et al. 2021, arXiv 2103.03230)."""
    z = F.normalize(outputs - outputs.mean(0), dim=0)
    return (z.T @ z - torch.eye(3)).square().sum()


@pytest.mark.parametrize(
    ("loss", "over_batch"),
    [
        (compared(0), True),
        (compared(1), False),
        (barlow, False),
        (lambda o: (F.normalize(o, dim=0) - ONES).square().mean(), True),
        (lambda o: (F.normalize(o, dim=1) - ONES).square().mean(), False),
    ],
)
def test_features_that_are_normed_over_the_batch(loss, over_batch):
    assert graph(loss).get("normed_over_batch", False) is over_batch


# -- the largest tensor ----------------------------------------------------------------------


@pytest.mark.parametrize(("targets", "numbers"), [((B,), B * B), ((B, 1), B)])
def test_the_widest_tensor_of_a_loss_of_ones_own(targets, numbers):
    """(6, 1) beside (6,) are all pairs."""

    def loss(outputs):
        return ((outputs - torch.zeros(targets)).square() + 1e-3).sqrt().mean(1).mean()

    assert math.prod(graph(loss, nn.Linear(PIXELS, 1))["widest"]) == numbers


# -- what a guess scores ---------------------------------------------------------------------


def ce(outputs, **options):
    return F.cross_entropy(outputs, LABELS, **options)


CHANCE = {  # loss, what equal shares of all three classes score; None where that is not known
    "one": (ce, math.log(3)),
    "mean of two": (lambda o: (ce(o) + ce(o.flip(1))) / 2, math.log(3)),
    "mean of stacked": (lambda o: torch.stack([ce(o), ce(o.flip(1))]).mean(), math.log(3)),
    "sum of two": (lambda o: ce(o) + ce(o.flip(1)), 2 * math.log(3)),
    "with another term": (lambda o: ce(o) + o.square().mean(), None),
    "scaled": (lambda o: 0.3 * ce(o), None),
    "weighted": (lambda o: 0.3 * ce(o) + 0.7 * ce(o.flip(1)), None),
    "divided for gradients that are added up": (lambda o: ce(o) / 4, None),
    "summed": (lambda o: ce(o, reduction="sum"), None),
    "of other numbers of choices": (lambda o: ce(o) + ce(torch.cat([o, o], 1)), None),
    "no cross entropy": (mse, None),
    "of places": (
        lambda o: F.cross_entropy(o[:, :, None, None].expand(B, 3, 2, 2),
                                  LABELS[:, None, None].expand(B, 2, 2)), math.log(3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANCE)
def test_what_a_guess_of_equal_shares_scores(kind):
    loss, chance = CHANCE[kind]
    assert graph(loss).get("chance") == (None if chance is None else pytest.approx(chance))


@pytest.mark.parametrize("kind", [k for k, (_, chance) in CHANCE.items() if chance])
def test_and_that_is_what_the_loss_gives_there(kind):
    loss, chance = CHANCE[kind]
    assert float(loss(torch.zeros(B, 3))) == pytest.approx(chance)


def test_classes_that_are_weighted_still_score_the_same_by_guessing():
    weights = torch.tensor([1.0, 5.0, 0.2])
    found = graph(lambda o: ce(o, weight=weights)).get("chance")
    assert found == pytest.approx(float(ce(torch.zeros(B, 3), weight=weights)))


# -- the way from outputs to loss ------------------------------------------------------------


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(PIXELS, 4), nn.Linear(2, PIXELS)

    def forward(self, x):
        mu, logvar = self.encoder(x).chunk(2, 1)
        return self.decoder(mu + (logvar / 2).exp() * torch.randn_like(mu)), mu, logvar


def test_a_divergence_of_codes_is_no_part_of_the_way():
    outputs, mu, logvar = VAE()(X)
    kl = (mu.square() + logvar.exp() - 1 - logvar).sum() / 2
    loss = F.mse_loss(outputs.sigmoid(), X.sigmoid()) + kl
    names = [name(node) for node in between(loss.grad_fn, outputs.grad_fn)]
    assert names == ["Add", "MseLoss", "Sigmoid"]
    assert read_graph(loss, outputs)["loss"] == names
    assert read_graph(loss, outputs)["means"] == ["MseLoss"]


def test_a_term_that_takes_the_outputs_too_is_a_part_of_it():
    outputs, mu, _ = VAE()(X)
    loss = F.mse_loss(outputs, X) + outputs.abs().mean() + mu.square().sum()
    found = set(read_graph(loss, outputs)["loss"])
    assert found == {"Add", "MseLoss", "Mean", "Abs"}

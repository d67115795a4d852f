"""Which loss gave a value, what outputs and targets are: against torch's own losses."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from famulus.diagnosis.loss_forms import (
    constant_loss,
    decided,
    left_over,
    matching,
    output_kind,
    target_kind,
)

G = torch.Generator().manual_seed(0)
O = torch.randn(12, 4, generator=G)  # noqa: E741
IDS = torch.randint(0, 4, (12,), generator=G)
ONE = F.one_hot(IDS, 4).float()
YES = (torch.rand(12, 1, generator=G) > 0.4).float()
REAL = torch.randn(12, 4, generator=G)

CASES = {
    "cross_entropy": (lambda: F.cross_entropy(O, IDS), O, IDS, 1.0),
    "nll": (lambda: F.nll_loss(O, IDS), O, IDS, 1.0),
    "nll_of_probabilities": (
        lambda: F.nll_loss(O.softmax(1).log(), IDS, reduction="sum"), O.softmax(1), IDS, 12.0,
    ),
    "mse_one_hot": (lambda: F.mse_loss(O, ONE), O, IDS, 1.0),
    "mse": (lambda: F.mse_loss(O, REAL, reduction="sum"), O, REAL, 48.0),
    "l1": (lambda: F.l1_loss(O, REAL), O, REAL, 1.0),
    "bce_with_logits": (
        lambda: F.binary_cross_entropy_with_logits(O[:, :1], YES), O[:, :1], YES, 1.0,
    ),
    "bce": (lambda: F.binary_cross_entropy(O[:, :1].sigmoid(), YES), O[:, :1].sigmoid(), YES, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_loss_is_recognised_by_its_value(name):
    loss, outputs, targets, factor = CASES[name]
    assert matching(float(loss()), outputs, targets) == (name, factor)


@pytest.mark.parametrize("ignored", [-1, -100, 255])
def test_places_that_a_loss_ignores_count_nowhere(ignored):
    """A padded text and a map with a border are judged by what is left without them."""
    ids = torch.cat([IDS, torch.full((20,), ignored)])
    outputs = torch.cat([O, torch.randn(20, 4, generator=torch.Generator().manual_seed(1))])
    loss = float(F.cross_entropy(outputs, ids, ignore_index=ignored))
    assert loss == pytest.approx(float(F.cross_entropy(O, IDS)))
    assert matching(loss, outputs, ids) == ("cross_entropy", 1.0)
    assert left_over(outputs, ids) == left_over(O, IDS)
    assert constant_loss("cross_entropy", ids, 4) == constant_loss("cross_entropy", IDS, 4)
    # as maps: (B, K, H) and (B, H)
    maps, map_ids = outputs.reshape(4, 8, 4).movedim(2, 1), ids.reshape(4, 8)
    assert matching(loss, maps, map_ids) == ("cross_entropy", 1.0)
    assert left_over(maps, map_ids) == left_over(O, IDS)


def test_maps_under_a_loss_of_ones_own_are_no_standard_loss():
    """As a segmentation's cross entropy and Dice together: none is found, and nothing raises."""
    outputs = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    ids = torch.randint(0, 4, (2, 5, 6), generator=torch.Generator().manual_seed(2))
    loss = F.cross_entropy(outputs, ids)
    assert matching(float(loss), outputs, ids) == ("cross_entropy", 1.0)
    assert matching(float(loss) + 0.7, outputs, ids) is None


def test_a_batch_of_ignored_places_alone_says_nothing():
    assert left_over(O, torch.full((12,), -1)) is None
    assert matching(1.0, O, torch.full((12,), -1)) is None


def test_another_value_is_no_standard_loss():
    assert matching(float(F.cross_entropy(O, IDS)) * 1.01, O, IDS) is None
    assert matching(float(F.cross_entropy(O, IDS, label_smoothing=0.1)), O, IDS) is None
    assert matching(math.nan, O, IDS) is None


@pytest.mark.parametrize(
    ("targets", "kind"),
    [
        (IDS, ("classes", 4)),
        (IDS.float()[:, None], ("classes", 4)),
        (YES, ("binary", 2)),
        (ONE, ("one-hot", 4)),
        (REAL, ("real", 0)),
        (torch.tensor([0.0, 1.0, 2.5]), ("real", 0)),
        (torch.tensor([5.0, 40.0, 300.0]), ("real", 0)),
    ],
)
def test_kinds_of_targets(targets, kind):
    assert target_kind(targets) == kind


def test_kinds_of_outputs():
    assert output_kind(O) == "real"
    assert output_kind(O.softmax(1)) == "probabilities"
    assert output_kind(O.log_softmax(1)) == "log-probabilities"
    assert output_kind(O.sigmoid()) == "unit"


def test_what_is_left_is_one_for_the_best_constant_and_none_for_the_truth():
    most = F.one_hot(IDS.bincount().argmax().expand(12), 4).float()
    assert left_over(most, IDS)["left"] == pytest.approx(1.0)
    assert left_over(ONE, IDS)["left"] == 0.0
    assert left_over(REAL, REAL)["left"] == 0.0
    assert left_over(O, torch.zeros(12, dtype=torch.long)) is None


@pytest.mark.parametrize("shape", [(12,), (12, 1), (12, 4), (12, 1, 3, 3), (4, 6)])
def test_of_numbers_the_true_mean_of_each_place_leaves_one_on_the_average(shape):
    rng = np.random.default_rng(3)
    mean = rng.normal(size=shape[1:]) if len(shape) > 1 and shape[0] >= 8 else rng.normal()
    left = []
    for _ in range(600):  # batches, none of which the predictor has seen
        truth = torch.tensor(mean + rng.normal(size=shape))
        constant = torch.tensor(np.broadcast_to(mean, shape).copy())
        left.append(left_over(constant, truth)["left"])
    assert np.mean(left) == pytest.approx(1.0, abs=5 * np.std(left) / 600**0.5 + 0.02)


def test_a_picture_of_means_has_learned_nothing():
    rng = np.random.default_rng(4)
    picture = 3 * rng.normal(size=(1, 8, 8))  # places differ much more than samples do
    truth = torch.tensor(picture + rng.normal(size=(64, 1, 8, 8)))
    constant = torch.tensor(picture).expand(64, 1, 8, 8)
    assert left_over(constant, truth)["left"] == pytest.approx(1.0, abs=0.1)
    assert left_over(constant, truth)["agreement"] == pytest.approx(0.0, abs=0.01)


def test_agreement_is_the_squared_correlation_around_the_means_less_chance():
    rng = np.random.default_rng(5)
    truth, noise = rng.normal([5, 0, -9], size=(400, 3)), rng.normal(size=(400, 3))
    given = 40 - 7 * truth + 7 * noise  # another scale, sign and offset: half of it is noise
    found = left_over(torch.tensor(given), torch.tensor(truth))
    r = np.corrcoef((given - given.mean(0)).ravel(), (truth - truth.mean(0)).ravel())[0, 1]
    assert found["agreement"] == pytest.approx(1 - (1 - r**2) * 399 / 398, abs=1e-9)
    assert found["agreement"] == pytest.approx(0.5, abs=0.05)
    by_chance = [
        left_over(torch.tensor(rng.normal(size=(16, 1))), torch.tensor(rng.normal(size=(16, 1))))
        for _ in range(400)
    ]
    # squares of correlations of 16 pairs are 1/15 on the average
    assert np.mean([f["agreement"] for f in by_chance]) < 0.6 / 15


@pytest.mark.parametrize(("link", "back"), [("sigmoid", torch.logit), ("tanh", torch.atanh)])
def test_outputs_are_judged_as_what_the_loss_makes_of_them(link, back):
    truth = torch.rand(32, 1, 4, 4, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1
    assert left_over(back(truth), truth, link=link)["left"] < 1e-9
    assert left_over(back(truth), truth)["left"] > 0.1
    yes = (truth.flatten(1)[:, :1] > 0.5).float()
    assert left_over(10 * (yes - 0.45), yes, link="sigmoid")["left"] == 0.0
    assert left_over(back(truth), truth, "bce_with_logits" if link == "sigmoid" else None, link)[
        "left"
    ] == pytest.approx(0.0, abs=1e-9)


def test_one_column_is_cut_where_its_loss_cuts_it():
    column = torch.tensor([[-1.0], [0.3], [2.0]])
    truth = torch.tensor([[0.0], [1.0], [1.0]])
    assert decided(column, truth, "bce_with_logits")[0].tolist() == [0, 1, 1]
    assert decided(column, truth, "mse")[0].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("name", "targets", "loss"),
    [
        ("cross_entropy", IDS, lambda c: F.cross_entropy(c.expand(12, 4), IDS)),
        ("mse_one_hot", IDS, lambda c: F.mse_loss(c.expand(12, 4), ONE)),
        ("mse", REAL, lambda c: F.mse_loss(c.expand(12, 4), REAL)),
        ("bce_with_logits", YES, lambda c: F.binary_cross_entropy_with_logits(
            c[:, :1].expand(12, 1), YES)),
    ],
)  # fmt: skip
def test_the_best_constant_is_what_an_optimizer_finds(name, targets, loss):
    constant = torch.zeros(1, 4, requires_grad=True)
    optimizer = torch.optim.LBFGS([constant], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = loss(constant)
        value.backward()
        return value

    optimizer.step(closure)
    assert constant_loss(name, targets, 4) == pytest.approx(
        float(loss(constant.detach())), rel=1e-3
    )


@pytest.mark.parametrize("samples", [11, 12])
def test_the_best_constant_of_absolute_errors_is_found_by_trying_all(samples):
    """The least of a sum of distances lies at one of the values, in each column."""
    skewed = REAL[:samples].exp() ** 2  # far from symmetric: the mean is another answer
    tried = (skewed[:, None] - skewed[None]).abs().mean(0)  # value x column
    best = float(tried.min(0).values.mean())
    assert constant_loss("l1", skewed, 4) == pytest.approx(best, rel=1e-6)
    at_mean = float((skewed - skewed.mean(0)).abs().mean())
    assert at_mean > 1.1 * best  # the control


def test_the_loss_that_is_likely_is_asked_first():
    """With differences below 1 a smooth distance is half the squared one: both are right."""
    outputs, targets = O / 10, REAL / 10
    value = float(F.smooth_l1_loss(outputs, targets))
    assert matching(value, outputs, targets) == ("mse", 0.5)
    assert matching(value, outputs, targets, likely="smooth_l1") == ("smooth_l1", 1.0)
    assert matching(float(F.l1_loss(O, REAL)), O, REAL, likely="smooth_l1") == ("l1", 1.0)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.0, 1.0, 2.0, 2.0], ("classes", 3)),
        ([0.0, 2.0, 3.0], ("real", 0)),  # nothing is of class 1
        ([1.0, 2.0, 3.0], ("real", 0)),
        ([0.0, 100.0], ("real", 0)),
        ([-1.0, 0.0, 1.0], ("real", 0)),
        ([0.0, 0.5, 1.0], ("real", 0)),
        ([0.0, math.inf], ("real", 0)),
        ([0.0, math.nan], ("real", 0)),
        ([1.0, 1.0], ("binary", 2)),
        ([float(n) for n in range(100)], ("classes", 100)),
        ([float(n) for n in range(101)], ("real", 0)),
    ],
)
def test_floats_that_spell_classes(values, kind):
    assert target_kind(torch.tensor(values)) == kind

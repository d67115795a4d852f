"""Losses against float64 loops and torch's own."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from famulus.tasks.pretext import contrastive as c


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_smooth_softmax_limits():
    logits = random(4, 5)
    assert torch.allclose(c.smooth_softmax(logits), logits.softmax(-1))
    assert c.smooth_softmax(logits, 0.01).max(-1).values.min() > 0.9
    assert (c.smooth_softmax(logits, 1e4) - 0.2).abs().max() < 1e-3
    assert torch.allclose(c.smooth_softmax(logits, 2.0, log=True).exp(), (logits / 2).softmax(-1))
    with pytest.raises(ValueError, match="temperature"):
        c.smooth_softmax(logits, 0.0)


def test_cosines_under_temperature_root_three_are_capped():
    """Of three cosines the softmax reaches at most .61 there, as the journal's head."""
    best = torch.tensor([1.0, -1.0, -1.0])
    assert float(c.smooth_softmax(best, math.sqrt(3)).max()) == pytest.approx(0.6135, abs=1e-3)


def test_soft_labels_of_one_class_are_cross_entropy():
    logits, label = random(6, 4), torch.tensor([0, 3, 1, 2, 2, 0])
    hard = torch.nn.functional.one_hot(label, 4).double()
    assert torch.allclose(c.soft_label(logits, hard), cross_entropy(logits, label))
    assert torch.allclose(c.soft_label(logits, 5 * hard), cross_entropy(logits, label))


def test_soft_labels_are_best_at_their_logarithm():
    target = random(6, 4).softmax(-1)
    best = c.soft_label(target.log(), target)
    entropy = -(target * target.log()).sum(-1).mean()
    assert torch.allclose(best, entropy)
    assert c.soft_label(target.log() + 0.3 * random(6, 4, seed=1), target) > best


def test_multi_label_refuses_class_numbers_and_broadcasting():
    with pytest.raises(ValueError, match="floats"):
        c.multi_label(random(3, 2), torch.ones(3, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"shape \(3, 1\), received \(3,\)"):
        c.multi_label(random(3, 1), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_margin_loss_by_hand(reduction):
    d, t = random(5, 3).abs(), torch.rand(5, 3, dtype=torch.float64)
    rows = []
    for i in range(5):
        row = [
            float(t[i, n]) * float(d[i, n]) ** 2
            + (1 - float(t[i, n])) * max(0.0, 1.5 - float(d[i, n])) ** 2
            for n in range(3)
        ]
        rows.append(sum(row) / 3)
    expected = {"none": rows, "mean": sum(rows) / 5, "sum": sum(rows)}[reduction]
    found = c.margin_loss(d, t, 1.5, reduction)
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64))


def test_pairwise_distance_is_not_squared_and_has_a_slope_at_zero():
    a = random(4, 3)
    assert torch.allclose(c.pairwise_distance(a, a + 2), torch.tensor(math.sqrt(12.0)).double())
    x = a.clone().requires_grad_()
    c.pairwise_distance(x, a).backward()
    assert x.grad.isfinite().all()


def nats(a, b, target, temperature):
    """-sum_j t_ij ln p_ij, mean over i, in float64 loops: which b belongs to each a."""
    rows = []
    for i in range(len(a)):
        z = [float(a[i] @ b[j] / a[i].norm() / b[j].norm() / temperature) for j in range(len(b))]
        total = math.log(sum(math.exp(v) for v in z))
        rows.append(-sum(float(target[i, j]) * (z[j] - total) for j in range(len(b))))
    return sum(rows) / len(rows)


def test_info_nce_is_the_mean_of_both_directions():
    a, b, one = random(5, 8), random(5, 8, seed=1), torch.eye(5, dtype=torch.float64)
    there, back = nats(a, b, one, 0.3), nats(b, a, one, 0.3)
    assert c.info_nce(a, b, 0.3).item() == pytest.approx((there + back) / 2, rel=1e-12)
    assert abs(there - back) > 1e-3  # either alone is another loss
    same = torch.ones(5, 8)
    assert c.info_nce(same, same).item() == pytest.approx(math.log(5), abs=1e-5)  # collapsed
    assert c.info_nce(a, a, 0.05) < 0.1


def test_mixed_info_nce_asks_rows_of_a_for_their_shares():
    a, b, target = random(5, 8), random(5, 8, seed=1), random(5, 5, seed=2).softmax(-1)
    there, back = nats(a, b, target, 0.3), nats(b, a, (target / target.sum(0)).T, 0.3)
    assert c.mixed_info_nce(a, b, target, 0.3).item() == pytest.approx(there, rel=1e-12)
    both = c.mixed_info_nce(a, b, target, 0.3, symmetric=True).item()
    assert both == pytest.approx((there + back) / 2, rel=1e-12)
    for wrong in (back, nats(a, b, target.T, 0.3)):  # of the other side's rows
        assert abs(there - wrong) > 1e-3


def test_targets_of_mixtures():
    w, partner = torch.tensor([0.7, 0.6, 1.0]), torch.tensor([2, 0, 1])
    target = c.mixing_targets(w, partner)
    assert torch.allclose(target.sum(1), torch.ones(3))
    assert target.tolist() == [
        pytest.approx(row) for row in ([0.7, 0, 0.3], [0.4, 0.6, 0], [0, 0, 1])
    ]
    alone = c.mixing_targets(torch.tensor([0.7]), torch.tensor([0]))
    assert alone.tolist() == [[1.0]]

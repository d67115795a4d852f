"""Quantisation against brute force, closed forms and the limits of each formula."""

import math

import numpy as np
import pytest
import torch

from famulus.tasks.codes import quantisation as q

torch.manual_seed(0)


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def test_nearest_is_brute_force():
    z, e = randn(2, 50, 3), randn(2, 7, 3)
    expected = ((z[:, :, None] - e[:, None]) ** 2).sum(3).argmin(2)
    assert torch.equal(q.nearest(z, e), expected)
    assert torch.equal(q.look_up(e, expected)[1, 4], e[1, expected[1, 4]])


def test_sums_leave_out_what_weighs_nothing():
    z, codes = torch.randn(1, 6, 2), torch.tensor([[0, 1, 1, 2, 0, 1]])
    weight = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 1.0])
    counts, sums = q.gather_sums(z, codes, 4, weight)
    assert counts.tolist() == [[2, 2, 1, 0]]
    torch.testing.assert_close(sums[0, 1], z[0, 1] + z[0, 5])
    counts, _ = q.gather_sums(z, codes, 4)  # control: unweighted counts the padding
    assert counts.tolist() == [[2, 3, 1, 0]]


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_first_average_is_the_mean_of_the_first_batch(decay):
    """Zero-debias: after one step from 0 the average is that batch, whatever the decay."""
    z, codes = randn(1, 40, 3), torch.arange(40)[None] % 4
    counts, sums = q.gather_sums(z, codes, 8)
    start = randn(1, 8, 3)
    w = torch.tensor(1 - decay, dtype=torch.float64)
    e = q.average_codebook(start, w * counts, w * sums, w)
    # counts are smoothed by eps / counts, 1e-6 of these
    torch.testing.assert_close(e[0, 2], z[0, 2::4].mean(0), rtol=2e-6, atol=0)
    torch.testing.assert_close(e[0, 5], start[0, 5])  # nobody chose it


def test_averages_that_start_at_the_codebook_fly_apart():
    """Control: counts from 0 with sums from the codebook, as several libraries do."""
    start, counts = torch.randn(1, 8, 3), torch.zeros(1, 8)
    counts[0, 0] = 10
    sums = 0.99 * start + 0.01 * 0
    broken = sums / q.smooth_counts(0.01 * counts)[..., None]
    assert (broken.norm(dim=2) > 100 * start.norm(dim=2))[0, 1:].all()
    ours = q.average_codebook(start, 0.01 * counts, 0.01 * sums, torch.tensor(0.01))
    assert (ours.norm(dim=2) <= 10 * start.norm(dim=2)).all()


def test_smoothed_counts_keep_their_total():
    counts = torch.tensor([[0.0, 3.0, 7.0]], dtype=torch.float64)
    smooth = q.smooth_counts(counts, eps=0.1)
    assert smooth.sum() == pytest.approx(10)
    assert smooth.min() > 0


def test_kmeans_finds_separate_clusters():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = (centres[:, None] + 0.1 * torch.randn(4, 50, 2)).flatten(0, 1)
    torch.manual_seed(3)
    found, counts = q.kmeans(points, 16)
    assert torch.cdist(points, found).min(1).values.max() < 0.6
    assert counts.sum() == 200
    with pytest.raises(ValueError, match="received none"):
        q.kmeans(torch.empty(0, 2), 4)


def test_straight_through_and_rotation_have_the_code_as_value():
    z, e = randn(5, 4).requires_grad_(), randn(5, 4)
    torch.testing.assert_close(q.straight_through(z, e), e, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(q.rotate(z, e), e, rtol=1e-12, atol=1e-12)


def test_rotation_turns_the_gradient_as_z_turns_into_e():
    """The angle between gradient and vector is the same before and after: the paper's figure."""
    z, e, g = randn(3).requires_grad_(), randn(3), randn(3)
    q.rotate(z, e).backward(g)
    cos = torch.nn.functional.cosine_similarity
    torch.testing.assert_close(cos(z.grad, z.detach(), 0), cos(g, e, 0))
    torch.testing.assert_close(z.grad.norm() / g.norm(), e.norm() / z.detach().norm())
    plain = z.detach().clone().requires_grad_()
    q.straight_through(plain, e).backward(g)  # control: straight through does not turn it
    assert not torch.allclose(cos(plain.grad, plain.detach(), 0), cos(g, e, 0))


@pytest.mark.parametrize("levels", [(8, 8, 8), (3, 5), (2, 4, 7)])
def test_fsq_codes_and_vectors_are_inverse(levels):
    codes = torch.arange(math.prod(levels))
    vectors = q.fsq_vectors(codes, levels)
    assert torch.equal(q.fsq_codes(vectors, levels), codes)
    assert len(torch.unique(vectors, dim=0)) == len(codes)


def test_fsq_reaches_every_level_and_no_other():
    z = torch.linspace(-9, 9, 4001)[:, None].expand(-1, 2)
    for d, count in enumerate((4, 5)):
        codes = q.fsq_codes(q.fsq_bounded(z, (4, 5)), (4, 5))
        values = q.fsq_vectors(codes, (4, 5))[:, d].unique()
        assert len(values) == count
        assert values.abs().max() <= 1


def test_report_counts_the_whole_set():
    count = q.CodebookCount(1, 4)
    z = torch.tensor([[[0.0], [2.0], [4.0], [6.0]]])
    for half in (slice(0, 2), slice(2, 4)):
        part = z[:, half]
        count.add(part, part, torch.tensor([[0, 1]]) + (2 if half.start else 0), None)
    report = count.report()
    assert (report.used, report.size, report.used_share) == (4, 4, 1)
    assert report.perplexity == pytest.approx(4)  # each half alone would say 2
    assert report.drift == 0


def test_drift_is_one_where_all_vectors_share_their_mean():
    z = torch.randn(1, 500, 3) + 5
    count = q.CodebookCount(1, 2)
    count.add(z, z.mean(1, keepdim=True).expand_as(z), torch.zeros(1, 500, dtype=torch.int64), None)
    report = count.report()
    assert report.drift == pytest.approx(1, abs=1e-3)
    assert report.perplexity == pytest.approx(1)
    with pytest.raises(ValueError, match="received none"):
        q.CodebookCount(1, 2).report()


def test_padding_counts_nowhere_in_the_report():
    z, weight = torch.randn(1, 10, 2), torch.tensor([1.0] * 6 + [0.0] * 4)
    codes = torch.tensor([[0, 1, 2, 0, 1, 2, 3, 3, 3, 3]])
    with_padding, without = q.CodebookCount(1, 4), q.CodebookCount(1, 4)
    with_padding.add(z, z * 0.9, codes, weight)
    without.add(z[:, :6], z[:, :6] * 0.9, codes[:, :6], None)
    assert with_padding.report().used == 3
    np.testing.assert_allclose(with_padding.report().drift, without.report().drift)

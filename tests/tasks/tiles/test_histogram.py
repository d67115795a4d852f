"""Against one sigmoid a pixel and edge in float64, and against sums that need no bins."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from famulus.tasks.tiles.histogram import HistogramLoss, soft_histogram


def written_out(x, bins, low, high, sigma):
    """The formula by centres, (..., P) -> (..., bins), in the precision of x."""
    delta = (high - low) / bins
    centre = low + delta * (torch.arange(bins, dtype=x.dtype) + 0.5)
    d = x[..., None, :] - centre[:, None]
    return (torch.sigmoid(sigma * (d + delta / 2)) - torch.sigmoid(sigma * (d - delta / 2))).sum(-1)


def pixels(*shape, dtype=torch.float64, seed=0):
    """Some beyond the range on both sides, some exactly on its ends."""
    x = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2 - 0.5
    x[..., 0], x[..., 1], x[..., 2] = 0.0, 1.0, 50.0
    return x


# few pixels or sharp edges take the written-out path, the others the expansion
CASES = [
    (50, 50.0, 400),
    (200, 100.0, 700),
    (7, 3.0, 300),
    (50, 50.0, 5),
    (20, 1e5, 64),
    (1, 5.0, 300),
]


@pytest.mark.parametrize(("bins", "sigma", "count"), CASES)
def test_equals_the_formula(bins, sigma, count):
    x = pixels(2, 3, count)
    ours, exact = soft_histogram(x, bins, sigma=sigma), written_out(x, bins, 0.0, 1.0, sigma)
    assert (ours - exact).abs().max() < 1e-11 * exact.max()
    single = soft_histogram(x.float(), bins, sigma=sigma)
    exact = written_out(x.float().double(), bins, 0.0, 1.0, sigma)
    assert (single - exact).abs().max() < 3e-6 * exact.max()


@pytest.mark.parametrize(("bins", "sigma", "count"), CASES)
def test_gradient_equals_autograd_of_the_formula(bins, sigma, count):
    weights = torch.randn(bins, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x, y = pixels(2, count).requires_grad_(), pixels(2, count).requires_grad_()
    soft_histogram(x, bins, sigma=sigma).matmul(weights).sum().backward()
    written_out(y, bins, 0.0, 1.0, sigma).matmul(weights).sum().backward()
    assert (x.grad - y.grad).abs().max() < 1e-9 * y.grad.abs().max()


@pytest.mark.parametrize("count", [3, 60])  # written out, expanded
def test_gradcheck(count):
    x = (torch.rand(1, count, dtype=torch.float64) * 1.4 - 0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: soft_histogram(x, 6, sigma=12.0), (x,))


@settings(max_examples=25, deadline=None)
@given(
    bins=st.integers(1, 60),
    sigma=st.floats(1, 200),
    low=st.floats(-2, 0.5),
    span=st.floats(0.25, 4),
    seed=st.integers(0, 99),
)
def test_bins_telescope_to_the_two_ends(bins, sigma, low, span, seed):
    x = pixels(2, 200, seed=seed)
    ends = torch.sigmoid(sigma * (x - low)) - torch.sigmoid(sigma * (x - low - span))
    h = soft_histogram(x, bins, low, low + span, sigma)
    torch.testing.assert_close(h.sum(-1), ends.sum(-1), rtol=1e-9, atol=1e-9)


def test_black_and_white_count_one_half():
    x = torch.tensor([[0.0] * 200 + [1.0] * 100], dtype=torch.float64)
    assert soft_histogram(x, 50, sigma=100.0).sum().item() == pytest.approx(150, abs=1e-9)


def test_a_shifted_edge_is_seen():  # proof that the comparison can fail
    x = pixels(1, 400)
    exact = written_out(x, 50, 0.0, 1.0, 50.0)
    assert (soft_histogram(x, 50, 0.01, 1.01, 50.0) - exact).abs().max() > 0.01 * exact.max()


def test_nan_stays_in_its_row():
    x = torch.rand(2, 300)
    x[0, 5] = torch.nan
    h = soft_histogram(x, 10, sigma=20.0)
    assert h[0].isnan().any()
    assert h[1].isfinite().all()


@pytest.mark.parametrize("kind", ["l1", "l2"])
@pytest.mark.parametrize("norm", [False, True])
def test_loss(kind, norm):
    a, b = pixels(2, 3, 64).view(2, 3, 8, 8), pixels(2, 3, 64, seed=1).view(2, 3, 8, 8)
    scale = 64 if norm else 1
    gap = written_out(a.flatten(2), 9, 0.0, 1.0, 20.0) - written_out(b.flatten(2), 9, 0, 1, 20.0)
    exact = (gap.abs() if kind == "l1" else gap.square() / scale).mean() / scale
    loss = HistogramLoss(9, 0.0, 1.0, 20.0, norm, kind)
    torch.testing.assert_close(loss(a, b), exact)
    assert loss(a, a) == 0
    assert "sigma=20.0" in repr(loss)


def test_loss_ignores_where_pixels_are():  # what a histogram can't see
    a = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    assert HistogramLoss(9, sigma=20.0)(a, a.flip(2)) < 1e-12
    assert HistogramLoss(9, sigma=20.0)(a, a.square()) > 0.1


def test_autocast_does_not_round():
    x = torch.rand(2, 400)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = soft_histogram(x, 20, sigma=30.0)
    assert torch.equal(inside, soft_histogram(x, 20, sigma=30.0))


def test_errors_name_what_was_received():
    with pytest.raises(ValueError, match=r"received bins=0"):
        soft_histogram(torch.rand(3), 0)
    with pytest.raises(ValueError, match=r"low=1.0, high=1.0"):
        soft_histogram(torch.rand(3), 5, 1.0, 1.0)
    with pytest.raises(ValueError, match="received 'L1'"):
        HistogramLoss(kind="L1")
    with pytest.raises(ValueError, match=r"received \(1, 1, 2, 3\)"):
        HistogramLoss()(torch.rand(1, 1, 2, 3), torch.rand(1, 1, 2, 2))

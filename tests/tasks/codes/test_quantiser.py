"""The quantisers: start, averages, resets, padding, groups, precision, exact resume."""

import numpy as np
import pytest
import torch

from famulus.tasks.codes.quantisation import CodebookCount
from famulus.tasks.codes.quantiser import AveragedCodebook, FiniteScalar, GradientCodebook


def vectors(seed: int = 0, channels: int = 4, batch: int = 8) -> torch.Tensor:
    return torch.randn(batch, channels, 5, 6, generator=torch.Generator().manual_seed(seed))


def started(**options) -> AveragedCodebook:
    torch.manual_seed(0)
    book = AveragedCodebook(16, 4, pool=0, **options)
    return book.train()


def test_no_code_grows_tenfold_at_the_first_average():
    book = started(reset_below=0)
    before = book.codebook_GKD.norm(dim=2).max()
    book(100 * torch.ones(1, 4, 1, 1))  # one code is chosen, fifteen are not
    unused = book.counts_GK[0] == 0
    assert int(unused.sum()) == 15
    assert book.codebook_GKD[0, unused].norm(dim=1).max() <= 10 * before


def test_kmeans_starts_from_the_pool_and_z_passes_until_then():
    torch.manual_seed(0)
    book = AveragedCodebook(16, 4, pool=300).train()
    for step in range(4):
        z = vectors(step)
        out = book(z)
        assert torch.equal(out.z, z)
        assert out.commit == 0
    assert book.started
    out = book(vectors(9))
    assert not torch.equal(out.z, vectors(9))
    assert out.commit > 0
    # k-means leaves clearly less error than random unit vectors leave
    random = AveragedCodebook(16, 4, pool=0)(vectors(9))
    assert out.commit < 0.8 * random.commit


@pytest.mark.parametrize("reset_below", [0.3, 0.0])
def test_dead_codes_are_reset(reset_below):
    book = started(reset_below=reset_below)
    book.codebook_GKD[0, 8:] = 1e3  # nobody will choose these
    for step in range(30):
        book(vectors(step))
    codes = book.eval()(vectors(99)).codes
    assert (len(codes.unique()) > 12) == (reset_below > 0)


@pytest.mark.parametrize("decay", [0.9, 0.5])
def test_a_reset_code_weighs_what_an_average_one_does(decay):
    """An average that started at 0 is one of (average) / (1 - decay) after its first batch."""
    book = started(reset_below=0.5, decay=decay)
    book(100 * torch.ones(1, 4, 5, 6))  # all 30 choose one code: 15 are dead
    counts_K = book.counts_GK[0] / (1 - decay)
    assert counts_K.sort().values.tolist() == pytest.approx([30 / 16] * 15 + [30], rel=1e-4)


@pytest.mark.parametrize(("chosen", "after"), [(2, 10), (3, 3)])
def test_a_code_is_dead_below_its_share_of_the_uniform_one(chosen, after):
    """A quarter of 160 / 16 is 2.5."""
    book = started(reset_below=0.25, decay=0.0)
    corners_KD = 10.0 * torch.cartesian_prod(*[torch.arange(2)] * 4)
    book.codebook_GKD.copy_(corners_KD[None])
    often = torch.tensor([chosen, 20 - chosen, *[10] * 14])
    book(corners_KD.repeat_interleave(often, 0).T[None, :, :, None])
    assert float(book.counts_GK[0, 0]) == pytest.approx(after)


def test_padding_moves_nothing():
    z, other = vectors(1), vectors(1)
    mask = torch.ones(8, 5, 6, dtype=torch.bool)
    mask[:, :, 4:] = False
    other[:, :, :, 4:] = 50
    books = [started(reset_below=0), started(reset_below=0)]
    outs = [book(x, mask) for book, x in zip(books, (z, other), strict=True)]
    torch.testing.assert_close(books[0].codebook_GKD, books[1].codebook_GKD)
    torch.testing.assert_close(outs[0].commit, outs[1].commit)
    unmasked = started(reset_below=0)
    unmasked(other)  # control
    assert not torch.allclose(unmasked.codebook_GKD, books[0].codebook_GKD)


@pytest.mark.parametrize("shared", [True, False])
def test_codes_per_position(shared):
    book = started(codes_per_position=2, shared=shared)
    z = vectors(channels=8)
    out = book.eval()(z)
    assert out.codes.shape == (8, 5, 6, 2)
    assert book.codebook_GKD.shape[0] == (1 if shared else 2)
    # z + (e - z): two roundings of numbers below 8
    assert (book.decode(out.codes) - out.z).abs().max() < 1e-5 < (z - out.z).abs().max()
    # code h depends on its own group of channels alone
    changed = z.clone()
    changed[:, 4:] += 3
    again = book(changed).codes
    assert torch.equal(again[..., 0], out.codes[..., 0])
    assert not torch.equal(again[..., 1], out.codes[..., 1])


def test_the_silent_reshape_is_an_error_that_names_the_key():
    with pytest.raises(ValueError, match="codes_per_position: 2 would fit"):
        started()(vectors(channels=8))
    with pytest.raises(ValueError, match=r"codes_per_position.*received 6"):
        started()(vectors(channels=6))
    with pytest.raises(ValueError, match="expected 1 codes a position"):
        started().decode(torch.zeros(1, 5, 6, 2, dtype=torch.int64))


@pytest.mark.parametrize("make", [
    lambda: started(), lambda: started(cosine=True), lambda: FiniteScalar((8, 8, 4, 4)),
])  # fmt: skip
def test_autocast_changes_no_code(make):
    z, book = vectors(2), make().eval()
    plain = book(z)
    with torch.autocast("cpu", torch.bfloat16):
        inside = book(z)
    assert torch.equal(plain.codes, inside.codes)
    assert inside.z.dtype == torch.float32


def test_bfloat16_would_have_changed_codes():  # control: the island is needed
    book = FiniteScalar((64, 64, 64, 64)).eval()
    z = vectors(2)
    assert not torch.equal(book(z).codes, book(z.bfloat16()).codes)


@pytest.mark.parametrize("cosine", [False, True])
def test_resume_in_the_middle_is_bit_equal(cosine):
    """Killed while the pool fills, and again after k-means."""

    def steps(book: AveragedCodebook, first: int, last: int) -> AveragedCodebook:
        for step in range(first, last):
            torch.manual_seed(step)  # as the loop seeds each step
            book(vectors(step))
        return book

    def fresh() -> AveragedCodebook:
        return AveragedCodebook(16, 4, pool=300, cosine=cosine).train()

    torch.manual_seed(0)
    whole = fresh()
    start = {k: v.clone() for k, v in whole.state_dict().items()}
    steps(whole, 0, 12)
    part = fresh()
    part.load_state_dict(start)
    for first, last in ((0, 2), (2, 7), (7, 12)):
        steps(part, first, last)
        saved = {k: v.clone() for k, v in part.state_dict().items()}
        part = fresh()
        part.load_state_dict(saved)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, part.state_dict()[name]), name
    part.load_state_dict(start)
    assert not part.started  # rolled back before its start


def test_gradient_codebook_learns_by_its_own_loss():
    torch.manual_seed(0)
    book = GradientCodebook(8, 4)
    out = book(vectors())
    assert out.codebook > 0
    out.codebook.backward()
    assert book.codebook_GKD.grad.abs().sum() > 0
    assert started()(vectors()).codebook == 0


def test_finite_scalars_drift_is_that_of_the_numbers_before_they_were_rounded():
    levels = (8, 5, 2)
    z = 0.7 * vectors(channels=3)
    mask = torch.ones(8, 5, 6, dtype=torch.bool)
    mask[:, 4:] = False
    out = FiniteScalar(levels)(z, mask)
    count = CodebookCount(1, 80)
    count.add(out.before_GND, out.after_GND, out.codes_GN, out.weight_N)

    real = z.numpy().astype(np.float64).transpose(0, 2, 3, 1)[:, :4].reshape(-1, 3)
    bounded, nearest = np.empty_like(real), np.empty_like(real)
    for d, n in enumerate(levels):
        half, offset = (n - 1) * 1.001 / 2, 0.5 * (n % 2 == 0)
        bounded[:, d] = (np.tanh(real[:, d] + np.arctanh(offset / half)) * half - offset) / (n // 2)
        values = np.arange(-(n // 2), n - n // 2) / (n // 2)  # all that there are
        nearest[:, d] = values[np.abs(bounded[:, d, None] - values).argmin(1)]
    apart = np.sqrt(np.square(bounded - nearest).sum())
    spread = np.sqrt(np.square(bounded - bounded.mean(0)).sum())
    assert count.report().drift == pytest.approx(apart / spread, rel=1e-5)
    assert apart / spread > 0.1
    shown = out.z.permute(0, 2, 3, 1)[:, :4].reshape(-1, 3)
    np.testing.assert_allclose(shown.detach(), nearest, atol=1e-6)
    assert out.commit == 0  # nothing draws z to the levels


def test_a_finite_scalar_hands_the_gradient_of_the_bound_on():
    z = vectors(channels=2, batch=1).requires_grad_()
    FiniteScalar((5, 5))(z).z.sum().backward()
    half = 4 * 1.001 / 2
    slope = half / 2 * (1 - np.tanh(z.detach().numpy().astype(np.float64)) ** 2)
    np.testing.assert_allclose(z.grad, slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("make", "match"), [
    (lambda: AveragedCodebook(0, 4), "size, width"),
    (lambda: AveragedCodebook(4, 4, decay=1.0), "decay"),
    (lambda: FiniteScalar((8, 1)), "at least 2"),
])  # fmt: skip
def test_wrong_settings_are_named(make, match):
    with pytest.raises(ValueError, match=match):
        make()

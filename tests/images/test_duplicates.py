"""Copies are planted, and a control holds none."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from famulus.images import duplicates
from famulus.images.duplicates import duplicate_notes, find_duplicates


def pictures(n, seed, channels=3):
    """Smooth random patterns, uint8 BCHW 32x32, no two alike."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, 6, 6, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=32, mode="bicubic").clamp(0, 1)
    return (255 * fine).byte().numpy()


def recompressed(image):
    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file)).transpose(2, 0, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_control_without_copies(channels):
    found = find_duplicates(pictures(400, 0, channels), pictures(100, 1, channels))
    assert (found.exact, found.near, len(found.pairs)) == (0, 0, 0)
    assert duplicate_notes(found, [], [""] * 100) == []


def test_planted_copies_are_found_and_named():
    train, validation = pictures(400, 0), pictures(100, 1)
    validation[5] = train[123]
    validation[8] = recompressed(train[200])
    validation[9] = (train[300] * 0.8).astype(np.uint8)
    validation[10] = train[301][:, :, ::-1]  # mirrored: documented as not found
    found = find_duplicates(train, validation)
    assert (found.exact, found.near) == (1, 2)
    assert found.pairs.tolist() == [[123, 5], [200, 8], [300, 9]]
    names = [f"t{i}" for i in range(400)], [f"v{i}" for i in range(100)]
    (note,) = duplicate_notes(found, *names)
    assert note.startswith("3 of 100 validation pictures have a near-duplicate in training; 1 of")
    assert (note.copies.exact, note.copies.near, note.copies.against) == (1, 2, 400)
    assert "v5 = t123" in note
    assert "scores may flatter" in note


def test_as_brute_force():
    """Every pair with np.corrcoef, on small pictures where 8x8 and 16x16 are the pictures."""
    rng = np.random.default_rng(0)
    train = rng.integers(0, 256, (60, 1, 8, 8), dtype=np.uint8)
    noise = rng.normal(0, 1, (60, 1, 8, 8)) * np.linspace(0, 30, 60)[:, None, None, None]
    validation = (train + noise).clip(0, 255).astype(np.uint8)
    rows = np.concatenate([train, validation]).reshape(120, 64)
    alike = np.corrcoef(rows)[60:, :60] > duplicates.FINE
    found = find_duplicates(train, validation)
    assert sorted(found.pairs[:, 1].tolist()) == np.flatnonzero(alike.any(1)).tolist()
    assert 5 < len(found.pairs) < 55


def test_flat_pictures_are_like_nothing_but_their_copies():
    train = np.full((3, 1, 16, 16), 10, np.uint8)
    train[1], train[2] = 20, 30
    found = find_duplicates(train, np.full((1, 1, 16, 16), 20, np.uint8))
    assert (found.exact, found.near, found.pairs.tolist()) == (1, 0, [[1, 0]])
    assert find_duplicates(train, np.full((1, 1, 16, 16), 21, np.uint8)).near == 0


def test_too_many_pairs_leave_the_exact_ones(monkeypatch):
    monkeypatch.setattr(duplicates, "MAX_PAIRS", 10)
    train = pictures(20, 0)
    validation = np.stack([train[3], recompressed(train[4])])
    found = find_duplicates(train, validation)
    assert (found.exact, found.near, found.complete) == (1, 0, False)


def test_near_copies_are_found_behind_the_first_block():
    """Blocks hold 16 million pairs: 800 of these validation pictures."""
    rng = np.random.default_rng(0)
    train, validation = (rng.integers(20, 200, (n, 1, 8, 8), np.uint8) for n in (20_000, 900))
    validation[[7, 850]] = train[[5, 3]] + np.uint8(10)
    found = find_duplicates(train, validation)
    assert (found.exact, found.near, found.pairs.tolist()) == (0, 2, [[3, 850], [5, 7]])

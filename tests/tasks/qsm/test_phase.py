"""Against phases whose true turns are known, and against numpy's own fit of a line."""

import math

import numpy as np
import pytest
import torch

from famulus.tasks.qsm.phase import (
    combine_echoes,
    gradient_echo,
    unwrap,
    weights,
    wrap,
)

GRID = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in (20, 24, 22)], indexing="ij"))
HILL = 15 * np.exp(-2 * (GRID**2).sum(0))  # more than two turns
MASK = (GRID**2).sum(0) < 0.9


def wrapped(x):
    return np.angle(np.exp(1j * x))


def test_wrap_keeps_the_angle():
    x = torch.linspace(-20, 20, 401, dtype=torch.float64)
    assert torch.allclose(torch.exp(1j * wrap(x)), torch.exp(1j * x))
    assert wrap(x).abs().max() <= math.pi


def test_forward_model():
    """One ppm at 3 T and 25 ms is 20.06 rad; e^-1 after TE R2* = 1."""
    field = torch.tensor([[0.01, -0.02]])
    got = gradient_echo(field, torch.ones(1, 2), 3.0, 25.0, 40.0)
    exact = math.exp(-1) * np.exp(1j * 20.064 * field.numpy())
    assert np.allclose(got.numpy(), exact, atol=1e-4)


def test_unwrap_finds_every_turn():
    got = unwrap(wrapped(HILL), MASK)
    turns = (got - HILL)[MASK] / (2 * np.pi)
    assert np.allclose(turns, np.round(turns[0]))
    assert (got[~MASK] == 0).all()


def test_unwrap_walks_around_noise():
    """A wall of noise with a gap: only the way of good quality gives the right turns."""
    random = np.random.default_rng(0)
    phase, quality = HILL.copy(), np.ones(HILL.shape)
    phase[:, 12, :18] += random.uniform(-3, 3, phase[:, 12, :18].shape)
    quality[:, 12, :18] = 0.01
    everywhere = np.ones(HILL.shape, bool)
    good = quality == 1
    right = unwrap(wrapped(phase), everywhere, quality)
    turns = (right - HILL)[good] / (2 * np.pi)
    assert np.allclose(turns, np.round(turns[0]))
    along = np.unwrap(np.unwrap(np.unwrap(wrapped(phase), axis=0), axis=1), axis=2)
    assert np.ptp(np.round((along - HILL)[good] / (2 * np.pi))) > 0  # line by line does not


def test_parts_that_do_not_touch():
    mask = MASK.copy()
    mask[:, 11:13] = False
    got = unwrap(wrapped(HILL), mask)
    for part in (mask & (GRID[1] < 0), mask & (GRID[1] > 0)):
        turns = (got - HILL)[part] / (2 * np.pi)
        assert np.allclose(turns, np.round(turns[0]))


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="empty"):
        unwrap(HILL, np.zeros(HILL.shape, bool))


@pytest.mark.parametrize("offset", [0.0, 2.5])
def test_echoes_give_the_field(offset):
    te = np.array([4.0, 9.0, 13.0])
    field_hz = 120 * np.exp(-2 * (GRID**2).sum(0)) - 40
    true = offset + 2 * np.pi * field_hz * te[:, None, None, None] * 1e-3
    magnitude = np.ones_like(true)
    got, constant, residual = combine_echoes(wrapped(true), magnitude, te, MASK)
    assert np.allclose(got[MASK], field_hz[MASK])
    assert np.allclose(constant[MASK], offset)
    assert np.allclose(residual, 0, atol=1e-9)


def test_echoes_are_weighted():
    """One bad echo of little magnitude; the fit is numpy's with weights, and not without."""
    te = np.array([4.0, 8.0, 12.0])
    line = 0.3 + 0.1 * te + np.array([0.0, 0.0, 0.8])
    magnitude = np.array([1.0, 0.9, 0.1])
    shape = (3, 2, 2, 2)
    phase = np.broadcast_to(line[:, None, None, None], shape)
    m = np.broadcast_to(magnitude[:, None, None, None], shape)
    got, _, residual = combine_echoes(phase, m, te, np.ones(shape[1:], bool))
    slope, offset = np.polyfit(te, line, 1, w=magnitude)
    assert np.allclose(got, slope * 1e3 / (2 * np.pi))
    off = line - offset - slope * te
    assert np.allclose(residual, np.sqrt(sum(off**2) / 3))  # root of the mean square, in rad
    assert not np.allclose(got, np.polyfit(te, line, 1)[0] * 1e3 / (2 * np.pi), rtol=0.05)


def test_single_echo():
    got, _, _ = combine_echoes(wrapped(HILL)[None], np.ones_like(HILL)[None], np.array([5.0]), MASK)
    turn_hz = 1 / 5e-3
    difference = (got - HILL / (2 * np.pi * 5e-3))[MASK] / turn_hz
    assert np.allclose(difference, np.round(difference[0]))


@pytest.mark.parametrize("te", [[8.0, 4.0], [0.0, 4.0]])
def test_impossible_echo_times(te):
    y = np.zeros((2, 2, 2, 2))
    with pytest.raises(ValueError, match="rising echo times"):
        combine_echoes(y, y, np.array(te), np.ones((2, 2, 2), bool))


def test_weights_ignore_the_brightest_vessel():
    magnitude = torch.rand(1, 10, 10, 10, generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(magnitude)
    mask[:, :2] = 0
    bright = magnitude.clone()
    bright[0, 5, 5, 5] = 1000.0
    w, w_bright = weights(magnitude, mask), weights(bright, mask)
    assert (w[:, :2] == 0).all()
    assert w.max() == 1
    assert (w - w_bright).abs().median() < 0.01
    assert (magnitude / magnitude.max() - bright / bright.max()).abs().median() > 0.4  # by the max

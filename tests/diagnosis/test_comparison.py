"""Cells beside each other: what can be blamed on a setting, and what is the noise of seeds."""

import pytest

from famulus.diagnosis.comparison import Compared, compare, differences, settings


def config(seed=0, lr=0.001, batch=64, act="relu", kernels=(3, 3)):
    layers = [{"filters": 8, "kernel": k} for k in kernels]
    return {
        "task": "tiles",
        "model": {"act": act, "layers": layers},
        "training": {"seed": seed, "threads": 1, "batch": batch, "optimizer": {"lr": lr}},
    }


def run(score, **changed):
    return Compared(config(**changed), {"loss": score})


def causes(runs):
    return [f.cause for f in compare(runs)]


def test_a_grid_can_be_read_and_two_changes_at_once_can_not():
    grid = [run(1, lr=a, act=b) for a in (0.1, 0.2) for b in ("relu", "tanh")]
    assert causes(grid) == []
    (found,) = compare([grid[0], grid[3]])
    assert found.cause == "comparison-confounded"
    assert "model.act, training.optimizer.lr" in found.evidence


def test_the_same_setting_of_several_layers_is_one_change():
    assert differences(settings(config()), settings(config(kernels=(5, 5)))) == [
        "model.layers.kernel"
    ]
    assert causes([run(1), run(2, kernels=(5, 5))]) == []


def test_seeds_and_threads_are_no_settings():
    assert settings(config(seed=1)) == settings(config(seed=2))
    assert causes([run(1), run(2, seed=1)]) == []


@pytest.mark.parametrize(("other", "found"), [((1.01, 1.06), ["within-the-noise"]),
                                              ((2.0, 2.05), [])])  # fmt: skip
def test_a_difference_is_held_against_the_spread_of_replicates(other, found):
    runs = [run(1.0), run(1.05, seed=1)]
    runs += [run(v, batch=256, seed=n) for n, v in enumerate(other)]
    assert causes(runs) == found


def test_without_replicates_nothing_is_said_of_noise():
    assert causes([run(1.0), run(1.0001, batch=256)]) == []

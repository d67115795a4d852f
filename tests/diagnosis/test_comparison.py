"""Cells beside each other: what can be blamed on a setting, and what is the noise of seeds."""

import math
from statistics import NormalDist

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


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 6), (6, 3)])
@pytest.mark.parametrize(("errors", "found"), [(1.98, ["within-the-noise"]), (2.02, [])])
def test_means_two_standard_errors_apart_are_no_noise(n, m, errors, found):
    """The error of a difference of means: sqrt(s^2 / n + t^2 / m), each with n - 1."""

    def replicates(mean, sd, count):
        """Quantiles of a normal distribution, so that mean, middle and ends differ in nothing
        but their spread; one far out makes the middle no mean."""
        quantiles = [NormalDist().inv_cdf((k + 0.5) / count) for k in range(count)]
        quantiles[-1] *= 2
        middle = sum(quantiles) / count
        size = math.sqrt(sum((q - middle) ** 2 for q in quantiles) / (count - 1))
        return [mean + sd * (q - middle) / size for q in quantiles]

    apart = errors * math.sqrt(0.01**2 / n + 0.03**2 / m)
    runs = [run(v, seed=k) for k, v in enumerate(replicates(1.0, 0.01, n))]
    runs += [run(v, batch=256, seed=k) for k, v in enumerate(replicates(1 + apart, 0.03, m))]
    assert causes(runs) == found


def test_without_replicates_nothing_is_said_of_noise():
    assert causes([run(1.0), run(1.0001, batch=256)]) == []


def cell(name, size, filter, native=28, seed=0):
    """A cell of task tiles whose pictures are stored with `native` pixels a side."""
    facts = {"without_effect": ["data.filter"]} if size in (None, native) else {}
    data = {"name": name, "size": size, "filter": filter}
    return Compared({"data": data, "training": {"seed": seed}}, {"loss": 1.0 + seed}, facts)


def mnist(size, filter="bilinear"):
    return cell("mnist", size, filter)


def tiles(size, filter="bilinear"):
    return cell("tiles", size, filter, native=32)


@pytest.mark.parametrize(
    "runs",
    [
        [mnist(28), tiles(28)],  # one as stored, the other resized
        [mnist(28), cell("fashion", 28, "bilinear"), tiles(28)],  # two of three alike
        [mnist(28), tiles(28), tiles(28, "nearest")],  # the filter itself can be told
        [mnist(20), mnist(20, "nearest"), mnist(28), tiles(28)],  # and elsewhere, for one set
    ],
)
def test_sets_of_which_one_was_resized_say_nothing_of_sets(runs):
    (found,) = compare(runs)
    assert found.cause == "comparison-confounded"
    assert 'and "tiles"' in found.evidence
    assert "data.filter was at work in one" in found.evidence
    assert [f.cause for f in compare([Compared(r.config, r.scores) for r in runs])] == []


@pytest.mark.parametrize(
    "runs",
    [
        [mnist(20), tiles(20)],  # both resized, by one filter
        [mnist(28), cell("fashion", 28, "nearest")],  # neither: its filter's name means nothing
        [mnist(28), tiles(28), mnist(20), tiles(20)],  # one size at which both were
        [mnist(28), mnist(20), mnist(32)],  # sizes: that pictures are resized is the question
        [mnist(28), mnist(20), mnist(20, "nearest")],
        [mnist(28), mnist(28, "nearest")],  # replicates of one cell
        [Compared(config(), {"loss": 1.0}), Compared(config(lr=0.1), {"loss": 2.0})],
    ],
)
def test_a_sound_comparison_of_sets_or_sizes_is_not_accused(runs):
    assert [f.cause for f in compare(runs)] == []


def test_a_size_excuses_only_what_follows_from_it():
    """Beside the size and the filter that begins to apply, the number of layers differs."""
    deep = [Compared({**r.config, **extra}, r.scores, r.facts) for r, extra in (
        (mnist(28), {"model": {"layers": [{"k": 3}]}}),
        (mnist(20), {"model": {"layers": [{"k": 3}, {"k": 3}]}}),
    )]  # fmt: skip
    (found,) = compare(deep)
    assert "data.size, model.layers.k" in found.evidence


def test_the_journals_matrix_is_a_sound_comparison():
    """3 sets x 3 sizes x 2 filters: every two sets meet where both were resized."""
    cells = [
        cell(name, size, filter, native)
        for name, native in (("mnist", 28), ("fashion", 28), ("tiles", 32))
        for size in (20, 28, 32)
        for filter in ("bilinear", "nearest")
    ]
    assert [f.cause for f in compare(cells)] == []
    at_28 = [c for c in cells if c.config["data"]["size"] == 28]
    assert [f.cause for f in compare(at_28)] == ["comparison-confounded"]

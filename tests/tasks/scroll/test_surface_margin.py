"""The margin is measured where it is known, of maps and of volumes; scores against ZYX labels."""

import json

import numpy as np
import pytest
import tifffile
import torch

from famulus.config.errors import ConfigError
from famulus.tasks.scroll import surface, surface_apply, surface_margin
from famulus.tasks.scroll.cubes import Scale
from famulus.tasks.scroll.surface_report import profiles, seams
from famulus.volumes.bricks import ArrayVolume
from famulus.volumes.open import Fragment

SIZE, SHAPE = (4, 16, 16), (8, 70, 90)
SPOILT = 3  # rings of a window that the nets below get wrong


def fragment(labels=None):
    volume = np.random.default_rng(0).integers(0, 60_000, SHAPE).astype(np.uint16)
    return Fragment("f", ArrayVolume(volume, "f"), np.ones(SHAPE[1:], bool), labels)


def rings():
    near = torch.minimum(torch.arange(16), torch.arange(16).flip(0))
    return torch.minimum(near[:, None], near) < SPOILT


def rebuild(image):
    """Off by .1 everywhere, by .5 near the border."""
    return image[:, 0] + torch.where(rings(), 0.5, 0.1)


def sees(image):
    """What is written is bright in the window's middle plane; unsure near the border."""
    ink = image[:, 0, SIZE[0] // 2] > 0.5
    return torch.where(rings(), torch.where(ink, 0.6, 0.4), torch.where(ink, 0.9, 0.1))


def use(f, predict, auto=False, **how):
    how = surface.How(**{"stride": 8, **how})
    return surface_apply.Use(
        f, SIZE, Scale(0, 60_000), predict, how, auto, "net", 1, torch.device("cpu")
    )


def labels_of(f):
    """ZYX: bright or not, voxel by voxel."""
    return (f.volume.array > 30_000).astype(np.uint8)


def report(folder):
    return json.loads((folder / "report.json").read_text())


def test_a_rebuilt_volume_is_its_own_truth(tmp_path):
    plain = surface_apply.volume(use(fragment(), rebuild), tmp_path / "a")
    curve = plain["loss by distance to border, over that at the centre"]
    assert curve[:SPOILT] == pytest.approx([0.25 / 0.01 - 1] * SPOILT, rel=1e-3)
    assert curve[SPOILT:] == pytest.approx([0] * (8 - SPOILT), abs=1e-3)
    assert plain["margin advised"] == SPOILT
    assert plain["margin"] == 0
    chosen = surface_apply.volume(use(fragment(), rebuild, auto=True), tmp_path / "b")
    assert chosen["margin"] == SPOILT
    assert chosen["margin chosen"] == "3, measured"
    told = surface_apply.volume(use(fragment(), rebuild, margin=SPOILT), tmp_path / "c")
    assert chosen["recon"] == told["recon"] < 0.9 * plain["recon"]
    assert np.array_equal(*(tifffile.imread(tmp_path / f"{k}/prediction.tif") for k in "bc"))


def test_a_net_that_answers_alike_everywhere_needs_none(tmp_path):
    made = surface_apply.volume(use(fragment(), lambda i: i[:, 0] + 0.1, auto=True), tmp_path)
    assert made["margin"] == made["margin advised"] == 0


def test_labels_of_a_volume_score_the_plane_that_counts(tmp_path):
    """The net is right about the middle plane of its windows, so wrong about any other."""
    f = fragment()
    whole = fragment(labels_of(f))
    made = surface_apply.ink_map(use(whole, sees, auto=True), tmp_path / "a", 0.5)
    assert made["plane"] == 4  # windows begin at (8 - 4) / 2
    assert made["labels"]["auc"] == pytest.approx(1)
    assert made["labels"]["f05"] == 1
    assert made["margin"] == SPOILT
    flat = fragment(labels_of(f)[4])
    same = surface_apply.ink_map(use(flat, sees, auto=True), tmp_path / "b", 0.5)
    assert same == made == report(tmp_path / "a")
    deeper = surface_apply.ink_map(use(whole, sees, z=1), tmp_path / "c", 0.5)
    assert (deeper["plane"], deeper["labels"]["auc"]) == (3, pytest.approx(1))
    other = surface_apply.ink_map(use(fragment(labels_of(f)[5]), sees), tmp_path / "d", 0.5)
    assert abs(other["labels"]["auc"] - 0.5) < 0.05  # another plane's labels: chance


def test_a_margin_leaves_no_gap_between_windows(tmp_path):
    made = surface_apply.volume(use(fragment(), rebuild, auto=True, stride=12), tmp_path)
    assert made["margin"] == 2
    assert made["margin chosen"] == (
        "2, measured: 3 advised, and windows 12 apart leave room for 2"
    )


def test_what_cannot_be_measured_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"margin: auto measures against labels .* has none"):
        surface_apply.ink_map(use(fragment(), sees, auto=True), tmp_path, 0.5)
    how, why = surface_margin.settled(surface.How(8), {"margin advice": "cannot tell: why"}, 16)
    assert how.margin == 0
    assert why == "0: cannot tell: why"
    with pytest.raises(ConfigError, match="margin: expected a whole number >= 0, received 'most'"):
        surface_apply.how_of({"margin": "most"}, SIZE)
    assert surface_apply.how_of({"margin": "auto", "stride": 4}, SIZE) == (surface.How(4), True)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"z": 5}, "z: expected 0 to 4"),
        ({"stride": 17}, "stride of 1 to 16"),
        ({"flips": 3}, "flips 1, 2 or 4"),
        ({"margin": 8}, "margin: expected 0 to 7"),
    ],
)
def test_windows_that_cannot_be_laid_are_named_before_anything_is_measured(tmp_path, how, message):
    def never(image):
        raise AssertionError("computed")

    flat = fragment(labels_of(fragment())[4])
    with pytest.raises(ConfigError, match=message):
        surface_apply.ink_map(use(flat, never, auto="margin" not in how, **how), tmp_path, 0.5)
    with pytest.raises(ConfigError, match=message):
        surface_apply.volume(use(flat, never, **how), tmp_path)


def test_seams_along_depth_are_seen():
    rng = np.random.default_rng(1)
    made = rng.normal(0, 1, (60, 64, 64))
    clean = seams(profiles(made), (8, 16, 16))
    assert clean["seams"] == "none seen"
    assert {f"seam ratio {a}" for a in "zyx"} <= set(clean)
    tiled = made + np.repeat(np.arange(8) % 2 * 2.0, 8)[:60, None, None]
    found = seams(profiles(tiled), (8, 16, 16))
    assert found["seams"].startswith("seen along z:")
    assert found["seam ratio y"] == pytest.approx(clean["seam ratio y"])
    assert "seam ratio z" not in seams(profiles(made[:1]), (1, 16, 16))  # a map has no depth


def test_seams_are_not_judged_on_the_nets_own_grid():
    """A map that is constant on the net's grid, on which all windows agree exactly."""
    made = np.kron(np.random.default_rng(3).normal(0, 1, (1, 20, 20)), np.ones((1, 8, 8)))
    aligned = seams(profiles(made), (1, 8, 8), period=8)
    assert list(aligned) == ["seams"]
    assert aligned["seams"].startswith("cannot tell along y and x")
    assert seams(profiles(made), (1, 16, 16), period=8)["seams"] == "none seen"
    assert seams(profiles(made), (1, 8, 8))["seams"].startswith("seen along y and x")  # the alarm


def test_profiles_are_those_of_the_whole_array():
    made = np.random.default_rng(2).normal(0, 1, (5, 9, 7))
    for axis, name in enumerate("zyx"):
        others = tuple({0, 1, 2} - {axis})
        want = np.abs(np.diff(made, axis=axis)).mean(others)
        assert profiles(made)[name] == pytest.approx(want)

"""A net sees one number for one value, whatever type and window the voxels are stored in.

The net here answers with what it sees, so that a rebuilt volume must be the input in its own units.
"""

import json

import numpy as np
import pytest
import tifffile
import torch

from famulus.config.errors import ConfigError, DataError
from famulus.tasks.scroll.cubes import Scale, Voxels
from famulus.tasks.scroll.cubes import carried as carried_over
from famulus.tasks.scroll.scroll import ScrollConfig, ScrollTask
from famulus.volumes.bricks import ArrayVolume
from famulus.volumes.open import Fragment, Part, convert

SHAPE = (4, 64, 64)
RNG = np.random.default_rng(0)
SHARES = RNG.random(SHAPE)  # of full range


def save(path, array):
    np.save(path, array)
    return path


def task(path, **data):
    settings = {"name": str(path), "cube": [4, 16, 16], "gap": 0, "block": 16, **data}
    model = {"kind": "autoencoder", "widths": [4, 8], "code": 6}
    return ScrollTask(ScrollConfig.model_validate({"data": settings, "model": model}), {})


def seen(made, path, tmp_path, monkeypatch, **options):
    """(numbers that the net was shown, the volume rebuilt) of a net that gives back its input."""
    shown = []

    def predict(image):
        shown.append(image.clone())
        return image[:, 0]

    monkeypatch.setattr(made, "_mapper", lambda model: predict)
    net = torch.nn.Linear(1, 1)
    out = tmp_path / "out"
    made.apply(net, path, out, {"stride": 16, "window": "constant", **options})
    return torch.cat(shown), tifffile.imread(out / "prediction.tif"), out


def stored(dtype):
    if np.dtype(dtype).kind == "f":
        return SHARES.astype(dtype)
    return np.round(SHARES * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("trained", ["uint8", "uint16"])
@pytest.mark.parametrize("applied", ["uint8", "uint16"])
@pytest.mark.parametrize("scale", ["zscore", "range"])
def test_a_net_of_one_type_sees_the_same_shares_of_another(
    tmp_path, monkeypatch, trained, applied, scale
):
    made = task(save(tmp_path / "a.npy", stored(trained)), scale=scale)
    array = stored(applied)
    image, rebuilt, _ = seen(made, save(tmp_path / "b.npy", array), tmp_path, monkeypatch)
    own = made.opened.scale
    full = np.iinfo(trained).max
    want = (SHARES * full - own.mean) / own.sd
    assert image.min() == pytest.approx(want.min(), abs=0.02)
    assert image.max() == pytest.approx(want.max(), abs=0.02)
    assert float(image.double().mean()) == pytest.approx(want.mean(), abs=0.01)
    # unscaled, uint16 into a net of uint8 is 257 times as large
    assert rebuilt.dtype == array.dtype
    assert np.abs(rebuilt.astype(int) - array).max() <= 1


def carried(scale, trained, other):
    return carried_over(scale, Voxels.of(trained), Voxels.of(other), other.name)


def test_values_are_carried_over_windows(tmp_path, monkeypatch):
    """Trained on -1000..3000 of int16; applied to bricks of another window, and to float32."""
    values = np.round(SHARES * 2000).astype(np.int16) - 500
    made = task(save(tmp_path / "a.npy", values), range=[-1000, 3000])
    own = made.opened.scale
    want = ((values + 1000.0) / 4000 * 65_535 - own.mean) / own.sd
    save(tmp_path / "b.npy", values)
    convert(tmp_path / "b.npy", tmp_path / "b.bricks", part=Part(range=(-600, 1600)))
    save(tmp_path / "c.npy", values.astype(np.float32))
    for name in ("a.npy", "b.bricks"):
        image, _, out = seen(made, tmp_path / name, tmp_path / name[0], monkeypatch)
        assert image.min() == pytest.approx(want.min(), abs=0.01)
        assert image.max() == pytest.approx(want.max(), abs=0.01)
        assert any(
            "uint16" in note for note in json.loads((out / "report.json").read_text())["notes"]
        )
    scale = carried(own, made.opened.train, fragment(values.astype(np.float32)))
    assert np.allclose((values - scale.mean) / scale.sd, want, atol=1e-4)


def fragment(array, window=None):
    mask = np.ones(array.shape[1:], bool)
    return Fragment("f", ArrayVolume(array, "f"), mask, window=window)


@pytest.mark.parametrize(
    ("trained", "applied"),
    [
        (("uint16", (0, 1)), ("uint16", None)),
        (("uint16", None), ("uint16", (0, 1))),
        (("uint8", None), ("float32", None)),
        (("float32", None), ("uint16", None)),
    ],
)
def test_shares_and_values_have_no_common_unit(trained, applied):
    (a, b), (c, d) = trained, applied
    with pytest.raises(DataError, match=r"the net was trained on .*data convert --range LOW HIGH"):
        carried(Scale(0, 1), fragment(stored(a), b), fragment(stored(c), d))


def test_the_same_type_keeps_its_scale():
    scale = Scale(12.5, 3.25)
    for dtype in ("uint8", "uint16", "float32"):
        assert carried(scale, fragment(stored(dtype)), fragment(stored(dtype))) is scale


def test_a_held_out_volume_of_another_window_is_refused(tmp_path):
    values = np.round(SHARES * 2000).astype(np.int16) - 500
    for name, window in (("a", (-1000, 3000)), ("b", (-600, 1600))):
        save(tmp_path / f"{name}.npy", values + (name == "b"))
        convert(tmp_path / f"{name}.npy", tmp_path / f"{name}.bricks", part=Part(range=window))
    made = task(tmp_path / "a.bricks", validation=str(tmp_path / "b.bricks"))
    with pytest.raises(DataError, match=r"b\.bricks: expected the values' window \(-1000"):
        made.data()
    same = task(tmp_path / "a.npy", validation=str(tmp_path / "b.npy"), range=[-1000, 3000])
    assert len(same.data().validation) > 0
    assert any("is stored as uint16" in note for note in same.data().notes)


def test_new_keys_leave_old_runs_their_names():
    from famulus.tasks.scroll.data import ScrollData

    fields = ScrollData.model_fields
    for name in ("channel", "time", "range"):
        assert fields[name].json_schema_extra == fields["blocks"].json_schema_extra
        assert getattr(ScrollData(), name) is None


@pytest.mark.parametrize("given", ["0 1", 5, [1, "a"], [True, 2]])
def test_a_range_of_apply_is_two_numbers(tmp_path, monkeypatch, given):
    made = task(save(tmp_path / "a.npy", stored("uint16")))
    with pytest.raises(ConfigError, match=r"option range: expected \[low, high\]"):
        seen(made, tmp_path / "a.npy", tmp_path, monkeypatch, range=given)

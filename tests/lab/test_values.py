"""Values in and out of a model, against numpy's own readers."""

import json

import nibabel
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from famulus.config.errors import ConfigError, DataError
from famulus.lab.plain import plain
from famulus.lab.values import files_of, like, tensor_of

CPU = torch.device("cpu")


def test_every_kind_of_file_is_read_back(tmp_path):
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (4, 5), np.uint8)
    (tmp_path / "a/b").mkdir(parents=True)
    Image.fromarray(grey).save(tmp_path / "a/b/grey.png")
    Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / "colour.png")
    np.savez(tmp_path / "many.npz", x=grey, y=grey + 1)
    np.save(tmp_path / "one.npy", grey)
    tifffile.imwrite(tmp_path / "map.tif", grey.astype(np.float32))
    nibabel.save(
        nibabel.Nifti1Image(np.ones((2, 3, 4), np.float32), np.eye(4)), tmp_path / "v.nii.gz"
    )
    (tmp_path / "t.csv").write_text("file,class\na.png,7\n")
    (tmp_path / "t.json").write_text(json.dumps({"x": 1}))
    (tmp_path / "walk.gif").write_bytes(b"GIF")
    made = files_of(tmp_path)
    assert sorted(made) == [
        *("a/b/grey.png", "colour.png", "many.npz", "map.tif", "one.npy"),
        *("t.csv", "t.json", "v.nii.gz", "walk.gif"),
    ]
    for name in ("a/b/grey.png", "map.tif", "one.npy"):
        assert np.array_equal(made[name], grey)
    assert made["colour.png"].shape == (4, 5, 3)
    assert {k: v.tolist() for k, v in made["many.npz"].items()} == {
        "x": grey.tolist(),
        "y": (grey + 1).tolist(),
    }
    assert made["v.nii.gz"].shape == (4, 3, 2)  # z y x
    assert made["t.csv"] == [{"file": "a.png", "class": "7"}]
    assert (made["t.json"], made["walk.gif"]) == ({"x": 1}, b"GIF")


def test_arrays_of_any_layout_become_tensors():
    values = np.arange(24, dtype=">f4").reshape(2, 3, 4)
    for one in (values, values[::-1], values.T, values[..., ::2]):
        assert np.array_equal(tensor_of(one, CPU).numpy(), one)
    values.setflags(write=False)
    tensor_of(values, CPU).add_(1)  # its own: nobody else's array changes
    assert values[0, 0, 0] == 0
    for wrong in (np.array(["a"]), np.array([1j]), np.array([None]), [1.0], None, 3):
        with pytest.raises(DataError, match="expected a path, an array or a tensor"):
            tensor_of(wrong, CPU)


def test_the_result_is_of_the_kind_of_the_input():
    result = torch.ones(2, requires_grad=True)
    assert isinstance(like(result, np.zeros(1)), np.ndarray)
    assert not like(result, torch.zeros(1)).requires_grad


def test_settings_become_plain():
    given = {"a": (1, np.float32(0.5)), "b": {"c": np.arange(2)}, "d": True, "e": torch.tensor(3)}
    assert plain(given, "") == {"a": [1, 0.5], "b": {"c": [0, 1]}, "d": True, "e": 3}
    assert type(plain(np.float64(0.1), "x")) is float
    with pytest.raises(ConfigError, match=r"^a\.b\.1: expected a plain value, received set"):
        plain({"a": {"b": [1, {2}]}}, "")

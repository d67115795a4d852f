"""A person's own pictures: what is made of one never overwrites what is made of another."""

import numpy as np
import pytest
from PIL import Image

from famulus.images.input_pictures import png_names
from famulus.images.picture import Recipe
from famulus.images.rebuild import rebuild


def folder(path, names):
    for i, name in enumerate(names):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), 10 * (i + 1), np.uint8)).save(path / name)
    return path


@pytest.mark.parametrize(("names", "expected"), [
    (["a.jpg", "b.png"], ["a.png", "b.png"]),
    (["a.jpg", "a.png"], ["a.jpg.png", "a.png.png"]),
    (["a.jpg", "b.gif", "x/a.png"], ["a.png", "b.png", "x/a.png"]),
    (["x/a.bmp", "x/a.gif", "x/a.jpg"], ["x/a.bmp.png", "x/a.gif.png", "x/a.jpg.png"]),
    (["a.jpg", "a.jpg.png", "a.png"], ["a.jpg.png", "a.jpg.png.png", "a.png.png"]),
])  # fmt: skip
def test_each_picture_has_a_png_of_its_own(tmp_path, names, expected):
    found = png_names(folder(tmp_path, names))
    assert list(found) == names
    assert list(found.values()) == expected


def test_one_file_keeps_its_stem(tmp_path):
    assert png_names(folder(tmp_path, ["a.jpg", "a.png"]) / "a.jpg") == {"a.jpg": "a.png"}


def test_pictures_of_one_stem_are_both_written(tmp_path):
    own = folder(tmp_path / "own", ["a.bmp", "a.png"])
    rebuild(own, tmp_path / "out", Recipe(None, "bilinear", 1, "stretch"), lambda image: image)
    grey = {}
    for path in (tmp_path / "out").iterdir():
        with Image.open(path) as image:
            grey[path.name] = int(np.asarray(image)[0, 0, 0])
    assert grey == {"a.bmp.png": 10, "a.png.png": 20}

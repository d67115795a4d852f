"""A person's own pictures: what is made of one never overwrites what is made of another."""

import numpy as np
import pytest
from PIL import Image

from famulus.config.errors import DataError
from famulus.images.input_pictures import loose_pictures, png_names
from famulus.images.picture import Recipe
from famulus.images.rebuild import rebuild
from tests.images.idx_files import write_idx


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


PICTURES = np.random.default_rng(5).integers(0, 256, (70, 6, 6), np.uint8)
AS_STORED = Recipe(None, "bilinear", 1, "stretch")


def idx(top):
    for stem, part in (("train", slice(0, 60)), ("t10k", slice(60, 70))):
        images = PICTURES[part]
        write_idx(top / f"{stem}-images-idx3-ubyte", images)
        write_idx(top / f"{stem}-labels-idx1-ubyte", np.zeros(len(images), np.uint8))
    return top


def npz(top):
    np.savez(top / "set.npz", x_train=PICTURES[:60], x_test=PICTURES[60:])
    return top / "set.npz"


def table(top):
    rows = ["path"]
    for i, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(top / f"{i}.png")
        rows.append(f"{i}.png")
    (top / "set.csv").write_text("\n".join(rows))
    return top / "set.csv"


@pytest.mark.parametrize("form", [idx, npz, table])
def test_a_set_of_any_form_is_a_persons_pictures(tmp_path, form):
    """Each picture once, those of a test split too, under names that are paths below `out`."""
    place = form(tmp_path)
    shown = dict(loose_pictures(place, AS_STORED))
    assert sorted(p.tobytes() for p in shown.values()) == sorted(p.tobytes() for p in PICTURES)
    assert list(png_names(place)) == list(shown)
    if form is not table:
        assert sum(name.startswith("test/") for name in shown) == 10


def test_what_is_no_set_either_says_what_it_holds(tmp_path):
    (tmp_path / "notes.txt").write_text("no pictures")
    with pytest.raises(DataError, match=r"expected pictures .* received \.txt \(1\)"):
        list(loose_pictures(tmp_path, AS_STORED))

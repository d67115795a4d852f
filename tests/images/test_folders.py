"""Which split and class each picture of a folder belongs to, and what is refused."""

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.images.class_folders import class_labels
from famulus.images.datasets import find
from famulus.images.labelled_source import PictureData
from famulus.images.open import open_images
from famulus.images.splits import hashed
from tests.images.picture_files import pack, raw, several, write


def sides(top, wish=None):
    found = find(str(top), wish)
    return set(found.train.names), set(found.validation.names), found


CIFAR = [*several("train/cat", 40), *several("train/dog", 40), *several("test/cat", 7)]
CIFAR += several("test/dog", 7)


def test_of_train_and_test_a_hash_of_train_validates_and_test_is_left_alone(tmp_path):
    write(tmp_path, CIFAR)
    train, validation, found = sides(tmp_path)
    assert train | validation == {name for name in CIFAR if name.startswith("train/")}
    # independent: by the formula, of the name below the split
    assert validation == {n for n in train | validation if hashed(n.split("/", 1)[1]) < 0.05}
    assert found.train.classes == ("cat", "dog")
    assert not found.own_split
    (note,) = found.notes
    assert "14 pictures of the test split left alone" in note
    assert "data.validation: test" in note


def test_the_test_split_validates_where_that_is_said(tmp_path):
    write(tmp_path, CIFAR)
    train, validation, found = sides(tmp_path, "test")
    assert train == {name for name in CIFAR if name.startswith("train/")}
    assert validation == {name for name in CIFAR if name.startswith("test/")}
    assert (found.own_split, found.notes) == (True, [])
    opened = open_images(str(tmp_path), validation="test")
    assert (len(opened.train), len(opened.validation)) == (80, 14)
    assert opened.fingerprint != open_images(str(tmp_path)).fingerprint


def test_an_experiment_may_say_it(tmp_path):
    opened = PictureData(name=write(tmp_path, CIFAR), validation="test").open()
    assert (len(opened.train), len(opened.validation)) == (80, 14)
    with pytest.raises(ValueError, match="validation"):
        PictureData(validation="tset")


def test_with_a_validation_split_test_may_take_its_place(tmp_path):
    names = [*several("train/a", 5), *several("val/a", 3), *several("test/a", 4)]
    write(tmp_path, names)
    train, validation, found = sides(tmp_path)
    assert (len(train), validation) == (5, set(several("val/a", 3)))
    assert found.notes == [f"{tmp_path.stem}: 4 pictures outside train and validation unused: test"]
    train, validation, found = sides(tmp_path, "test")
    assert (len(train), validation) == (5, set(several("test/a", 4)))
    assert found.notes == [f"{tmp_path.stem}: 3 pictures outside train and test unused: validation"]


@pytest.mark.parametrize(
    ("name", "has"), [("none", "train and validation"), ("flat", "no folder test")]
)
def test_a_set_without_a_test_split_refuses_it(tmp_path, name, has):
    names = {"none": [*several("train", 3), *several("val", 2)], "flat": several("a", 9)}[name]
    with pytest.raises(DataError, match=f"expected a folder test beside train in .* found {has}"):
        find(write(tmp_path, names), "test")


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_named_sets_without_one_refuse_it_too(name):
    with pytest.raises(DataError, match=f"data.validation: test: {name} has no test split"):
        find(name, "test")


LAYOUTS = {
    "train and dev": ("train/{c}/{i}.png", "dev/{c}/{i}.png"),
    "sets": ("train_set/{c}/{i}.png", "val_set/{c}/{i}.png"),
    "any case": ("Training/{c}/{i}.png", "Validation-Set/{c}/{i}.png"),
    "below one folder": ("images/train/{c}/{i}.png", "images/val/{c}/{i}.png"),
    "below two": ("a/b/train/{c}/{i}.png", "a/b/val/{c}/{i}.png"),
    "images inside": ("train/images/{c}/{i}.png", "val/images/{c}/{i}.png"),
    "below the class": ("{c}/train/{i}.png", "{c}/val/{i}.png"),
}


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("zipped", [False, True])
def test_layouts(tmp_path, kind, zipped):
    train, validation = (
        {form.format(c=c, i=i): c for c in ("cat", "dog") for i in range(n)}
        for form, n in zip(LAYOUTS[kind], (6, 3), strict=True)
    )
    names = [*train, *validation]
    top = pack(tmp_path / "x.zip", names) if zipped else write(tmp_path / "x", names)
    found = find(top)
    for part, expected in ((found.train, train), (found.validation, validation)):
        assert [part.classes[i] for i in part.labels] == [expected[name] for name in part.names]
        assert set(part.names) == set(expected)
    assert found.notes == []
    assert found.own_split


@pytest.mark.parametrize(
    "answers", ["masks", "labels", "Annotations", "train_masks", "ground-truth"]
)
def test_masks_are_no_class(tmp_path, answers):
    top = "train" if answers == "train_masks" else "images/train"
    names = [f"{top}/{i}.png" for i in range(60)]
    write(tmp_path, [*names, *(f"{answers}/train/{i}.png" for i in range(30))])
    train, validation, found = sides(tmp_path)
    assert train | validation == set(names)
    assert found.train.classes is None
    (note,) = found.notes
    assert "left out 30 pictures in folders of masks or labels" in note


def test_images_and_masks_inside_each_split(tmp_path):
    names = [*several("train/images", 6), *several("val/images", 3)]
    write(tmp_path, [*names, *several("train/masks", 6), *several("val/masks", 3)])
    train, validation, found = sides(tmp_path)
    assert train | validation == set(names)
    assert found.train.classes is None
    assert "left out 9 pictures in folders of masks" in found.notes[0]


def test_a_class_may_be_called_mask(tmp_path):
    write(tmp_path, [*several("mask", 40), *several("no_mask", 40)])
    assert find(str(tmp_path)).train.classes == ("mask", "no_mask")


REFUSED = {
    "a split beside classes": [*several("train", 9), *several("cats", 5), *several("dogs", 5)],
    "test beside classes": [*several("test", 3), *several("cats", 9), *several("dogs", 9)],
    "test below a class": [*several("cats/test", 3), *several("cats/other", 9), *several("b", 2)],
    "two depths": [*several("cats/train", 5), *several("cats/val", 2), *several("dogs", 5)],
    "splits inside a split": [
        *several("train/train", 5), *several("train/val", 5), *several("test", 2),
    ],
    "no train": [*several("val", 5), *several("test", 5)],
    "test alone": several("pictures/test/a", 50),
    "classes below classes": [
        *several("cats/train/a", 5), *several("cats/val/a", 5), "dogs/train/1.png",
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_other_nesting_is_refused_with_the_tree(tmp_path, kind):
    with pytest.raises(DataError, match=r"expected .*|received") as refusal:
        find(write(tmp_path, REFUSED[kind]))
    line = str(refusal.value)
    assert "\n" not in line
    assert str(tmp_path) in line
    folders = {name.split("/")[0] for name in REFUSED[kind]}
    assert all(f"{folder}/" in line for folder in folders)


def test_folders_inside_some_classes_are_refused_where_classes_count(tmp_path):
    write(tmp_path, [*several("cats", 20), *several("cats/old", 3), *several("dogs", 20)])
    opened = open_images(str(tmp_path))
    assert len(opened.train) + len(opened.validation) == 43  # pictures without classes: none lost
    assert opened.train.labels is None
    assert "3 pictures lie in folders inside class folders, cats/ (3 in old)" in opened.notes[0]
    with pytest.raises(DataError, match=r"folder a class.*cats/ \(3 in old\), and 40 do not"):
        class_labels(opened.train)


@pytest.mark.parametrize(
    ("name", "way"),
    [("brain.nii.gz", "name one, as brain.nii.gz"), ("a.dcm", "name the folder of one series")],
)
def test_volumes_among_what_is_no_picture_are_named(tmp_path, name, way):
    (tmp_path / name).write_bytes(b"voxels")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(DataError, match=rf"these are volumes: for task scroll {way}"):
            find(str(path))
    (tmp_path / name).rename(tmp_path / "notes.txt")
    with pytest.raises(DataError, match=r"received \.txt \(1\)$"):
        find(str(tmp_path))


@pytest.mark.parametrize("form", ["{}", "train/{}"])
def test_a_loose_picture_is_left_out_and_the_labels_stay(tmp_path, form):
    names = [form.format(n) for c in ("a", "b", "c") for n in several(c, 20)]
    names += several("val/a", 3) if form != "{}" else []
    stray = form.format("cover.png")
    write(tmp_path, [*names, stray])
    train, validation, found = sides(tmp_path)
    assert train | validation == set(names)
    assert found.train.classes == ("a", "b", "c")
    assert found.notes == [f"{tmp_path.stem}: left out 1 picture beside the class folders: {stray}"]


def test_a_loose_picture_beside_the_only_folder_hides_nothing(tmp_path):
    names = [*several("set/train/a", 9), *several("set/val/a", 3)]
    write(tmp_path, [*names, "preview.png"])
    train, validation, found = sides(tmp_path)
    assert train | validation == set(names)
    assert "left out 1 picture beside the only folder: preview.png" in found.notes[0]


def test_mostly_loose_pictures_have_no_classes_and_it_is_said(tmp_path):
    write(tmp_path, [*(f"{i}.png" for i in range(60)), *several("more", 9), *several("old", 9)])
    train, validation, found = sides(tmp_path)
    assert len(train | validation) == 78
    assert found.train.labels is None
    assert "no classes: 60 pictures of 78 in no class folder" in found.notes[0]


def test_one_side_without_class_folders_has_no_classes(tmp_path):
    write(tmp_path, [*several("train/a", 9), *several("train/b", 9), *several("val", 4)])
    train, validation, found = sides(tmp_path)
    assert (len(train), len(validation)) == (18, 4)
    assert found.train.labels is None
    assert "no classes: 4 pictures of 22 in no class folder" in found.notes[0]


def test_labels_of_what_is_kept_are_those_of_the_folders(tmp_path):
    names = [f"{c}/{c}{i}.png" for c in "xyz" for i in range(30)]
    found = find(write(tmp_path, names), 0.3)
    for part in (found.train, found.validation):
        assert [part.classes[i] for i in part.labels] == [name[0] for name in part.names]


def test_a_set_with_one_more_file_moves_no_other(tmp_path):
    names = [f"{i}.png" for i in range(200)]
    before = sides(write(tmp_path, names))
    write(tmp_path, {"more.png": raw(999)})
    after = sides(tmp_path)
    assert before[0] - after[0] == before[1] - after[1] == set()


def test_pixels_are_those_of_the_files(tmp_path):
    write(tmp_path, CIFAR)
    opened = open_images(str(tmp_path), validation="test")
    pixels = opened.validation.images.transpose(0, 2, 3, 1)
    for name, image in zip(opened.validation.names, pixels, strict=True):
        seed = CIFAR.index(name)
        expected = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        assert (image == expected).all()

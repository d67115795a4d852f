"""The index and its filters: on files made here, against sets worked out by hand."""

import numpy as np
import pytest
from PIL import Image

from famulus.config.errors import ConfigError, DataError
from famulus.images.image_index import (
    Entry,
    Filter,
    kept_names,
    make_index,
    name_tags,
    read_index,
    write_index,
)
from tests.launch.tiny import famulus


def test_tags_are_folders_and_words_of_the_name():
    assert name_tags("set7/standing/Anna-001_red hat.jpg") == {
        *("set7", "standing", "anna", "red", "hat")
    }
    assert "jpg" not in name_tags("a/b.jpg")
    assert name_tags("jpeg_pgj.jpg") == {"jpeg", "pgj"}  # a suffix, not its letters, is cut


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_an_index_is_read_as_it_was_written(tmp_path, suffix):
    entries = [Entry("a/b, c.png", frozenset({"x", "y z"}), 3, 4), Entry("d.png", frozenset())]
    write_index(tmp_path / f"index{suffix}", entries)
    assert read_index(tmp_path / f"index{suffix}") == entries


@pytest.mark.parametrize(("text", "message"), [
    ('[{"tags": "a"}]', "picture 1: expected a `file`"),
    ('[{"file": "a", "tags": [3]}]', "expected tags"),
    ('[{"file": "a", "width": "wide"}]', "expected width in pixels"),
    ('{"file": "a"}', "expected a list"),
    ("[", "cannot be read"),
    ("[" * 100_000, "cannot be read"),
    ('[{"file": "a", "width": ' + "9" * 5000 + "}]", "cannot be read"),
    ('[{"file": "a", "width": Infinity}]', "expected width in pixels"),
    ('[{"file": "a", "height": NaN}]', "expected height in pixels"),
])  # fmt: skip
def test_a_wrong_index_is_named(tmp_path, text, message):
    path = tmp_path / "index.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_index(path)


def test_filters_against_sets_by_hand():
    entries = [
        Entry("a", frozenset({"x"}), 2, 3),
        Entry("b", frozenset({"x", "y"}), 3, 2),
        Entry("c", frozenset({"y", "z"}), 2, 2),
        Entry("d", frozenset()),
    ]
    names = ["d", "c", "b", "a", "e"]

    def kept(**how):
        how = {k: frozenset(v) if k != "orientation" else v for k, v in how.items()}
        return [names[i] for i in kept_names(names, entries, Filter(**how))]

    assert kept() == ["d", "c", "b", "a"]
    assert kept(include=["x", "z"]) == ["c", "b", "a"]  # any overlap
    assert kept(include=["x"], exclude=["y"]) == ["a"]
    assert kept(orientation="portrait") == ["a"]
    assert kept(orientation="landscape") == ["b"]
    assert kept(orientation="square") == ["c"]


def test_contradictions_and_unknown_orientations_are_errors():
    with pytest.raises(ConfigError, match="'x' is both in include and in exclude"):
        Filter(frozenset({"x"}), frozenset({"x"}))
    with pytest.raises(ConfigError, match=r"data\.orientation"):
        Filter(orientation="upright")


def test_a_folder_becomes_an_index(tmp_path):
    """The command names what it leaves out: a header that is none, a picture that is cut off."""
    for part, count in (("train", 6), ("validation", 2)):
        for i in range(count):
            path = tmp_path / "set" / part / ("standing", "sitting")[i % 2] / f"figure-{i}_nude.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(i).integers(0, 255, (12, 8, 3), np.uint8)
            Image.fromarray(pixels).save(path)
    no_header, cut_off = (tmp_path / f"set/train/standing/figure-{i}_nude.png" for i in (0, 2))
    no_header.write_bytes(b"no picture")
    cut_off.write_bytes(cut_off.read_bytes()[:40])
    out = tmp_path / "index.csv"
    said = famulus("data", "convert", tmp_path / "set", out)
    assert said.code == 0, said
    assert "note: train/standing/figure-0_nude.png: left out" in said.out
    entries = read_index(out)
    assert len(entries) == 6
    one = next(e for e in entries if e.file == "train/sitting/figure-1_nude.png")
    assert (one.height, one.width) == (12, 8)
    assert one.tags == {"train", "sitting", "figure", "nude"}
    assert famulus("data", "convert", tmp_path / "set", out).code == 3  # never overwritten
    assert famulus("data", "convert", "digits", tmp_path / "x.json").code == 3


def test_what_cannot_be_read_is_not_in_an_index():
    sizes = {"a/1.png": (3, 4), "a/2.png": "truncated"}  # height, width
    entries, notes = make_index(list(sizes), sizes.get)
    assert entries == [Entry("a/1.png", frozenset({"a"}), width=4, height=3)]
    assert notes == ["a/2.png: left out: truncated"]

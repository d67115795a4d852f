"""Pictures that pass a filter by tags and orientation: on files made here."""

import json
from pathlib import PurePosixPath

import numpy as np
import pytest
from PIL import Image

from famulus.config.errors import DataError
from famulus.images.image_index import make_index, write_index
from famulus.tasks.codes.data import CodedData
from tests.images.picture_files import several, write
from tests.launch.tiny import famulus


@pytest.fixture
def folder(tmp_path):
    """Twenty pictures in two folders, portrait or landscape; one of them truncated."""
    random = np.random.default_rng(0)
    for part, count in (("train", 16), ("validation", 4)):
        for i in range(count):
            kind = ("standing", "sitting")[i % 2]
            size = (12, 8) if i % 4 < 2 else (8, 12)  # height, width
            path = tmp_path / part / kind / f"figure-{i:03d}_nude.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (*size, 3), np.uint8)).save(path)
    broken = tmp_path / "train" / "standing" / "figure-002_nude.png"
    broken.write_bytes(broken.read_bytes()[:40])
    return tmp_path


def open_(folder, **how):
    return CodedData(name=str(folder), size=16, **how).picked()


def test_an_index_that_the_command_writes_filters_the_folder(folder, tmp_path):
    out = tmp_path / "index.csv"
    assert famulus("data", "convert", folder, out).code == 0
    kept = open_(folder, index=str(out), include=["sitting"], orientation="portrait")
    assert kept.train.names == [f"train/sitting/figure-{i:03d}_nude.png" for i in (1, 5, 9, 13)]


def test_a_subset_is_drawn_from_what_the_filter_keeps(folder):
    some = open_(folder, include=["sitting"], subset=5, validation=1)
    assert (len(some.train), len(some.validation)) == (5, 1)
    assert all("sitting" in name for name in some.train.names)
    assert len(open_(folder, include=["sitting"], subset=0.5).train) == 4
    other = open_(folder, include=["sitting"], subset=5, seed=1)
    assert other.train.names != some.train.names
    assert other.train.fingerprint != some.train.fingerprint


def test_an_index_without_sizes_asks_the_files(folder, tmp_path):
    index = tmp_path / "index.csv"
    index.write_text("file,tags\n" + "".join(f"figure-{i:03d}_nude.png,\n" for i in range(4)))
    kept = open_(folder, index=str(index), orientation="portrait")
    names = sorted(PurePosixPath(name).name for name in kept.train.names)
    assert names == ["figure-000_nude.png", "figure-001_nude.png"]  # 2 is cut off, 3 lies


def test_tags_of_folders_filter_both_parts(folder):
    splits = open_(folder, include=["standing"])
    assert len(splits.train) == 7  # eight, one of them truncated
    assert len(splits.validation) == 2
    assert all("standing" in name for name in splits.train.names)
    assert any("figure-002" in note for note in splits.notes)
    assert any("filtered out" in note for note in splits.notes)
    batch = splits.train.gather(np.arange(3), np.zeros(3, np.uint64))
    assert batch["image"].shape == (3, 3, 16, 16)
    assert batch["box"][:, 2:].tolist()[0] in ([16, 11], [11, 16])


def test_orientation_is_read_from_the_files(folder):
    upright = open_(folder, orientation="portrait").train
    batch = upright.finish(upright.gather(np.arange(len(upright)), None), None)
    real = batch["mask"].sum((1, 2, 3))
    assert (real == 16 * 11).all()
    assert (batch["mask"][:, 0, :, 0] == 0).all()  # padded at the sides, not above


def test_a_filter_that_leaves_nothing_says_what_there_is(folder):
    with pytest.raises(DataError, match=r"leaves none of 15 pictures.*tags there are: .*sitting"):
        len(open_(folder, include=["nobody"]).train)


def test_the_fingerprint_follows_filter_and_index(folder, tmp_path):
    entries, notes = make_index(
        [f"train/standing/figure-{i:03d}_nude.png" for i in range(0, 16, 2)],
        lambda name: (12, 8) if "002" not in name else "truncated",
    )
    assert len(entries) == 7
    assert notes == ["train/standing/figure-002_nude.png: left out: truncated"]
    index = tmp_path / "index.json"
    write_index(index, entries)
    prints = {open_(folder).train.fingerprint, open_(folder, include=["sitting"]).train.fingerprint}
    indexed = open_(folder, index=str(index))
    prints.add(indexed.train.fingerprint)
    index.write_text(json.dumps([{"file": e.file} for e in entries]))
    prints.add(open_(folder, index=str(index)).train.fingerprint)
    assert len(prints) == 4
    assert open_(folder).train.fingerprint in prints
    assert len(indexed.train) == 7


def test_the_test_split_may_validate_and_is_filtered_too(tmp_path):
    names = [*several("train/cat", 9), *several("train/dog", 8), *several("test/cat", 4)]
    name = write(tmp_path, [*names, *several("test/dog", 3)])
    data = CodedData(name=name, validation="test", include=["dog"], channels=3)
    assert (len(data.picked().train), len(data.picked().validation)) == (8, 3)


def test_a_filter_hides_nothing_that_was_noticed(tmp_path):
    """Test pictures left alone, stray files, copies: as without a filter, of what it keeps."""
    name = write(tmp_path, [*several("train/cat", 40), *several("train/dog", 40), "test/dog/1.png"])
    (tmp_path / "train" / "dog" / "list.txt").write_text("x")
    train, held_out = (set(s.names) for s in (open_(tmp_path).train, open_(tmp_path).validation))
    twin = next(n for n in sorted(train) if "dog" in n), next(n for n in held_out if "dog" in n)
    (tmp_path / twin[1]).write_bytes((tmp_path / twin[0]).read_bytes())
    dogs = CodedData(name=name, size=8, include=["dog"]).picked().notes
    for word in ("test", ".txt", f"{twin[1]} = {twin[0]}", "filtered out"):
        assert any(word in note for note in dogs), (word, dogs)
    cats = CodedData(name=name, size=8, include=["cat"]).picked().notes
    assert not any(twin[0] in note for note in cats)

"""Sets that a table names: columns, splits, paths, and what is left out or refused."""

import json

import pytest

from famulus.config.errors import DataError
from famulus.images.datasets import find
from famulus.images.labelled_source import PictureData, Views, open_labelled
from famulus.images.open import open_images
from famulus.images.splits import hashed
from tests.images.picture_files import raw, several, write

NAMES = several("pics", 60)
CLASSES = ("ant", "bee", "cat")


def table(top, lines, name="set.csv", pictures=NAMES, encoding="utf-8"):
    write(top, pictures)
    (top / name).write_bytes("\n".join(lines).encode(encoding))
    return str(top / name)


def labelled(names=NAMES):
    return {name: CLASSES[i % 3] for i, name in enumerate(names)}


def parts(path, wish=None):
    """({name: class} in training, the same in validation, the set)."""
    found = find(path, wish)
    sides = [
        {n: p.classes[i] for n, i in zip(p.names, p.labels, strict=True)}
        for p in (found.train, found.validation)
    ]
    return *sides, found


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(
    ("path", "label"), [("path", "label"), ("File_Name", "Class"), ("image path", "TARGET")]
)
def test_columns_under_usual_names(tmp_path, delimiter, encoding, path, label):
    rows = [delimiter.join((c, "3", n)) for n, c in labelled().items()]
    lines = [delimiter.join((label, "weight", path)), *rows]
    train, validation, found = parts(table(tmp_path, lines, encoding=encoding))
    assert train | validation == labelled()
    assert set(validation) == {n for n in NAMES if hashed(n) < 0.05}
    assert not found.own_split
    assert found.notes == [f"set: paths from column {path}, classes from {label}, no splits"]


def test_pixels_are_those_of_the_rows(tmp_path):
    lines = ["path,label", *(f"{n},{c}" for n, c in reversed(labelled().items()))]
    settings = PictureData(name=table(tmp_path, lines))
    splits = open_labelled(settings, Views().view())
    alone = open_images(str(tmp_path / "pics"))  # the same pictures, as a folder
    by_name = dict(zip(alone.train.names, alone.train.images, strict=True))
    for name, image in zip(splits.train.base.names, splits.train.base.images, strict=True):
        if name.split("/")[1] in by_name:
            assert (image == by_name[name.split("/")[1]]).all()
    assert splits.train.classes == CLASSES


@pytest.mark.parametrize("column", ["split", "Set", "fold", "partition", "subset"])
def test_a_column_of_splits(tmp_path, column):
    roles = ["train", "valid", "TEST"]
    lines = [f"file,{column},class"]
    lines += [f"{n},{roles[i % 3]},x{i % 3}" for i, n in enumerate(NAMES)]
    path = table(tmp_path, lines)
    with pytest.raises(DataError, match="class 'x1' is not among the 1 training classes"):
        open_labelled(PictureData(name=path), Views().view())  # as they were made here
    train, validation, found = parts(path)
    assert (set(train), set(validation)) == (set(NAMES[::3]), set(NAMES[1::3]))
    assert found.own_split
    assert "set: 20 pictures outside train and validation unused: test" in found.notes
    _, validation, _ = parts(path, "test")
    assert set(validation) == set(NAMES[2::3])


def test_train_and_test_in_a_column(tmp_path):
    lines = ["file,split", *(f"{n},{'test' if i < 20 else 'train'}" for i, n in enumerate(NAMES))]
    found = find(table(tmp_path, lines))
    assert set(found.train.names) | set(found.validation.names) == set(NAMES[20:])
    assert any("20 pictures of the test split left alone" in note for note in found.notes)


def test_folds_are_no_splits_and_it_is_said(tmp_path):
    lines = ["file,fold", *(f"{n},{i % 5}" for i, n in enumerate(NAMES))]
    found = find(table(tmp_path, lines))
    assert len(found.train.names) + len(found.validation.names) == 60
    assert "set: column fold names no split (0, 1, 2, 3, 4): unused, a hash of names splits" in (
        found.notes
    )


def test_other_values_of_a_split_are_counted(tmp_path):
    values = ["train", "val", "extra", ""]
    lines = ["file,split", *(f"{n},{values[i % 4]}" for i, n in enumerate(NAMES))]
    found = find(table(tmp_path, lines))
    assert "set: 30 pictures outside train and validation unused: extra, no split" in found.notes
    with pytest.raises(DataError, match="column split: expected train among its values"):
        find(table(tmp_path / "x", ["file,split", *(f"{n},test" for n in NAMES)]))


def test_paths_may_start_in_one_folder_and_lack_their_suffix(tmp_path):
    files = {f"images/{i}.jpg": raw(i, "JPEG") for i in range(60)} | {"other/1.txt": b""}
    lines = ["id,label", *(f"{i},{i % 2}" for i in range(60))]
    train, validation, _ = parts(table(tmp_path, lines, pictures=files))
    assert train | validation == {f"{i}.jpg": str(i % 2) for i in range(60)}
    assert len(open_images(str(tmp_path / "set.csv")).train) == len(train)


def test_what_is_left_out_is_counted_and_named(tmp_path):
    lines = ["path,label", *(f"{n},{c}" for n, c in labelled().items())]
    lines += ["pics/none.png,ant", ",bee", f"{NAMES[0]},{CLASSES[0]}"]
    lines[5] = f"{NAMES[4]},"
    path = table(tmp_path, lines, pictures=[*NAMES, "pics/more.png"])
    train, validation, found = parts(path)
    assert set(train) | set(validation) == set(NAMES) - {NAMES[4]}
    assert found.notes[1:] == [
        "set: left out 1 row without a path: no path (line 63)",
        "set: left out 1 row whose file is missing: pics/none.png (line 62)",
        f"set: left out 1 row that repeat another: {NAMES[0]} (line 64)",
        "set: left out 1 picture that no row names",
        f"set: left out 1 row without a class: {NAMES[4]} (line 6)",
    ]


OUTSIDE = ["../x.png", "/etc/x.png", "pics/../../x.png", "..\\x.png", "C:/x.png"]


@pytest.mark.parametrize("place", OUTSIDE)
def test_paths_that_lead_outside_are_refused(tmp_path, place):
    write(tmp_path, ["x.png"])
    lines = ["path", *NAMES, place]
    with pytest.raises(DataError, match=r"set.csv: line 62: .* leads outside"):
        find(table(tmp_path / "in", lines))


def test_paths_that_come_back_inside_are_read(tmp_path):
    inside = [f"pics/../{n}" for n in NAMES[:30]] + [str(tmp_path / n) for n in NAMES[30:]]
    found = find(table(tmp_path, ["path", *inside]))
    assert set(found.train.names) | set(found.validation.names) == set(NAMES)


REFUSED = {
    "two classes": (["path,class,category", "pics/0.png,a,b"], "columns class, category might all"),
    "two paths": (["file,image", "pics/0.png,b"], "columns file, image might all .* rename"),
    "no path": (["name,label", "pics/0.png,a"], "expected a header line with a column of paths"),
    "no header": (["pics/0.png,a", "pics/1.png,b"], "expected a header line"),
    "empty": ([""], "received an empty file"),
    "no files": (["path", "a.png", "b.png"], "expected the pictures of its 2 rows, found none"),
    "differ": (["path,label", "pics/0.png,a", "pics/0.png,b"], "lines 2 and 3 differ on pics/0"),
    "long row": (["path,label", "pics/0.png,a,b"], "line 2: expected 2 fields, received 3"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_unclear_tables_are_refused_in_one_line(tmp_path, kind):
    lines, match = REFUSED[kind]
    path = table(tmp_path, lines)
    with pytest.raises(DataError, match=match) as refusal:
        find(path)
    assert path in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_column_called_label_is_the_class(tmp_path):
    lines = ["path,class,label", *(f"{n},9,{c}" for n, c in labelled().items())]
    train, validation, found = parts(table(tmp_path, lines))
    assert train | validation == labelled()
    assert found.notes[0].endswith("no splits; unused: class")


def test_numbers_are_sorted_as_numbers(tmp_path):
    lines = ["path,label", *(f"{n},{i % 12}" for i, n in enumerate(NAMES))]
    assert find(table(tmp_path, lines)).train.classes == tuple(map(str, range(12)))


def test_a_new_label_is_another_set_and_another_column_is_not(tmp_path):
    def digest(lines):
        return find(table(tmp_path, lines)).train.digest

    plain = ["path,label", *(f"{n},{c}" for n, c in labelled().items())]
    wider = ["path,label,by", *(f"{n},{c},me" for n, c in labelled().items())]
    other = [*plain[:-1], f"{NAMES[-1]},ant"]
    assert digest(plain) == digest(wider) != digest(other)


def test_lines_of_json(tmp_path):
    rows = [{"file_name": n, "label": i % 2, "boxes": [1, 2]} for i, n in enumerate(NAMES)]
    path = table(tmp_path, [json.dumps(row) for row in rows], "metadata.jsonl")
    train, validation, _ = parts(path)
    assert train | validation == {n: str(i % 2) for i, n in enumerate(NAMES)}


BAD = {
    "latin-1": ("set.csv", "path\nä.png".encode("latin-1"), "expected UTF-8"),
    "a long line": ("set.csv", b"path\n" + b"x" * (2 << 20), "line 2: longer than"),
    "a large field": ("set.csv", b'path,x\n"' + b"x" * 200_000 + b'",1', "read as a table"),
    "no JSON": ("set.jsonl", b"{", "line 1: can't be read as JSON"),
    "deep JSON": ("set.jsonl", b"[" * 100_000, "line 1: can't be read as JSON"),
    "no object": ("set.jsonl", b"[1]", "line 1: expected a JSON object"),
    "digits": ("set.jsonl", b'{"path": ' + b"9" * 5000 + b"}", "line 1: can't be read as JSON"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_damaged_tables_are_one_clear_line(tmp_path, kind):
    name, content, match = BAD[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=match):
        find(str(tmp_path / name))


def test_a_damaged_picture_is_left_out_and_named(tmp_path):
    lines = ["path", *NAMES]
    path = table(tmp_path, lines, pictures=dict.fromkeys(NAMES, raw(0)) | {NAMES[7]: b"none"})
    assert any(f"left out {NAMES[7]}: " in note for note in open_images(path).notes)

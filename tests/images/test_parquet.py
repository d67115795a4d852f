"""Tables as Hugging Face stores sets of pictures, judged against the pictures written into them."""

import io
import json
import os
import threading

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet as pq

from famulus.config.errors import DataError
from famulus.images import parquet_table
from famulus.images.image_source import Choice, ImageSource
from famulus.images.open import recipe
from famulus.images.parquet import holds_parquet, parquet_parts

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(40) % 3
NAMES = ("cat", "dog", "ape")


def png(pixels):
    raw = io.BytesIO()
    Image.fromarray(pixels).save(raw, "PNG")
    return raw.getvalue()


FILES = [png(pixels) for pixels in PIXELS]


def hugging_face(rows, names=NAMES, column="label"):
    """The columns of some of the pictures, with the metadata that `datasets` writes."""
    image = [{"bytes": FILES[i], "path": f"{i}.png"} for i in range(40)[rows]]
    features = {"image": {"_type": "Image"}, column: {"names": names, "_type": "ClassLabel"}}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(image, kind), column: LABELS[rows]})
    info = json.dumps({"info": {"features": features}})
    return table.replace_schema_metadata({"huggingface": info})


def write(path, table, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=7, **how)


def pictures(part):
    """Decoded here: what is judged is which bytes each row gives."""
    return np.stack([np.asarray(Image.open(part.files.open(name))) for name in part.names])


def same(part, rows):
    assert np.array_equal(pictures(part), PIXELS[rows])
    assert [part.classes[i] for i in part.labels] == [NAMES[i] for i in LABELS[rows]]


@pytest.fixture
def folder(tmp_path):
    """Two shards to train on, one of ten pictures to test."""
    data = tmp_path / "set" / "data"
    write(data / "train-00000-of-00002.parquet", hugging_face(slice(20)))
    write(data / "train-00001-of-00002-0123abcdef.parquet", hugging_face(slice(20, 30)))
    write(data / "test-00000-of-00001.parquet", hugging_face(slice(30, 40)))
    (tmp_path / "set" / "README.md").write_text("x")
    return tmp_path / "set"


def test_splits_by_the_files_names(folder):
    assert holds_parquet(folder)
    train, validation, own, notes = parquet_parts(folder, None, test=True)
    assert own
    assert notes == ["set: files left out, no tables: 1 .md"]
    same(train, slice(30))
    same(validation, slice(30, 40))
    assert train.names[12] == "train/00012"
    assert validation.names[0] == "test/00000"


def test_test_is_left_alone(folder):
    train, validation, own, notes = parquet_parts(folder, 0.3)
    assert not own
    assert "10 pictures of test left alone" in notes[-1]
    pixels = [picture.tobytes() for part in (train, validation) for picture in pictures(part)]
    assert sorted(pixels) == sorted(picture.tobytes() for picture in PIXELS[:30])
    again = parquet_parts(folder, 0.3)
    assert [part.digest for part in again[:2]] == [train.digest, validation.digest]
    assert parquet_parts(folder, 0.5)[0].digest != train.digest


@pytest.mark.parametrize("name", ["validation-00000-of-00001", "dev", "validation/0000"])
def test_a_validation_of_its_own(folder, name):
    write(folder / "data" / f"{name}.parquet", hugging_face(slice(30, 40)))
    _, validation, own, _ = parquet_parts(folder, None)
    assert own
    same(validation, slice(30, 40))


def test_splits_by_folders(tmp_path):
    for role, rows in (("train", slice(30)), ("test", slice(30, 40))):
        write(tmp_path / "default" / role / "0000.parquet", hugging_face(rows))
    same(parquet_parts(tmp_path, None, test=True)[1], slice(30, 40))


PLAIN = {
    "bytes": pa.table({"photo": pa.array(FILES, pa.binary()), "label": LABELS}),
    "large": pa.table({"photo": pa.array(FILES, pa.large_binary()), "Label": LABELS}),
    "texts": pa.table({"img": FILES, "class": np.array(NAMES)[LABELS]}),
    "dictionary": pa.table(
        {"img": FILES, "y": pa.array(np.array(NAMES)[LABELS]).dictionary_encode()}
    ),
    "floats": pa.table({"img": FILES, "target": LABELS.astype(np.float32)}),
    "two": pa.table({"image": FILES, "thumbnail": FILES[::-1], "label": LABELS}),
}


@pytest.mark.parametrize("case", PLAIN)
def test_one_file(tmp_path, case):
    write(tmp_path / "x.parquet", PLAIN[case])
    train, validation, own, notes = parquet_parts(tmp_path / "x.parquet", 0.3)
    assert not own
    assert len(notes) == (case in ("two", "floats"))
    assert not any(str(tmp_path) in line for line in notes)
    texts = case in ("texts", "dictionary")
    assert train.classes == (tuple(sorted(NAMES)) if texts else ("0", "1", "2"))
    for part in (train, validation):
        rows = [int(name.split("/")[1]) for name in part.names]
        assert np.array_equal(pictures(part), PIXELS[rows])
        expected = [NAMES[i] if texts else str(i) for i in LABELS[rows]]
        assert [part.classes[i] for i in part.labels] == expected
    assert len(train.names) + len(validation.names) == 40


def test_pictures_alone(tmp_path):
    write(tmp_path / "x.parquet", pa.table({"photo": FILES, "caption": ["a"] * 40}))
    train, _, _, notes = parquet_parts(tmp_path / "x.parquet", None)
    assert train.labels is None
    assert notes == ["x: columns left out: caption"]


def test_as_a_source(folder):
    """Through the same decoding as files."""
    train, *_ = parquet_parts(folder, None, test=True)
    source = ImageSource(train, recipe(None, "bilinear", 3, "stretch"), Choice(None, 0, ""))
    assert np.array_equal(source.images, PIXELS[:30].transpose(0, 3, 1, 2))


def test_threads_read_what_one_thread_reads(folder):
    train, *_ = parquet_parts(folder, None, test=True)
    wrong = []

    def read(seed):
        for i in np.random.default_rng(seed).permutation(30):
            if train.files.open(f"train/{i:05d}").read() != FILES[i]:
                wrong.append(i)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_damaged_picture_is_left_out(tmp_path):
    files = [*FILES[:3], b"no picture", None, *FILES[5:]]
    write(tmp_path / "x.parquet", pa.table({"image": pa.array(files, pa.binary())}))
    train, *_ = parquet_parts(tmp_path / "x.parquet", 0.1)
    items = dict(zip(train.names, train.items(), strict=True))
    assert isinstance(items["train/00003"], str)
    assert items["train/00004"] == "no bytes in its row"
    assert sum(isinstance(item, str) for item in items.values()) == 2


def text(column):
    return pa.table({"image": FILES, "label": pa.array(column)})


REFUSED = {
    "no pictures": (
        pa.table({"a": LABELS, "b": ["x"] * 40}),
        r"received a \(int64\), b \(string\)",
    ),
    "paths": (pa.table({"image": ["1.png"] * 40}), "paths alone"),
    "no bytes": (
        pa.table(
            {
                "image": pa.array(
                    [{"bytes": None, "path": "1.png"}] * 40,
                    pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
                )
            }
        ),
        "received paths alone",
    ),
    "lists": (pa.table({"image": [[1, 2]] * 40}), r"image \(list<"),
    "two images": (pa.table({"left": FILES, "right": FILES}), "left and right"),
    "two labels": (pa.table({"image": FILES, "label": LABELS, "class": LABELS}), "label and class"),
    "list labels": (text([[1, 2]] * 40), "label: expected labels as integers or texts, received"),
    "null labels": (text([1] * 38 + [None] * 2), "label: 2 of 40 have no label"),
    "null texts": (text(["a"] * 39 + [None]), "label: 1 of 40 have no label"),
    "regression": (text(LABELS + 0.5), "regression"),
    "no label": (text(LABELS - 1), "received -1 to 1"),
    "beyond its names": (hugging_face(slice(40), NAMES[:2]), "0 to 1"),
    "long names": (text(["a" * 2000] * 40), "received 1 texts of up to 2,000 letters"),
    "no columns": (pa.table({}), "received no columns"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_one_line_with_the_path(tmp_path, case):
    table, message = REFUSED[case]
    write(tmp_path / "x.parquet", table)
    with pytest.raises(DataError, match=message) as error:
        parquet_parts(tmp_path / "x.parquet", None)
    assert "x.parquet" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "info",
    [
        "[" * 100_000,
        '{"info": {"features": {"label": {"names": [1, 2, 3]}}}}',
        '{"info": {"features": {"label": {"names": ["a", "a", "b"]}}}}',
        '{"info": {"features": [1]}}',
        '{"info": ' + "9" * 5000 + "}",
        "Infinity",
        "\xff",
    ],
)
def test_metadata_is_not_trusted(tmp_path, info):
    table = pa.table({"image": FILES, "label": LABELS})
    table = table.replace_schema_metadata({b"huggingface": info.encode("latin-1")})
    write(tmp_path / "x.parquet", table)
    train, *_ = parquet_parts(tmp_path / "x.parquet", 0.3)
    assert train.classes == ("0", "1", "2")


def test_every_truncation_is_one_line(folder):
    path = folder / "data" / "test-00000-of-00001.parquet"
    raw = path.read_bytes()
    for cut in [*range(0, len(raw), 211), len(raw) - 1]:
        path.write_bytes(raw[:cut])
        with pytest.raises(DataError, match=r"test-00000-of-00001\.parquet: cannot be read"):
            parquet_parts(folder, None)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x\n")
    with pytest.raises(DataError, match="run git lfs pull"):
        parquet_parts(folder, None)


def test_damage_in_the_middle_is_a_reason(tmp_path):
    write(tmp_path / "x.parquet", pa.table({"image": FILES}))
    raw = bytearray((tmp_path / "x.parquet").read_bytes())
    random, reasons = np.random.default_rng(0), []
    for _ in range(30):
        place = int(random.integers(4, len(raw)))
        byte = raw[place]
        raw[place] = int(random.integers(256))
        (tmp_path / "x.parquet").write_bytes(raw)
        raw[place] = byte
        try:
            for part in parquet_parts(tmp_path / "x.parquet", 0.3)[:2]:
                list(part.items())
        except DataError as error:
            reasons.append(str(error))
    assert all("x.parquet" in reason for reason in reasons)
    assert reasons


def test_a_repeated_picture_does_not_fill_the_memory(tmp_path, monkeypatch):
    """A dictionary of one large value: small in the file, and in the footer."""
    large = [bytes(1 << 20)] * 64
    pq.write_table(pa.table({"image": large}), tmp_path / "x.parquet", use_dictionary=True)
    monkeypatch.setattr(parquet_table, "MAX_GROUP_BYTES", 8 << 20)
    monkeypatch.setattr(parquet_table, "STEP_BYTES", 2 << 20)
    train, *_ = parquet_parts(tmp_path / "x.parquet", 0.3)
    with pytest.raises(DataError, match=r"row group 0 has .* limit 8,388,608"):
        train.files.open("train/00000")


def test_a_large_row_group_is_refused_by_its_footer(tmp_path, monkeypatch):
    write(tmp_path / "x.parquet", pa.table({"image": FILES}))
    monkeypatch.setattr(parquet_table, "MAX_GROUP_BYTES", 100)
    with pytest.raises(DataError, match=r"row group 0 has .*row_group_size=100"):
        parquet_parts(tmp_path / "x.parquet", 0.3)


def test_what_is_left_out_is_named(folder):
    write(folder / "data" / "extra.parquet", hugging_face(slice(3)))
    (folder / "data" / "train-00000-of-00002.parquet").unlink()
    *_, notes = parquet_parts(folder, 0.3)
    assert any("extra.parquet left out" in note for note in notes)
    assert any("train: 1 of 2 files are there" in note for note in notes)


def test_two_sets_in_one_folder_are_refused(folder):
    write(folder / "other" / "train.parquet", hugging_face(slice(3)))
    with pytest.raises(DataError, match=r"train in .*data and in .*other: more than one set"):
        parquet_parts(folder, None)


def test_splits_must_agree(folder):
    write(folder / "data" / "test-00000-of-00001.parquet", hugging_face(slice(30, 40), NAMES[::-1]))
    with pytest.raises(DataError, match="of the same kind and the same classes"):
        parquet_parts(folder, None, test=True)
    plain = pa.table({"image": FILES[30:]})
    write(folder / "data" / "test-00000-of-00001.parquet", plain)
    train, *_, notes = parquet_parts(folder, None, test=True)
    assert train.labels is None
    assert "no labels in test-00000" in notes[-1]


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "train.parquet")
    assert not holds_parquet(tmp_path)
    with pytest.raises(DataError, match=r"expected \.parquet files"):
        parquet_parts(tmp_path, None)
    with pytest.raises(DataError, match=r"expected \.parquet files"):
        parquet_parts(tmp_path / "train.parquet", None)

"""A model folder as a stranger may have made it: damaged, truncated or hostile, it is one line."""

import hashlib
import json
import os
import re
import struct

import numpy as np
import pytest
from safetensors.numpy import save

from famulus.config.errors import ConfigError, StoreError
from famulus.store.model_folder import WEIGHTS, ModelFolder, names_a_folder, write

ABOUT = {
    **{"task": "tiles", "settings": {"task": "tiles"}, "built_from": {"shape": [1, 8, 8]}},
    **{"scores": {}, "lineage": {}, "versions": {}},
}
TENSORS = save({"weight": np.arange(6, dtype=np.float32).reshape(2, 3)})


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "m", ABOUT, {WEIGHTS: TENSORS, "examples/inputs.safetensors": TENSORS}, "# x")
    return tmp_path / "m"


def changed(folder, **more):
    about = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(about | more))


def refused(folder, *words, name=WEIGHTS):
    """The one line of whoever opens the folder and reads `name`."""
    with pytest.raises(StoreError) as error:
        ModelFolder.open(folder).read(name)
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 500
    assert all(word in line for word in (str(folder), *words)), line


def test_what_is_written_is_read(folder):
    opened = ModelFolder.open(folder)
    assert opened.read(WEIGHTS) == opened.read("examples/inputs.safetensors") == TENSORS
    assert opened.digest == hashlib.sha256(TENSORS).hexdigest()
    assert opened.about == ABOUT | {"format": 1, "files": opened.about["files"]}
    assert opened.card() == "# x"
    (folder / "README.md").write_text("# x\n\nMIT")  # the person's to fill in
    assert ModelFolder.open(folder).card().endswith("MIT")
    assert opened.read(WEIGHTS)


def test_a_folder_is_read_from_a_url(folder):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/bucket/m", recursive=True)
    opened = ModelFolder.open("memory://bucket/m")
    assert opened.read(WEIGHTS) == TENSORS
    assert opened.card() == "# x"
    memory.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes"),
        (TENSORS[:-1], ""),
        (struct.pack("<Q", 10 * 2**30) + b"{}", "claims 10,737,418,240"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "claims"),
        (struct.pack("<Q", len(TENSORS)) + b"{}", "claims"),
    ],
)
def test_weights_that_are_none(folder, data, says):
    (folder / WEIGHTS).write_bytes(data)
    refused(folder, WEIGHTS, "damaged: expected sha256")  # by an accident: its hash is another
    files = {WEIGHTS: hashlib.sha256(data).hexdigest()}
    changed(folder, files=files)  # on purpose
    if says:
        refused(folder, WEIGHTS, says)
    else:  # its header is sound: whoever unpacks it finds out
        assert ModelFolder.open(folder).read(WEIGHTS) == data


@pytest.mark.parametrize(
    "name",
    [
        *("../secret", "/etc/passwd", "examples/../../secret", "examples//x", "other/x", ".hidden"),
        *("parents/../model.json", "a\\..\\b", "", "examples/", "C:x", "a\0b", "-o", "x" * 300),
    ],
)
def test_a_name_never_leads_out(folder, name):
    (folder.parent / "secret").write_bytes(TENSORS)
    changed(folder, files={WEIGHTS: "0", name: hashlib.sha256(TENSORS).hexdigest()})
    refused(folder, "model.json", "files", name=name)


def test_a_link_is_no_file(folder):
    (folder.parent / "secret").write_bytes(TENSORS)
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to(folder.parent / "secret")
    refused(folder, WEIGHTS, "a link")
    (folder / "examples/inputs.safetensors").unlink()
    (folder / "examples").rmdir()
    os.symlink(folder.parent, folder / "examples")
    refused(folder, "a link", name="examples/inputs.safetensors")
    os.symlink(folder, folder.parent / "shortcut")  # of the whole folder: a person's own
    assert ModelFolder.open(folder.parent / "shortcut").about["task"] == "tiles"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected JSON"),
        ('{"format": 1', "expected JSON"),
        ("[]", "expected a mapping"),
        ('{"format": NaN}', "finite"),
        ('{"format": 1, "scores": {"loss": 1e999}}', "finite"),
        ('{"a":' * 3000 + "1" + "}" * 3000, "levels"),
        ("[" * 200_000, "levels"),
        ('{"a":' * 100 + "1" + "}" * 100, "levels"),
        ('{"format": ' + "9" * 5000 + "}", "expected JSON"),
        ('{"format": 2}', "upgrade famulus"),
        ('{"format": true}', "expected format 1"),
        ('{"format": "1"}', "expected format 1"),
        ('{"format": 1, "task": 3}', "task: expected a text"),
        ('{"format": 1, "task": "tiles", "settings": []}', "settings: expected a mapping"),
        ("x" * (17 << 20), "at most"),
        ("\ud800".encode("utf-8", "surrogatepass"), "expected JSON"),
    ],
    ids=range(16),
)
def test_a_model_json_that_is_none(folder, text, says):
    data = text.encode() if isinstance(text, str) else text
    (folder / "model.json").write_bytes(data)
    refused(folder, "model.json", says)


def test_other_folders_say_what_they_lack(folder, tmp_path):
    refused(tmp_path / "none", "model.json", "is it a model folder")
    changed(folder, files={})
    refused(folder, f"expected {WEIGHTS}")
    changed(folder, files={WEIGHTS: 3})
    refused(folder, "sha256")
    changed(folder, files={f"{n}": "x" for n in range(1001)})
    refused(folder, "at most 1000 files")
    changed(folder, files={WEIGHTS: "0", "examples/gone": "0"})
    refused(folder, "received none", name="examples/gone")
    refused(folder, "lists no", name="examples/other")


def test_nothing_is_overwritten_and_nothing_stays_half_written(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", ABOUT, {WEIGHTS: TENSORS}, "")
    for taken in ("empty", "file", "link"):
        if taken == "file":
            (tmp_path / "file").write_text("mine")
        if taken == "link":
            (tmp_path / "link").symlink_to(tmp_path / "nowhere")
        with pytest.raises(ConfigError, match="expected no folder or an empty one"):
            write(tmp_path / taken, ABOUT, {WEIGHTS: TENSORS}, "")
    before = sorted(path.name for path in tmp_path.iterdir())

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError, match="disk is full"):
        write(tmp_path / "new", ABOUT, {WEIGHTS: TENSORS}, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_secrets_and_numbers_that_json_lacks_are_not_written(tmp_path):
    settings = {"task": "tiles", "password": "hunter2hunter2", "rate": float("inf")}
    card = "token=ghp_abcdefghijklmnopqrstuvwxyz123456"
    write(tmp_path / "m", ABOUT | {"settings": settings}, {WEIGHTS: TENSORS}, card)
    text = (tmp_path / "m/model.json").read_text() + (tmp_path / "m/README.md").read_text()
    assert not re.search(r"hunter2|ghp_|Infinity", text)
    assert ModelFolder.open(tmp_path / "m").about["settings"]["rate"] == "inf"


def test_which_references_are_folders(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(folder.parent)
    assert [names_a_folder(x) for x in ("m", "./x", "models/x", "s3://b/m", folder)] == [True] * 5
    runs = ("last", "last:tiles/first-light", "0c09dc16d3b3", "0c09@best", "none")
    assert [names_a_folder(x) for x in runs] == [False] * 5

"""What was noticed in the data is said once, before a training, whatever the number of cells."""

import shutil

import pytest

from famulus.launch import local
from famulus.store.store import Store
from tests.images.test_look import photographs
from tests.launch.tiny import ONE, TEXT, famulus, write


@pytest.fixture
def damaged(tmp_path):
    folder = photographs(tmp_path / "photos", each=12)
    for n in range(3):
        (folder / "train" / "cat" / f"broken{n}.png").write_bytes(b"\x89PNG" + bytes(n))
    data = f"data: {{name: '{folder}', size: 8}}"
    text = TEXT.replace("data: {name: digits, subset: 320, validation: 64}", data)
    return write(
        tmp_path,
        text.replace("inputs: 320", "inputs: 64").replace("64\n  batch: 32", "64\n  batch: 16"),
    )


def test_notes_come_once_and_before_the_first_step(damaged, tmp_path):
    out = famulus("run", damaged, "--store", tmp_path / "runs", "--no-journal").out
    lines = out.splitlines()
    notes = [n for n, line in enumerate(lines) if line.startswith("note: ")]
    assert sum("broken0.png" in line for line in lines) == 1
    trained = next(n for n, line in enumerate(lines) if line.startswith("lr="))
    assert notes
    assert max(notes) < trained
    assert out.count("finished") == 2  # two cells, of one set
    again = famulus("run", damaged, "--store", tmp_path / "runs", "--no-journal").out
    assert "note: " not in again  # nothing is trained


def test_copies_across_the_split_are_recorded_as_such(damaged, tmp_path):
    photos = tmp_path / "photos"
    shutil.copy(next((photos / "train" / "cat").glob("000*.png")), photos / "validation/dog/a.png")
    said = famulus("run", damaged, *ONE, "--store", tmp_path / "runs", "--no-journal")
    assert said.code == 0, said.err
    run = Store.open(tmp_path / "runs").find("last")
    (facts,) = [event for event in run.events() if event["kind"] == "facts"]
    (note,) = facts["copies"]
    assert "a.png" in note
    assert note in facts["data_notes"]
    assert len(facts["data_notes"]) > 1


def test_many_notes_are_counted(damaged, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "NOTES", 1)
    out = famulus("run", damaged, "--store", tmp_path / "runs", "--no-journal").out
    assert sum(line.startswith("note: ") for line in out.splitlines()) == 2
    assert "more stand on the page" in out


def test_for_machines_there_is_one_value_alone(damaged, tmp_path):
    said = famulus("run", damaged, "--store", tmp_path / "runs", "--no-journal", "--json")
    assert {cell["status"] for cell in said.json()["cells"]} == {"finished"}

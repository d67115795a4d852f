"""The cache says what the files say, and reads a finished run once."""

import pytest

from famulus.store import Store, index, layout
from famulus.store.claims import claim


def finished(store, k):
    run = store.create_run("e", f"s{k}", f"{k:012x}", {})
    with claim(run) as attempt:
        attempt.finish({"status": "finished", "step": k, "scores": {"val/loss": 0.5}})
    return run


@pytest.fixture
def read(monkeypatch):
    """Paths of the runs that were summarised."""
    seen = []
    true = index.summary

    def counted(run):
        seen.append(run.id[-1])
        return true(run)

    monkeypatch.setattr(index, "summary", counted)
    return seen


def test_finished_runs_are_read_once(store, read):
    for k in range(3):
        finished(store, k)
    planned = store.create_run("e", "s3", f"{3:012x}", {})
    first = store.rows()
    assert sorted(read) == ["0", "1", "2", "3"]
    assert [row["status"] for row in first] == ["finished"] * 3 + ["planned"]
    assert first[2]["step"] == 2
    assert first[2]["scores"] == {"val/loss": 0.5}
    read.clear()
    assert store.rows() == first
    assert read == ["3"]  # only what can change
    read.clear()
    attempt = claim(planned)
    attempt.emit({"kind": "train", "step": 7, "inputs": 70, "s": 1.5, "rate": 9.0, "wait": 0.1})
    attempt.emit({"kind": "val", "step": 7, "inputs": 70, "s": 1.5, "values": {"loss": 0.25}})
    attempt.flush()
    row = store.rows("e")[3]
    assert (row["status"], row["step"], row["inputs"], row["rate"]) == ("running", 7, 70, 9.0)
    assert row["scores"] == {"val/loss": 0.25}
    attempt.close()


def test_the_cache_can_be_deleted_or_damaged(store):
    finished(store, 1)
    rows = store.rows()
    path = index.cache_file(store.root)
    path.unlink()
    assert store.rows() == rows
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    assert store.rows() == rows
    assert store.rows() == rows


def test_without_a_cache_folder(store, monkeypatch, tmp_path):
    finished(store, 1)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "file" / "below"))
    assert store.rows()[0]["status"] == "finished"


def test_a_removed_run_is_forgotten(store):
    run = finished(store, 1)
    finished(store, 2)
    assert len(store.rows()) == 2
    store.files.remove(run.path)
    assert [row["slug"] for row in store.rows()] == ["s2"]
    store.files.remove("e")
    assert store.rows() == []


def test_a_run_that_is_not_done_any_more_is_read_again(tmp_path, read):
    store = Store.open(tmp_path / "lab")
    run = finished(store, 1)
    assert store.rows()[0]["status"] == "finished"
    run.files.remove(layout.done(run.path))
    assert store.rows()[0]["status"] == "interrupted"


def test_a_damaged_run_does_not_hide_the_others(store):
    finished(store, 1)
    run = store.create_run("e", "s2", f"{2:012x}", {})
    store.files.write(layout.attempt(run.path, 1), b'{"process": 3, "lease_s": "x"}')
    store.files.write(layout.done(run.path), b"{torn")
    rows = store.rows()
    assert rows[0]["status"] == "finished"
    assert len(rows) == 2


def test_two_stores_do_not_share_rows(tmp_path):
    finished(Store.open(tmp_path / "a"), 1)
    assert len(Store.open(tmp_path / "a").rows()) == 1
    assert Store.open(tmp_path / "b").rows() == []

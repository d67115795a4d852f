"""A run from plan to done, its checkpoints, and what a damaged one says."""

import json

import pytest

from famulus.config.errors import Busy, StoreError
from famulus.store import layout
from famulus.store.claims import claim


def steps(run):
    return [event["step"] for event in run.events()]


def train(attempt, *which):
    for step in which:
        attempt.emit({"kind": "train", "step": step})


def test_from_plan_to_done(run):
    first = claim(run)
    assert (first.n, first.start_from, run.status()) == (1, None, "running")
    train(first, 1, 2)
    first.save_checkpoint(2, {"model.safetensors": b"two"}, {"epoch": 1}, tags=["best"])
    train(first, 3)
    first.end("interrupted")
    assert run.status() == "interrupted"
    assert steps(run) == [1, 2, 3]
    second = claim(run)
    assert (second.n, second.start_from) == (2, 2)
    assert steps(run) == [1, 2]  # step 3 was lost, and is done again
    train(second, 3, 4)
    second.save_checkpoint(4, {"model.safetensors": b"four"}, {"epoch": 2})
    assert second.finish({"status": "finished", "step": 4})
    assert steps(run) == [1, 2, 3, 4]
    assert run.checkpoints() == [2, 4]
    assert run.status() == "finished"
    assert run.done()["attempt"] == 2
    assert run.open_checkpoint(4).read("model.safetensors") == b"four"
    assert run.open_checkpoint(2).state == {"epoch": 1}
    assert [run.step_of(w) for w in ("last", "best", "2")] == [4, 2, 2]
    assert [(a["n"], a["start_from"], a["ended"]) for a in run.attempts()] == [
        (1, None, "interrupted"),
        (2, 2, "finished"),
    ]
    with pytest.raises(StoreError, match="is finished"):
        claim(run)
    with pytest.raises(StoreError, match="it has 2, 4"):
        run.step_of("7")


def test_done_is_created_once(run):
    attempt = claim(run)
    assert attempt.finish({"status": "failed", "reason": "NaN"})
    assert run.status() == "failed"
    assert not attempt.finish({"status": "finished"})
    assert run.done()["reason"] == "NaN"
    run.files.remove(layout.done(run.path))
    assert run.done() is None
    with claim(run) as again:
        assert again.n == 2


def test_leaving_the_block_frees_the_lease(run):
    with pytest.raises(ZeroDivisionError), claim(run):
        _ = 1 / 0
    assert run.status() == "failed"  # and can be claimed again
    with pytest.raises(KeyboardInterrupt), claim(run):
        raise KeyboardInterrupt
    assert run.status() == "interrupted"
    claim(run).close()
    with pytest.raises(Busy):  # the control: closed without an end, and this process lives
        claim(run)


def test_a_checkpoint_exists_only_with_its_manifest(store, run):
    with claim(run) as attempt:
        attempt.save_checkpoint(5, {"model.safetensors": b"five"}, {})
        store.files.write(layout.checkpoint(run.path, 6) + "/model.safetensors", b"half")
        assert run.checkpoints() == [5]
    with claim(run) as attempt:
        assert attempt.start_from == 5
    assert store.files.list(layout.checkpoints(run.path)) == ["5"]  # the half one is swept


@pytest.mark.parametrize("text", ["", "{", '{"attempt": 7, "segments": 0, "files": {}}'])
def test_a_torn_or_foreign_manifest_is_no_checkpoint(store, run, text):
    with claim(run) as attempt:
        attempt.save_checkpoint(5, {"m": b"five"}, {})
        store.files.write(layout.manifest(run.path, 6), text.encode())
        assert run.checkpoints() == [5]
    with claim(run) as attempt:
        assert attempt.start_from == 5


def test_prune_keeps_what_it_is_told(run):
    with claim(run) as attempt:
        for step in (1, 2, 3):
            attempt.save_checkpoint(step, {"m": b"x"}, {})
        attempt.tag(1, ["best"])
        attempt.prune({1, 3})
        assert run.checkpoints() == [1, 3]
        assert run.step_of("best") == 1


def test_a_step_can_be_saved_again_after_a_rollback(run):
    with claim(run) as attempt:
        attempt.save_checkpoint(1, {"m": b"first"}, {})
        attempt.save_checkpoint(1, {"m": b"second"}, {})
        assert run.open_checkpoint(1).read("m") == b"second"


def damaged(run, content):
    name = run.manifest(1)["files"]["m"]["file"]
    run.files.write(f"{layout.checkpoint(run.path, 1)}/{name}", content)
    with pytest.raises(StoreError) as error:
        run.open_checkpoint(1).read("m")
    return str(error.value)


def test_damage_is_named(run):
    with claim(run) as attempt:
        attempt.save_checkpoint(1, {"m": b"right"}, {})
    assert run.open_checkpoint(1).read("m") == b"right"
    said = damaged(run, b"wrong")
    assert "checkpoints/1/m is damaged: expected sha256 " in said
    assert "remove the folder" in said
    assert "expected 5 bytes, received 4 bytes" in damaged(run, b"shor")
    run.files.remove(f"{layout.checkpoint(run.path, 1)}/m")
    with pytest.raises(StoreError, match="received no file"):
        run.open_checkpoint(1).read("m")
    with pytest.raises(StoreError, match=r"expected one of m, state.json .* received 'n'"):
        run.open_checkpoint(1).read("n")


def test_a_manifest_cannot_point_elsewhere(run):
    with claim(run) as attempt:
        attempt.save_checkpoint(1, {"m": b"x"}, {})
    manifest = run.manifest(1)
    manifest["files"]["m"]["file"] = "../../run.yaml"
    run.files.write(layout.manifest(run.path, 1), json.dumps(manifest).encode())
    with pytest.raises(StoreError, match="a file of a manifest"):
        run.open_checkpoint(1).read("m")


def test_a_path_is_copied(run, tmp_path):
    (tmp_path / "w").write_bytes(b"weights")
    with claim(run) as attempt:
        attempt.save_checkpoint(1, {"model.safetensors": tmp_path / "w"}, {"x": float("nan")})
    assert run.open_checkpoint(1).read("model.safetensors") == b"weights"


def test_pictures_and_notes(run):
    with claim(run) as attempt:
        file = attempt.save_picture("recon-1", b"png")
    assert file == "pictures/recon-1.png"
    assert run.picture(file) == b"png"
    assert run.notes() == ""
    run.write_notes("schön")
    assert run.notes() == "schön"
    with pytest.raises(StoreError, match="received no file"):
        run.picture("pictures/none.png")


def test_numpy_numbers_and_bad_events(run):
    import numpy as np

    with claim(run) as attempt:
        attempt.emit({"kind": "train", "step": np.int64(3), "values": {"total": np.float32(0.5)}})
        attempt.emit({"kind": "train", "step": 4, "values": {"total": float("inf")}})
        with pytest.raises(ValueError, match="with a kind"):
            attempt.emit({"step": 1})
    first, second = run.events()
    assert first["values"] == {"total": 0.5}
    assert second["values"]["total"] == float("inf")

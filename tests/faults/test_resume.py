"""A run that breaks off at any step has, once resumed, the very curve of one that did not.

Logs, validations and checkpoints fall on different steps here, so that a mean over steps could be
torn apart by a checkpoint that comes between two logs.
"""

import pytest

from famulus.store.store import Store
from famulus.training.randomness import Streams
from tests.launch.tiny import ONE, STEPS, TEXT, complains, famulus, write

APART = TEXT.replace("log_every: {steps: 1}", "log_every: {steps: 3}")


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAMULUS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    words = ("run", write(folder, APART), *ONE, "--store", folder / "runs", "--no-journal")
    assert famulus(*words).code == 0
    return Store.open(folder / "runs").runs()[0]


def end(run):
    points = [(e["kind"], e["step"], e["values"]) for e in run.curve() if e["kind"] in KINDS]
    last = run.open_checkpoint(STEPS)
    return points, last.read("model.safetensors"), last.read("optimizer.safetensors")


KINDS = ("train", "val")


@pytest.mark.parametrize("step", range(STEPS))
def test_an_error_at_any_step(tmp_path, monkeypatch, whole, step):
    true = Streams.step

    def breaks(self, now):
        if now == step:
            raise RuntimeError("a cable\nwas pulled")
        true(self, now)

    words = ("run", write(tmp_path, APART), *ONE, "--store", tmp_path / "runs", "--no-journal")
    with monkeypatch.context() as broken:
        broken.setattr(Streams, "step", breaks)
        complains(famulus(*words), 1, "lr=0.001", "RuntimeError at test_resume.py", "a cable")
    run = Store.open(tmp_path / "runs").runs()[0]
    assert (run.status(), run.id) == ("failed", whole.id)
    assert famulus(*words).code == 0
    assert end(run) == end(whole)


def test_a_lost_position_is_seen(tmp_path, monkeypatch, whole):  # proof that the test can fail
    true = Streams.step
    monkeypatch.setattr(Streams, "step", lambda self, step: true(self, step + (step > 6)))
    words = ("run", write(tmp_path, APART), *ONE, "--store", tmp_path / "runs", "--no-journal")
    assert famulus(*words).code == 0
    assert end(Store.open(tmp_path / "runs").runs()[0]) != end(whole)

"""No secret that a person gave stands in any file of a store, of its pages, or of its cache."""

import pytest
import torch

from famulus import Monitor, tasks
from famulus.config.errors import ConfigError
from famulus.config.schema import Strict
from famulus.launch.actions import read_plan
from famulus.store.store import Store
from famulus.tasks.tiles.tiles import Tiles
from tests.launch.tiny import ONE, TEXT, complains, famulus, write

SETTINGS = {"password": "hunter1x", "api_key": "hunter2x", "url": "https://me:hunter3x@host/a"}
FILE = TEXT.replace(
    "why: does the machinery around a training hold?",
    "# password: hunter4x\nwhy: does it hold with token=hunter5x and https://me:hunter6x@host?",
)
WHY = "why=token=hunter7x, db_pass = 'hunter8x'"
RAISED = "no answer of https://me:hunter9x@host: password=hunter9y"


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))


def watched(store, **settings):
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x, y = torch.randn(8, 2), torch.randn(8, 1)
    with Monitor(
        net, optimizer, store=store, name="own", settings=settings, why="auth=huntery"
    ) as m:
        for _ in range(3):
            optimizer.zero_grad()
            loss = ((net(x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            m.step(loss, inputs=x)
        m.mark("now with secret=hunterz")
        if "fails" in settings:
            raise OSError(RAISED)
    return m.run


def test_no_file_holds_a_secret(tmp_path, monkeypatch):
    root, file = tmp_path / "runs", write(tmp_path, FILE)
    at = ("--store", root)
    said = [famulus("run", file, *ONE, *at), famulus("run", file, *ONE, "--set", WHY, *at)]
    run = Store.open(root).find("last")
    change = ("--set", "training.optimizer.lr=0.0001", "--set", WHY)
    said.append(famulus("resume", run.id, "--from", 8, *change, *at))
    said.append(famulus("rerun", run.id, "--current-code", *at))
    assert [one.code for one in said] == [0] * 4, said
    finished = watched(root, width=8, **SETTINGS)
    with pytest.raises(OSError, match="hunter9x"):
        watched(root, fails=True, **SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr(Tiles, "loss", lambda *_: (_ for _ in ()).throw(OSError(RAISED)))
        assert famulus("run", file, *ONE, "--set", "training.seed=3", *at).code == 1
    assert famulus("journal", *at).code == 0
    shown = famulus("compare", "own", "--json", *at).out + famulus("status", "--json", *at).out
    shown += famulus("compare", "tiny", "--json", *at).out + famulus("status", *at).out
    files = [p for p in tmp_path.rglob("*") if p.is_file() and p != file]
    assert len(files) > 60
    assert "hunter" not in shown
    assert [str(p) for p in files if "hunter" in str(p) or b"hunter" in p.read_bytes()] == []
    # what is no secret is there
    assert finished.slug == "width=8"
    stored = finished.config()["matrix"]
    assert stored == {"width": 8, "password": "***", "api_key": "***", "url": "https://***@host/a"}
    text = Store.open(root).planned("tiny")["text"]
    assert "does it hold with token=*** and https://***@host?" in text
    ends = {run.ending()["reason"] for run in Store.open(root).runs() if run.status() == "failed"}
    assert ends == {"OSError: no answer of https://***@host: password=***"}


def test_a_secret_is_used_and_not_stored(tmp_path):
    """The loop keeps the settings that it was given."""
    given = dict(SETTINGS)
    run = watched(tmp_path / "runs", **given)
    assert given == SETTINGS
    assert run.config()["matrix"]["password"] == "***"


def test_a_run_whose_setting_was_hidden_says_so(tmp_path):
    """It is not trained with asterisks; the file, which has the value, goes on with it."""
    root = tmp_path / "runs"
    store = Store.open(root)
    config = {"why": "x", "task": "tiles", "matrix": {}, "training": {"inputs": 320}}
    data = {"name": "https://me:hunter2x@host/digits.npz"}
    run = store.create_run("tiny", "run", "0123456789ab", {**config, "data": data})
    assert "hunter" not in str(run.config())
    said = famulus("resume", run.id, "--store", root)
    complains(
        said, 2, run.id, "data.name", "not stored", f"famulus resume {run.id} --set data.name"
    )


def test_a_secret_in_the_matrix_is_refused(tmp_path):
    text = TEXT.replace("matrix:\n", "matrix:\n  password: [hunter2x]\n")
    said = famulus("run", write(tmp_path, text), "--store", tmp_path / "runs")
    line = complains(said, 2, "tiny.yaml:4", "matrix.password")
    assert "hunter" not in line
    assert not (tmp_path / "runs").exists()


def test_so_is_one_that_only_its_setting_gives_away(tmp_path, monkeypatch):
    class Account(Strict):
        password: str

    class Remote(Tiles):
        class Config(Strict):
            data: Account

    monkeypatch.setattr(tasks, "load", lambda *_: Remote)
    text = "why: x\ntask: remote\nmatrix:\n  who: [hunter2x]\n"
    text += 'data: {password: "${matrix.who}"}\ntraining: {inputs: 8}\n'
    with pytest.raises(ConfigError, match=r"tiny.yaml:4:8: matrix.who: .* a secret") as caught:
        read_plan(write(tmp_path, text), (), ())
    assert "hunter" not in str(caught.value)

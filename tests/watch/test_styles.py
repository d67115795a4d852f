"""GAN, compiled network, slow loader, no optimizer: loops that are not the plain one."""

import json
from pathlib import Path

import pytest

from tests.watch.shell import by_model, events, python, script, watch


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gan")
    script(folder, "gan.py")
    return watch(folder, "gan.py", options=("--json",))


def test_json_is_one_object_and_the_scripts_words_go_to_stderr(gan):
    said = gan.json()
    assert said.keys() == {"exit_code", "runs"}
    assert said["exit_code"] == gan.code == 0
    (row,) = said["runs"]
    size = {"model", "steps", "samples", "epochs"}
    assert row.keys() == {"id", "experiment", *size, "page", "findings"}
    run = gan.run()
    assert (row["id"], row["experiment"], row["steps"]) == (run.id, "gan", 40)
    assert Path(gan.folder, row["page"]).is_file()
    assert all(isinstance(finding["cause"], str) for finding in row["findings"])
    for line in ("the script is through", "and said so"):
        assert gan.err.splitlines().count(line) == 1


def test_two_optimizers_are_one_training_and_losses_have_the_scripts_names(gan):
    run = gan.run()
    assert run.done()["step"] == 40
    losses = json.loads((gan.folder / "losses.json").read_text())
    last = 0
    for event in events(run, "train"):
        if event["step"] == last:
            continue
        window = slice(last, event["step"])
        assert losses.keys() <= event["values"].keys()
        for name, values in losses.items():
            mean = sum(values[window]) / len(values[window])
            assert event["values"][name] == pytest.approx(mean, rel=1e-5), (name, window)
        last = event["step"]
    assert last == 40


def test_settings_name_both_optimizers(gan):
    both = gan.run().config()["training"]["optimizers"]
    assert [(one["class"], one["variable"]) for one in both] == [
        ("Adam", "optimizerD"),
        ("Adam", "optimizerG"),
    ]


@pytest.mark.slow
def test_a_compiled_network_is_compiled_as_ever(tmp_path):
    """No break of its graph more than without, the same losses, and a word on what is not seen."""
    script(tmp_path, "compiled.py")
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")}  # compiled once
    plain = python(tmp_path, "compiled.py", **cache)
    watched = watch(tmp_path, "compiled.py", **cache)
    assert plain.out.endswith("breaks 0\ngraphs 1\n"), plain
    assert watched.out.startswith(plain.out), watched
    assert "compile" in watched.out[len(plain.out) :] + "".join(watched.notes())
    run = watched.run()
    assert run.done()["step"] == 30
    losses = [float.fromhex(line) for line in plain.out.splitlines()[:30]]
    last = events(run, "train")[-1]["step"]
    assert last == 30
    first = events(run, "train")[0]
    mean = sum(losses[: first["step"]]) / first["step"]
    assert first["values"]["total"] == pytest.approx(mean, rel=1e-5)


def test_time_spent_waiting_for_a_loader(tmp_path):
    script(tmp_path, "loaders.py")
    watched = watch(tmp_path, "loaders.py")
    runs = by_model(watched.store)
    assert runs.keys() == {"SlowData", "SlowUpdate"}
    # 20 ms for a batch of data there, for an update here
    assert 0.5 < runs["SlowData"].done()["wait"] <= 1
    assert 0 <= runs["SlowUpdate"].done()["wait"] < 0.3
    shares = [event["wait"] for event in events(runs["SlowData"], "train") if "wait" in event]
    assert shares
    assert all(0 <= share <= 1 for share in shares)


BY_HAND = """\
import torch
weights = torch.nn.Linear(2, 1)
for _ in range(30):
    x = torch.ones(4, 2)
    loss = (weights(x) - 1).square().mean()
    loss.backward()
    with torch.no_grad():
        for p in weights.parameters():
            p -= 0.1 * p.grad
            p.grad = None
print("done by hand", loss.item() < 0.1)
"""


def test_a_training_without_an_optimizer(tmp_path):
    """The script is left alone, and a word says what was missing."""
    script(tmp_path, "hand.py", BY_HAND)
    watched = watch(tmp_path, "hand.py")
    assert watched.code == 0, watched
    assert watched.out.startswith("done by hand True\n")
    assert "optimizer" in watched.out + "".join(watched.notes())
    assert "Traceback" not in watched.err


FORGOTTEN = """\
import torch
from torch import nn
net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
sgd = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(60):
    x = torch.randn(16, 2)
    loss = nn.functional.cross_entropy(net(x), (x[:, 0] > 0).long())
    sgd.zero_grad()
    loss.backward()
print("over")
"""


def test_a_forgotten_update_is_named(tmp_path):
    script(tmp_path, "forgotten.py", FORGOTTEN)
    watched = watch(tmp_path, "forgotten.py", options=("--fail-on", "error"))
    assert watched.code == 1, watched
    _, _, after = watched.out.partition("over\n")
    assert "weights-do-not-move" in after
    assert "sgd.step()" in after  # by the name that it has in the script

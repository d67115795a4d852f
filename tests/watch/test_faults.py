"""What fails in the watch itself is one line on stderr; the script goes on as if it were alone."""

import pytest

from tests.watch.shell import STORE, python, script, watch

LOOP = """\
import os, shutil, sys
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(80):
    if step == 30:
        trouble()
    x = torch.randn(8, 2)
    loss = (model(x) - x[:, :1]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("weights", sum(p.double().sum().item() for p in model.parameters()).hex())
sys.exit(3)
"""

TROUBLE = {
    "none": "def trouble():\n    pass\n",
    # the folder is gone, and a file stands in its place
    "blocked": """\
def trouble():
    if os.path.isdir("runs"):
        shutil.rmtree("runs")
        open("runs", "w").close()
""",
    # no file may grow any more: OSError, as on a full disk
    "full": """\
def trouble():
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
""",
    "bug": """\
def trouble():
    if "famulus" in sys.modules:
        from famulus.store.attempt import Attempt
        Attempt.emit = lambda *_: {}["a bug"]
""",
}


def text(trouble):
    return TROUBLE[trouble] + LOOP


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """What the script prints where nobody watches it."""
    folder = tmp_path_factory.mktemp("alone")
    script(folder, "train.py", text("none"))
    alone = python(folder, "train.py")
    assert alone.code == 3
    assert alone.out.startswith("weights ")
    return alone.out


def unharmed(watched, weights):
    """The script's end, and the one line."""
    assert watched.code == 3, watched
    assert watched.out.startswith(weights)
    assert "Traceback" not in watched.out + watched.err
    assert len(watched.notes()) == 1, watched.err
    assert watched.err.strip().count("\n") == 0, watched.err
    return watched.notes()[0]


def test_a_store_that_can_not_be(tmp_path, weights):
    script(tmp_path, "train.py", text("none"))
    (tmp_path / STORE).write_text("no folder")
    note = unharmed(watch(tmp_path, "train.py"), weights)
    assert STORE in note
    assert (tmp_path / STORE).read_text() == "no folder"


@pytest.mark.parametrize("trouble", ["blocked", "full", "bug"])
def test_trouble_in_the_middle(tmp_path, weights, trouble):
    script(tmp_path, "train.py", text(trouble))
    note = unharmed(watch(tmp_path, "train.py"), weights)
    if trouble == "bug":
        assert "KeyError" in note

"""A cell alone equals the cell after others: nothing of one leaks into the next."""

import torch

from famulus import tasks
from famulus.store.store import Store
from tests.launch.tiny import TEXT, famulus, write

CELLS = """\
matrix:
  which: [a, b]
  include:
    - {which: a, lr: 0.01, kind: autoencoder, act: elu, dropout: 0.5, clip: 0.01, seed: 3, batch: 16, precision: bf16}
    - {which: b, lr: 0.001, kind: vae, act: relu, dropout: 0.1, clip: null, seed: 0, batch: 32, precision: fp32}
"""  # noqa: E501


def text(*which):
    """The tiny experiment over these of two cells, which have little in common."""
    kept = [line for line in CELLS.splitlines() if not line.startswith("    - {")]
    kept += [line for line in CELLS.splitlines() if any(f"- {{which: {w}," in line for w in which)]
    own = "\n".join(kept).replace("[a, b]", f"[{', '.join(which)}]")
    given = TEXT
    for key, old in (("kind", "vae"), ("dropout", "0.1"), ("batch", "32"), ("precision", "fp32")):
        assert f"{key}: {old}" in given
        given = given.replace(f"{key}: {old}", f'{key}: "${{matrix.{key}}}"', 1)
    given = given.replace("code: 8,", 'code: 8, act: "${matrix.act}",')
    given = given.replace("matrix:\n  lr: [0.001, 0.003]", own)
    return given + '  clip: "${matrix.clip}"\n  seed: "${matrix.seed}"\n'


def trained(folder, *which):
    """Weights, optimizer and last scores of each cell, trained in this order in this process."""
    folder.mkdir()
    said = famulus("run", write(folder, text(*which)), "--store", folder / "runs", "--no-journal")
    assert said.code == 0, said.err
    found = {}
    for run in Store.open(folder / "runs").runs("tiny"):
        last = run.open_checkpoint(run.checkpoints()[-1])
        read = [last.read(f"{name}.safetensors") for name in ("model", "optimizer")]
        scores = [e["values"] for e in run.events() if e["kind"] == "val"]
        found[run.id] = (*read, scores)
    return found


def test_alone_as_after_another(tmp_path):
    alone, both = trained(tmp_path / "alone", "b"), trained(tmp_path / "both", "a", "b")
    (b,) = alone
    assert len(both) == 2
    assert both[b] == alone[b]


def test_a_leak_is_seen(tmp_path, monkeypatch):
    """Negative control: a task that remembers in its class how often it has built a net."""
    task = tasks.load("tiles")
    true, built = task.build, []

    def build(self):
        model = true(self)
        if next(model.parameters()).device.type != "meta":
            built.append(model)
            with torch.no_grad():
                next(model.parameters()).mul_(1 + 0.01 * len(built))
        return model

    monkeypatch.setattr(task, "build", build)
    alone = trained(tmp_path / "alone", "b")
    built.clear()
    both = trained(tmp_path / "both", "a", "b")
    (b,) = alone
    assert both[b] != alone[b]

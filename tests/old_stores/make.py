"""Makes the store of an older Famulus that `test_old_stores.py` goes on with.

usage: PYTHONPATH=<that version's src> python make.py FOLDER     (a folder that does not exist)

Tiny runs on the embedded digits: finished, killed between two checkpoints, trained for longer, of
two stages, monitored. `expected.json` holds what that version itself reads of them, and where the
killed run ends if nobody kills it. What names a machine is replaced before it is kept.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

TRAINING = """
training:
  inputs: 256
  batch: 32
  optimizer: {name: adam, lr: LR}
  schedule: {name: cosine, warmup_inputs: 64}
  precision: fp32
  validate_every: {steps: 4}
  checkpoint_every: {steps: 4}
  pictures_every: null
  log_every: {steps: 2}
  threads: 1
"""
TILES = """
task: tiles
data: {name: digits, subset: 160, validation: 32}
model: {kind: vae, channels: [2, 3], code: 4, dropout: 0.1}
loss: {reconstruction: l1, kl_weight: 0.001}
"""
CODES = """
why: the first of two stages
task: codes
data: {name: digits, channels: 1, subset: 64, validation: 32, seed: 0}
model: {widths: [4, 4], quantiser: {size: 8, dim: 2, pool: 0}}
"""
PRIOR = """
why: the second of two stages
task: prior
codes: last:two/codes
model: {width: 4, layers: 1, first_kernel: 3}
"""
FILES = {
    "finished": "why: two rates\nmatrix: {lr: [0.001, 0.003]}"
    + TILES
    + TRAINING.replace("LR", '"${matrix.lr}"')
    + "expect:\n  - {order: val/loss, by: lr, says: 0.003 < 0.001, in: every pair}\n",
    "killed": "why: what if the power goes?" + TILES + TRAINING.replace("LR", "0.002"),
    "extended": "why: does longer help?" + TILES + TRAINING.replace("LR", "0.004"),
    "two/codes": CODES + TRAINING.replace("LR", "0.003"),
    "two/prior": PRIOR + TRAINING.replace("LR", "0.003"),
}
MONITORED = """
import torch
from torch import nn
from famulus import Monitor
torch.manual_seed(0)
x = torch.linspace(-2, 2, 96).reshape(48, 2)
y = (x.sum(1) > 0).long()
net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
with Monitor(net, optimizer, store="runs", name="monitored", controls_s=0) as monitor:
    for step in range(40):
        out = net(x)
        loss = nn.functional.cross_entropy(out, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        monitor.step(loss, inputs=x, outputs=out, targets=y)
        if step % 20 == 19:
            right = (out.argmax(1) == y).float().mean()
            monitor.validate({"loss": float(loss), "accuracy": float(right)})
"""
KILLED = """
import os, signal, sys
from famulus import cli
from famulus.training.randomness import Streams
true = Streams.step
def step(self, now):
    if now == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    true(self, now)
Streams.step = step
cli.main(["run", "experiments/killed.yaml"])
"""
READ = """
import json, sys
from famulus.store.store import Store
found = {}
for run in Store.open(sys.argv[1]).runs():
    config, lineage = run.config(), run.lineage()
    scores = [e for e in run.events() if e["kind"] == "val"]
    found[run.path] = {
        "id": run.id, "status": run.status(), "checkpoints": run.checkpoints(),
        "curve": [[e["kind"], e["step"]] for e in run.curve() if e["kind"] in ("train", "val")],
        "scores": scores[-1]["values"] if scores else {},
    }
print(json.dumps(found))
"""


def main(folder: Path) -> None:
    folder.mkdir()
    here = {"cwd": folder, "env": {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": "cache"}}

    def python(text: str, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-c", text, *words], capture_output=True, text=True, **here
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    def famulus(*words: str) -> str:
        return python("from famulus import cli\nimport sys\ncli.main(sys.argv[1:])", *words)

    for name, text in FILES.items():
        path = folder / "experiments" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name in ("finished", "extended", "two/codes", "two/prior"):
        famulus("run", f"experiments/{name}.yaml")
    famulus("extend", "last:extended", "--inputs", "+128")
    python(KILLED, code=-signal.SIGKILL)
    python(MONITORED)
    expected = {"runs": json.loads(python(READ, "runs"))}
    famulus("run", "experiments/killed.yaml", "--store", "whole")
    expected["killed_if_whole"] = json.loads(python(READ, "whole"))
    expected["compare"] = json.loads(famulus("compare", "finished", "--json"))
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

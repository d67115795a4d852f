"""What a model folder costs: seconds of `famulus export` and of `famulus.load`, and whether the
folder answers as its run does.

The net is the VAE of experiments/tiles/compare-datasets.yaml, trained for a moment on digits. Each
time is that of a new process after torch was imported, with the imports of Famulus's own modules:
what a person waits for beside torch. Median of `TIMES`, export and load in turn.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import famulus

TIMES, PICTURES = 5, 64
FILE = """
why: what does a model folder cost?
task: tiles
data: {name: digits, size: 32, channels: 1, subset: 256, validation: 64}
model: {kind: vae, channels: [16, 24, 32], kernel: 3, code: 128}
training:
  inputs: 512
  batch: 64
  optimizer: {name: adam, lr: 0.001}
  precision: fp32
  pictures_every: null
  probes: false
  threads: 1
"""
TIMED = """
import sys, time
import torch
torch.set_num_threads(1)
begun = time.perf_counter()
%s
print(time.perf_counter() - begun)
"""
EXPORT = """
from famulus.cli import app
app(["export", "last", "--store", sys.argv[1], "-o", sys.argv[2]], standalone_mode=False)
"""
LOAD = "import famulus; famulus.load(sys.argv[2], device='cpu')"


def measure(quick: bool) -> dict[str, float | str | None]:
    times: dict[str, list[float]] = {EXPORT: [], LOAD: []}
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        (home / "export.yaml").write_text(FILE)
        store = home / "runs"
        (run,) = famulus.Lab(store).run(home / "export.yaml")
        for n in range(3 if quick else TIMES):
            folder = home / f"model{n}"
            for work, seconds in times.items():  # a load is of the folder just written
                seconds.append(_seconds(work, str(store), str(folder)))
        ours, theirs = (famulus.load(ref, store, device="cpu") for ref in (run.id, str(folder)))
        pictures = np.random.default_rng(0).random((PICTURES, 1, 32, 32), np.float32)
        apart = np.abs(theirs.apply(pictures) - ours.apply(pictures)).max()
        return {
            "export_s": statistics.median(times[EXPORT]),
            "load_s": statistics.median(times[LOAD]),
            "max_difference": float(apart),  # of pictures in 0..1
            "folder_mb": sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6,
            "parameters": sum(p.numel() for p in ours.module.parameters()),
            "threads": 1,
        }


def _seconds(work: str, *words: str) -> float:
    command = [sys.executable, "-c", TIMED % work, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])

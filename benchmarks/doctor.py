"""What watching costs, and how often the doctor is right.

Our loop with probes against the same loop without, on the same weights in the same memory. Each
block begins with a sampled step; the next one is 128 steps away, as after the start of a run. For
tiles a block is all 128 steps. For scroll, whose steps take long, and with --quick, it is shorter:
then the excess of a block is shared among 128 steps. A run's first 128 steps hold eight samples.
`cases_*` are read from what `famulus cases -o docs/cases.json` (or what FAMULUS_CASES names) wrote
with the code as it is now.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.timing import interleaved, ratio
from famulus.config.experiment import read
from famulus.diagnosis.probes.probe import FIRST, Probe
from famulus.feed.feeder import Feeder
from famulus.launch.plan import prepare
from famulus.launch.session import Session
from famulus.store.claims import claim
from famulus.store.provenance import PACKAGE, digest
from famulus.store.store import Store
from famulus.tasks import load
from famulus.training.loop import Loop
from famulus.training.precision import Precision
from famulus.training.preflight import choose_precision

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "docs" / "cases.json"  # or what FAMULUS_CASES names
CPU = torch.device("cpu")
TRAINING = """
training:
  inputs: 1_000_000_000
  batch: %d
  optimizer: {name: adam, lr: 0.0003}
  precision: %s
  validate_every: null
  checkpoint_every: null
  pictures_every: null
"""
TILES = """
why: what do probes cost the tiles VAE?
task: tiles
data: {name: %s, size: 32, filter: bilinear, channels: 1}
model: {kind: vae, channels: [16, 24, 32], kernel: 3, code: 128}
loss: {reconstruction: l1, kl: legacy, kl_weight: 1.0}
"""
SCROLL = """
why: what do probes cost the scroll VAE?
task: scroll
data: {name: papyrus, phantom: {shape: [40, 128, 128]}, cube: 32, validation: 0.25, gap: 8, most: 16}
model: {kind: vae, widths: [32, 64, 128, 256], code: 512, stage: pool}
loss: {reconstruction: l2, kl_weight: 0.01}
"""  # noqa: E501


def measure(quick: bool) -> dict[str, float | str | None]:
    blocks = 30 if quick else 60
    data = "mnist" if os.environ.get("FAMULUS_DATA") else "digits"
    tiles = _over(TILES % data + TRAINING % (64, "fp32"), blocks, 8 if quick else FIRST)
    scroll = _over(SCROLL + TRAINING % (16, "auto"), blocks, 1)
    return {
        "step_over_unwatched_tiles": tiles[0],
        "step_over_unwatched_tiles_upper95": tiles[1],
        "step_over_unwatched_scroll": scroll[0],
        "step_over_unwatched_scroll_upper95": scroll[1],
        "sampled_step_over_unwatched_scroll": 1 + (scroll[0] - 1) * FIRST,
        "steps_a_sample": FIRST,
        "scroll_precision": scroll[2],
        "threads": torch.get_num_threads(),
        **_cases(),
    }


@contextlib.contextmanager
def _loop(text: str) -> Iterator[tuple[Loop, Feeder, str]]:
    cell = prepare(Session(Store.open("memory://doctor")), read(text, (), load))[0]
    precision = Precision("fp32")
    if cell.training.precision == "auto":
        precision = choose_precision(cell.setup(CPU))
    run = Store.open(f"memory://doctor-{time.monotonic_ns()}").create_run(
        cell.experiment, cell.slug, cell.id, cell.config
    )
    with claim(run) as attempt:
        loop = Loop(cell.setup(CPU, precision), attempt)
        with loop.streams.isolated(), contextlib.closing(loop.feeder()) as feeder:
            loop.start(feeder)
            yield loop, feeder, precision.name


def _over(text: str, blocks: int, steps: int) -> tuple[float, float, str]:
    """Step time with probes over that without, its upper95, the precision.

    Measured on blocks of `steps`, of which one is sampled.
    """
    with _loop(text) as (loop, feeder, precision):
        watched = loop.probe
        unwatched = Probe(loop.model, loop.optimizer, every=0)

        def block(probe: Probe) -> None:
            loop.probe = probe
            loop.progress.step = 2 * FIRST  # a sampled step; the next one is FIRST steps away
            loop.steps(feeder, steps)
            loop.log()

        block(watched), block(unwatched)
        times = interleaved(lambda: block(watched), lambda: block(unwatched), blocks)
        share = steps / FIRST
        over, upper = (1 + (value - 1) * share for value in ratio(*times))
        return over, upper, precision


def _cases() -> dict[str, float | str | None]:
    """Four figures of the casebook, or null and why."""
    keys = "cases_right_first", "cases_total", "false_alarms", "healthy_total"
    path = Path(os.environ.get("FAMULUS_CASES") or RESULT)
    do = f"run famulus cases -o {path}"
    if not path.is_file():
        return {**dict.fromkeys(keys), "why": f"there is no {path}: {do}"}
    found = json.loads(path.read_text(encoding="utf-8"))
    if found.get("code") != digest(PACKAGE)[:16]:
        return {**dict.fromkeys(keys), "why": f"{path} is of other code than this: {do}"}
    return {key: found[key] for key in keys}

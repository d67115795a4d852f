"""Our loop against a bare one, and against a DataLoader with per-sample transforms.

The net is the VAE of experiments/tiles/compare-datasets.yaml (base28, legacy KL), on MNIST where
FAMULUS_DATA has it, else on scikit-learn's digits. Keys: BENCHMARKS `loop`, and
`step_over_bare_default`: against Adam as torch constructs it, without `fused=True`.
"""

import contextlib
import os
import time
from collections.abc import Iterator

import numpy as np
import torch

from benchmarks import reference_loop as reference
from benchmarks.timing import interleaved, ratio
from famulus.config.experiment import read
from famulus.feed.feeder import Feeder, validation_batches
from famulus.images.open import open_images
from famulus.launch.plan import Ready, prepare
from famulus.launch.session import Session
from famulus.store.claims import claim
from famulus.store.store import Store
from famulus.tasks import load
from famulus.training.loop import Loop
from famulus.training.precision import Precision
from famulus.training.preflight import choose_precision
from famulus.training.randomness import Streams

BATCH, SIZE = 64, 32
FILE = """
why: how fast is the loop?
task: tiles
data: {name: %s, size: 32, filter: bilinear, channels: 1}
model: {kind: vae, channels: [16, 24, 32], kernel: 3, code: 128}
loss: {reconstruction: l1, kl: legacy, kl_weight: 1.0}
training:
  inputs: %d
  batch: 64
  optimizer: {name: adam, lr: 0.001}
  schedule: {name: cosine}
  precision: %s
  seed: %d
  validate_every: null
  checkpoint_every: null
  pictures_every: null
"""
CPU = torch.device("cpu")


def measure(quick: bool) -> dict[str, float | str | None]:
    blocks, steps = (30, 6) if quick else (60, 20)
    overhead, upper = _over_bare(blocks, steps, fused=True)
    default, _ = _over_bare(max(10, blocks // 3), steps, fused=False)
    inputs = 12_800 if quick else 64_000
    speedup, gap, precision = _over_dataloader(inputs)
    return {
        "step_over_bare": overhead,
        "step_over_bare_upper95": upper,
        "step_over_bare_default": default,
        "speedup_over_dataloader": speedup,
        "loss_gap": gap,
        "our_precision": precision,
        "inputs_a_run": inputs,
        "threads": torch.get_num_threads(),
        "data": _data(),
    }


def _data() -> str:
    return "mnist" if os.environ.get("FAMULUS_DATA") else "digits"


def _cell(inputs: int, precision: str, seed: int = 0) -> Ready:
    plan = read(FILE % (_data(), inputs, precision, seed), (), load)
    return prepare(Session(Store.open("memory://benchmark")), plan)[0]


@contextlib.contextmanager
def _loop(cell: Ready, precision: Precision) -> Iterator[tuple[Loop, Feeder]]:
    """A loop on a store in memory, and its feeder."""
    store = Store.open(f"memory://benchmark-{time.monotonic_ns()}")
    run = store.create_run(cell.experiment, cell.slug, cell.id, cell.config)
    with claim(run) as attempt:
        loop = Loop(cell.setup(CPU, precision), attempt)
        with loop.streams.isolated(), contextlib.closing(loop.feeder()) as feeder:
            loop.start(feeder)
            yield loop, feeder


def _over_bare(blocks: int, steps: int, fused: bool) -> tuple[float, float]:
    """Step time of ours over the bare loop's: median over interleaved blocks, and its upper95."""
    cell = _cell(10**9, "fp32")
    with _loop(cell, Precision("fp32")) as (loop, feeder):
        # The same weights in the same memory on both sides: where the allocator happens to put a
        # second copy of the net moves its step time by several per cent.
        adam = loop.optimizer
        if not fused:
            adam = torch.optim.Adam(loop.model.parameters(), lr=0.001)
        raw = torch.from_numpy(cell.data.train.images)
        images = raw.float().div(255)
        generator = torch.Generator().manual_seed(0)

        def ours() -> None:
            loop.steps(feeder, steps)
            loop.log()

        def bare() -> None:
            reference.bare_steps(loop.model, adam, images, BATCH, steps, generator)

        ours(), bare()
        return ratio(*interleaved(ours, bare, blocks))


def _over_dataloader(inputs: int) -> tuple[float, float, str]:
    """Speed-up over the better of 0 and 2 workers, relative loss difference, our precision."""
    first = _cell(inputs, "auto")
    precision = choose_precision(first.setup(CPU))
    # As stored, at 28 pixels: the reference resizes each one when it reads it, ours resized them
    # once, by the same filter, when it opened the set.
    pictures = open_images(_data(), channels=1).train.images[:, 0]
    short = 40 * BATCH
    seconds = {n: _train_reference(first, pictures, n, 0, short)[0] for n in (0, 2)}
    workers = min(seconds, key=seconds.__getitem__)
    losses: dict[str, list[float]] = {"ours": [], "theirs": []}
    speedups = []
    for seed in range(3):
        ours_s, loss = _train_ours(_cell(inputs, precision.name, seed), precision)
        losses["ours"].append(loss)
        theirs_s, loss = _train_reference(first, pictures, workers, seed, inputs)
        losses["theirs"].append(loss)
        speedups.append(theirs_s / ours_s)
    ours, theirs = (float(np.mean(values)) for values in losses.values())
    return float(np.median(speedups)), abs(ours - theirs) / theirs, _named(precision)


def _named(precision: Precision) -> str:
    return precision.name + (", channels last" if precision.channels_last else "")


def _train_ours(cell: Ready, precision: Precision) -> tuple[float, float]:
    with _loop(cell, precision) as (loop, feeder):
        steps = cell.training.inputs // BATCH
        start = time.perf_counter()
        for _ in range(steps // 20):
            loop.steps(feeder, 20)
            loop.log()
        seconds = time.perf_counter() - start
        return seconds, _validation_loss(cell, loop.model)


def _train_reference(
    cell: Ready, pictures: np.ndarray, workers: int, seed: int, inputs: int
) -> tuple[float, float]:
    streams = Streams(seed, CPU)
    with streams.isolated():
        streams.build()
        model = cell.task.build().train()
        steps = inputs // BATCH // 20 * 20
        adam = torch.optim.Adam(model.parameters(), lr=0.001)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
        dataset = reference.PictureDataset(pictures, SIZE)
        batches = reference.loader(dataset, BATCH, workers, seed)
        next(batches)  # workers are up before the clock starts
        start = time.perf_counter()
        reference.dataloader_training(model, adam, cosine, batches, steps)
        seconds = time.perf_counter() - start
        return seconds, _validation_loss(cell, model)


def _validation_loss(cell: Ready, model: torch.nn.Module) -> float:
    model.eval()
    with torch.no_grad():
        return cell.task.scores(model, validation_batches(cell.data.validation, 256, CPU))["loss"]

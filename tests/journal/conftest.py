"""A made-up laboratory in a real store: the 36 rows of the tiles journal, with replicates, curves,
pictures, a finding, a failed cell, an interrupted run and the child that went on from it."""

import hashlib
import io
import itertools
import math

import numpy as np
import pytest
from PIL import Image

from famulus.store import layout, records
from famulus.store.claims import claim
from famulus.store.lineage import parent_record
from famulus.store.store import Store

SETS = ["mnist", "fashion-mnist", "crawl-tiles"]
NATIVE = {"mnist": 28, "fashion-mnist": 28, "crawl-tiles": 32}
BASE = {
    "mnist": {20: 0.0277, 28: 0.0352, 32: 0.0333},
    "fashion-mnist": {20: 0.0482, 28: 0.0534, 32: 0.0495},
    "crawl-tiles": {20: 0.0529, 28: 0.0514, 32: 0.0532},
}
WHY = "Which set is hardest for the same VAE, and does the resize filter decide it?"
TEXT = f"""why: {WHY}
task: tiles
matrix:
  set: [mnist, fashion-mnist, crawl-tiles]
  filter: [bilinear, nearest]
  size: [20, 28, 32]
  lr: [0.0003, 0.001]
replicates: 2
"""
EXPECT = [
    {"score": "val/loss", "where": {"set": "mnist", "size": 28, "lr": 0.001, "filter": "nearest"},
     "value": 0.0312, "within": "10%"},
    {"order": "val/loss", "by": "filter", "says": "bilinear < nearest", "in": "every pair"},
    {"order": "val/loss", "by": "set", "says": "mnist < crawl-tiles < fashion-mnist", "in": "mean"},
    {"finding": "none", "severity": "error"},
]  # fmt: skip


def number(*key) -> int:
    """A fixed 32-bit number from a key."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:4], "big")


def run_id(*key) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()[:12]


def truth(axes: dict, seed: int) -> float:
    """The validation loss that a cell ends with."""
    value = BASE[axes["set"]][axes["size"]]
    value *= 0.68 if axes["filter"] == "bilinear" else 1.0
    value *= 0.88 if axes["lr"] == 0.001 else 1.0
    return value * (1 + 0.012 * np.random.default_rng(number(*axes.values(), seed)).normal())


def config(axes: dict, seed: int = 0, **training) -> dict:
    """A filled configuration."""
    return {
        "why": WHY,
        "task": "tiles",
        "matrix": {**axes, "replicate": seed + 1},
        "data": {k: axes[a] for k, a in (("name", "set"), ("size", "size"), ("filter", "filter"))},
        "model": {"kind": "vae", "channels": [16, 24, 32], "kernel": 3, "code": 128},
        "loss": {"reconstruction": "l1", "kl": "legacy", "kl_weight": 1.0},
        "training": {
            "inputs": 1_000_000, "batch": 64,
            "optimizer": {"name": "adam", "lr": axes["lr"], "weight_decay": 0},
            "schedule": {"name": "cosine", "final_lr": 0.0, "warmup_inputs": 0},
            "seed": seed, "keep": {"last": 2, "best": "val/loss", "direction": "min"},
        } | training,
        "start_from": None, "expect": EXPECT, "replicates": 1,
        "cost": {"per_hour": 0.4, "per_gb_month": 0.02, "currency": "EUR"},
    }  # fmt: skip


def time_of(minute: float, day: int = 20) -> str:
    return f"2026-11-{day:02d}T{9 + int(minute) // 60:02d}:{int(minute) % 60:02d}:00.000+00:00"


def picture(axes: dict, blur: float, tiles: int = 12) -> bytes:
    """Three rows: shapes, the same blurred, their difference; a PNG."""
    size = axes["size"]
    yy, xx = np.mgrid[:size, :size] / size
    rng = np.random.default_rng(number(axes["set"]))
    rows = []
    for _ in range(tiles):
        cx, cy, r = *rng.uniform(0.3, 0.7, 2).tolist(), rng.uniform(0.15, 0.4)
        edge = (np.hypot(xx - cx, yy - cy) - r) * (1 if rng.random() < 0.5 else -1)
        wave = 0.5 + 0.5 * np.sin(6 * math.pi * (xx * rng.normal() + yy * rng.normal()))
        rows.append((edge < 0) * wave)
    clear = np.concatenate(rows, 1)
    soft = clear.copy()
    for _ in range(int(blur * 6)):
        soft = (soft + np.roll(soft, 1, 0) + np.roll(soft, 1, 1) + np.roll(soft, -1, 1)) / 4
    stack = np.concatenate([clear, soft, np.clip(np.abs(clear - soft) * 3, 0, 1)])
    shade = {"mnist": (1, 1, 1), "fashion-mnist": (1, 0.92, 0.8), "crawl-tiles": (0.6, 0.9, 1)}
    pixels = (stack[..., None] * np.array(shade[axes["set"]]) * 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "png")
    return out.getvalue()


def curve(end: float, inputs: float, budget: float, rng) -> float:
    """A decaying loss with a cosine's last drop."""
    shape = (1 + inputs / 12_000) ** -0.62
    drop = 0.05 * (1 + math.cos(math.pi * inputs / budget))
    return (
        end
        * (1 + 8 * shape + drop - 8 * (1 + budget / 12_000) ** -0.62)
        * (1 + 0.01 * rng.normal())
    )


def began(attempt, minute: float, day: int = 20) -> None:
    """As if this attempt had been claimed then."""
    files, path = attempt.run.files, layout.attempt(attempt.run.path, attempt.n)
    files.write(path, records.encode({**records.read(files, path), "time": time_of(minute, day)}))


def train(attempt, axes: dict, seed: int, start: int, stop: int, minute: float, points: int = 60):
    """Events of steps (start, stop]; 64 inputs a step. Returns the last validation loss."""
    rng = np.random.default_rng(number(seed, start, *axes.values()))
    budget, rate = 1_000_000, 1500.0 + 100 * (32 - axes["size"])
    end, val = truth(axes, seed), math.nan
    began(attempt, minute)
    attempt.emit(
        {"kind": "facts", "parameters": {20: 1_666_193, 28: 4_034_705, 32: 5_613_713}[axes["size"]],
         "device": "cpu", "precision": "bf16", "threads": 2, "train_samples": 60_000}
    )  # fmt: skip
    attempt.emit({"kind": "floor", "score": "loss", "value": 0.161, "means": "best constant"})
    steps = sorted({start + round((stop - start) * (k / points)) for k in range(1, points + 1)})
    for n, step in enumerate(steps):
        at = {"step": step, "inputs": step * 64, "s": step * 64 / rate}
        value = curve(end, step * 64, budget, rng)
        total = value * (0.98 + 0.06 * rng.normal())
        attempt.emit(
            {"kind": "train", **at, "lr": axes["lr"] * (1 - step / 15_625),
             "values": {"total": total, "recon": total * 0.9, "kl": total * 0.1},
             "rate": rate, "wait": 0.02, "grad_norm": 1 / (1 + n)}
        )  # fmt: skip
        if n % 4 == 3:
            val = end if step == 15_625 else value
            attempt.emit(
                {"kind": "val", **at, "values": {"loss": val, "psnr": -20 * math.log10(val)}}
            )
        if n % 30 == 29:
            file = attempt.save_picture(f"recon-{step}", picture(axes, 2 - step / 15_625))
            attempt.emit(
                {"kind": "picture", **at, "name": "reconstruction", "file": file,
                 "labels": ["original", "reconstruction", "difference × 3"], "caption": ""}
            )  # fmt: skip
    return val


def lineage(parent=None, overrides=()) -> dict:
    return {
        "parent": parent, "overrides": list(overrides), "data": "sha256:5f1c",
        "command": ["famulus", "run", "experiments/tiles/compare-datasets.yaml"],
        "code": {"commit": "1f0c9a7be211d0", "diff": "", "diff_sha256": None},
        "famulus": {"sha256": "ab12" * 16}, "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
        "machine": {"host": "lab-2", "cpu": "Zen 4", "cores": 2, "memory_bytes": 8 * 2**30},
    }  # fmt: skip


def finish(attempt, axes: dict, value: float, minute: float, step: int = 15_625) -> None:
    attempt.finish(
        {"status": "finished", "reason": "budget", "step": step, "inputs": step * 64,
         "seconds": step * 64 / (1500.0 + 100 * (32 - axes["size"])),
         "scores": {"val/loss": value, "val/psnr": -20 * math.log10(value)},
         "best": {"score": "val/loss", "value": value, "step": step},
         "parameters": {20: 1_666_193, 28: 4_034_705, 32: 5_613_713}[axes["size"]],
         "rate": 1500.0 + 100 * (32 - axes["size"]), "wait": 0.02, "time": time_of(minute)}
    )  # fmt: skip


def cells() -> list[dict]:
    keys = ("set", "filter", "size", "lr")
    product = itertools.product(SETS, ["bilinear", "nearest"], [20, 28, 32], [0.0003, 0.001])
    return [dict(zip(keys, values, strict=True)) for values in product]


def slug(axes: dict, seed: int = 0) -> str:
    return ",".join(f"{k}={v}" for k, v in axes.items()) + f",replicate={seed + 1}"


def fill(store: Store, experiment: str = "tiles/compare-datasets", seeds: int = 2) -> None:
    """Everything the pages can show."""
    planned = {slug(a, s): {"id": run_id(a, s)} for a in cells() for s in range(seeds)}
    store.plan(experiment, TEXT, planned)
    for k, (axes, seed) in enumerate(itertools.product(cells(), range(seeds))):
        run = store.create_run(experiment, slug(axes, seed), run_id(axes, seed), config(axes, seed))
        minute = k * 4.0
        attempt = claim(run)
        attempt.record_lineage(lineage())
        last = axes == cells()[-1]
        if last and seed == 0:
            train(attempt, axes, seed, 0, 812, minute, points=9)
            attempt.emit(
                {"kind": "finding", "step": 812, "cause": "not-a-number", "severity": "error",
                 "evidence": "The loss was NaN at step 812; the gradient norm rose from 1.1 to"
                 " 4e8 in 12 steps.", "remedy": "training.clip: 1.0, or a rate of 0.0003."}
            )  # fmt: skip
            attempt.finish({"status": "failed", "reason": "NaN in recon", "step": 812,
                            "inputs": 51_968, "seconds": 40.0, "scores": {}, "best": {},
                            "time": time_of(minute + 1)})  # fmt: skip
            continue
        if last:
            train(attempt, axes, seed, 0, 8000, minute, points=30)
            attempt.save_checkpoint(8000, {"model.safetensors": b"w"}, {"step": 8000})
            attempt.end("interrupted")
            parent = parent_record(run, 8000, "resume")
            changed = config(axes, seed)
            changed["training"]["optimizer"]["lr"] = 0.0003
            child = store.create_run(experiment, slug(axes, seed), run_id("child"), changed)
            again = claim(child)
            again.record_lineage(lineage(parent, ["training.optimizer.lr=0.0003"]))
            again.emit({"kind": "mark", "step": 8000, "inputs": 512_000, "what": "resumed",
                        "text": "resumed, LR 3e-4"})  # fmt: skip
            train(again, axes, seed, 8000, 15_625, minute + 3, points=30)
            finish(again, axes, truth(axes, seed) * 1.01, minute + 5)
            continue
        train(attempt, axes, seed, 0, 15_625, minute)
        if axes["set"] == "crawl-tiles" and axes["size"] == 28:
            attempt.emit(
                {"kind": "finding", "step": 3200, "cause": "posterior-unused",
                 "severity": "warning", "evidence": "KL is 0.005 nats over 128 dimensions and sigma"
                 " 0.001: the noise is switched off. With z = mu the loss differs by 0.02 %.",
                 "remedy": "loss: {kl: textbook, kl_warmup_inputs: 100_000}"}
            )  # fmt: skip
        finish(attempt, axes, truth(axes, seed), minute + 4)
    first = store.runs(experiment)[0]
    first.write_notes("Tried because the 2023 table could not tell set from filter.\n\n"
                      "Next: the same with *antialiased* nearest.")  # fmt: skip


def earlier(store: Store, experiment: str = "tiles/compare-datasets") -> None:
    """Two runs of a version of the file with another KL weight."""
    for axes in cells()[:2]:
        old = config(axes)
        old["loss"]["kl_weight"] = 0.5
        run = store.create_run(experiment, slug(axes), run_id("old", axes), old)
        attempt = claim(run)
        attempt.record_lineage(lineage())
        began(attempt, 5, day=18)
        finish(attempt, axes, 0.04, 9)


def lab(store: Store) -> None:
    store.files.write("lab/2026-11-19.md", b"# Filters\n\nLooked at **resized** digits by eye.")
    store.files.write("lab/todo.md", b"- antialiased nearest\n- tiles cut at 16 px\n")


@pytest.fixture(scope="session")
def laboratory() -> Store:
    """The made-up laboratory, filled once, in memory; tests only read it."""
    store = Store.open("memory://journal-laboratory")
    fill(store)
    earlier(store)
    lab(store)
    return store


@pytest.fixture
def empty(tmp_path) -> Store:
    return Store.open(tmp_path / "runs")

"""`famulus export`: a run's checkpoint as a model folder, made from what the run stored."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from famulus import __version__
from famulus.launch import examples
from famulus.launch.graphs import graph
from famulus.launch.session import Session
from famulus.launch.trained import Parts, Trained, assemble, name_of, parts_of_run
from famulus.store import model_folder, provenance
from famulus.store.model_folder import WEIGHTS, parent_file
from famulus.store.run import Run

Card = Callable[[Run, Mapping[str, Any]], str]  # of a run and model.json


def default_folder(run: Run) -> Path:
    return Path("models") / f"{run.experiment.replace('/', '-')}-{run.slug}"


def export(
    session: Session, run: Run, out: Path, which: str | None, card: Card, to: str | None = None
) -> tuple[Trained, list[str]]:
    """Writes the folder; the model, and sentences that its maker must read.

    Raises ConfigError if something is at `out`, or the network does not allow `to`.
    """
    parts = parts_of_run(session, run, which)
    trained = assemble(parts, torch.device("cpu"))
    files = {WEIGHTS: parts.weights}
    files |= {parent_file(key): weights for key, weights in parts.parents.items()}
    files |= examples.made(trained)
    notes = list(trained.notes)
    if to is not None:
        name, data, checked = graph(trained, to)
        files[name] = data
        notes.append(f"{name}: {checked}")
    about = about_of(run, parts)
    model_folder.write(out, about, files, card(run, about))
    return trained, notes


def about_of(run: Run, parts: Parts) -> dict[str, Any]:
    """model.json of a run's checkpoint, but for the files."""
    step = parts.step
    if step is None:
        raise TypeError("expected the parts of a run")
    return {
        "task": name_of(parts.kind, str(parts.config["task"])),
        "settings": parts.config,
        "built_from": parts.built_from,
        "scores": _scores(run, step),
        "lineage": _lineage(run, step),
        "versions": {**provenance.packages(), "famulus": __version__},
    }


def _scores(run: Run, step: int) -> dict[str, Any]:
    """`measured` at the last validation up to `step`, and the `baselines` beside them."""
    measured: dict[str, float] = {}
    baselines = []
    for event in run.curve():
        if event["kind"] == "val" and event.get("step", 0) <= step:
            measured = dict(event.get("values") or {})
        elif event["kind"] == "floor":
            baselines.append({key: event.get(key) for key in ("score", "value", "means")})
    return {
        "measured": {k: v for k, v in measured.items() if math.isfinite(v)},
        "baselines": baselines,
    }


def _lineage(run: Run, step: int) -> dict[str, Any]:
    record, manifest = run.lineage(), run.manifest(step)
    about = {
        "run": run.id,
        "experiment": run.experiment,
        "slug": run.slug,
        "step": step,
        "tags": list(manifest.get("tags", ())),
        "data": record.get("data"),
        "parent": record.get("parent"),
        "code": (record.get("code") or {}).get("commit"),
        "famulus": (record.get("famulus") or {}).get("sha256"),
    }
    return {key: value for key, value in about.items() if value is not None}

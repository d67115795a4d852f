"""Where everything lies in a store, and which names are allowed there.

Paths are relative to the store's root, with `/` on every system. Only this file spells them.
"""

import re

from famulus.config import names
from famulus.config.errors import StoreError
from famulus.config.names import RUN_FOLDER

VERSION = 1
META = "famulus.json"
LAB = "lab"
TEMPORARY = ".tmp-"  # prefix of half-written files, which no listing shows

_ID = re.compile(r"[0-9a-f]{12}")


def part(name: str, what: str) -> str:
    """`name`, if it is one harmless part of a path. Raises StoreError otherwise."""
    if wrong := names.part_problem(name, what):
        raise StoreError(f"{wrong}: choose another name")
    return name


def experiment(name: str) -> str:
    """`name`, if every part between its slashes is harmless and it is not the lab's folder."""
    parts = [part(p, "an experiment's name") for p in str(name).split("/")]
    # Else its folder would be listed as a run of the experiment above.
    if parts[0] == LAB or any(RUN_FOLDER.fullmatch(p) for p in parts):
        raise StoreError(
            f"expected an experiment's name unlike '{LAB}' and unlike a run's folder"
            f" (name-0123456789ab), received {name!r}: choose another name"
        )
    return "/".join(parts)


def new_experiment(name: str) -> str:
    """`name`, if an experiment may begin under it; older ones are read under any harmless name."""
    if wrong := names.problem(str(name)):
        raise StoreError(
            f"{wrong}: expected an experiment's name that is free, choose another name"
        )
    return name


def run(experiment_name: str, slug: str, run_id: str) -> str:
    if not _ID.fullmatch(str(run_id)):
        raise StoreError(f"expected a run's id of 12 digits 0-9 a-f, received {str(run_id)[:80]!r}")
    return f"{experiment(experiment_name)}/{part(slug, 'a slug')}-{run_id}"


def written(experiment_name: str) -> str:
    return f"{experiment(experiment_name)}/experiment.yaml"


def source(experiment_name: str) -> str:
    return f"{experiment(experiment_name)}/source.json"


def cells(experiment_name: str) -> str:
    return f"{experiment(experiment_name)}/cells.json"


def resolved(experiment_name: str, key: str) -> str:
    """Created exclusively by whoever resolves `key` first; then copied into cells.json."""
    return f"{experiment(experiment_name)}/cells.{part(key, 'a key')}.json"


def config(run_path: str) -> str:
    return f"{run_path}/run.yaml"


def built_from(run_path: str) -> str:
    return f"{run_path}/built_from.json"


def notes(run_path: str) -> str:
    return f"{run_path}/notes.md"


def done(run_path: str) -> str:
    return f"{run_path}/done.json"


def attempts(run_path: str) -> str:
    return f"{run_path}/attempts"


def attempt(run_path: str, n: int) -> str:
    return f"{run_path}/attempts/{n}.json"


def beat(run_path: str, n: int) -> str:
    return f"{run_path}/attempts/{n}.beat"


def ended(run_path: str, n: int) -> str:
    return f"{run_path}/attempts/{n}.end"


def lineage(run_path: str, n: int) -> str:
    return f"{run_path}/lineage/{n}.json"


def segments(run_path: str, n: int) -> str:
    return f"{run_path}/events/{n}"


def segment(run_path: str, n: int, k: int) -> str:
    return f"{run_path}/events/{n}/{k}.jsonl"


def checkpoints(run_path: str) -> str:
    return f"{run_path}/checkpoints"


def checkpoint(run_path: str, step: int) -> str:
    return f"{run_path}/checkpoints/{int(step)}"


def manifest(run_path: str, step: int) -> str:
    return f"{run_path}/checkpoints/{int(step)}/manifest.json"


def checkpoint_file(name: str, n: int) -> str:
    """Name in the folder of what attempt `n` calls `name`: `model.safetensors`, `model.2.safet...`.

    A writer that was frozen in the middle and wakes after a takeover can't damage its successor's
    files, because it writes other names.
    """
    if part(name, "a checkpoint's file") == "manifest.json":
        raise StoreError("expected a checkpoint's file, received 'manifest.json': choose another")
    stem, dot, suffix = name.rpartition(".")
    if n == 1:
        return name
    return f"{stem}.{n}.{suffix}" if dot and stem else f"{name}.{n}"


def picture(run_path: str, name: str) -> str:
    name = part(name, "a picture's name")
    return f"{run_path}/pictures/{name if name.endswith('.png') else name + '.png'}"


def lab(page: str) -> str:
    name = part(page, "a page's name")
    return f"{LAB}/{name if name.endswith('.md') else name + '.md'}"

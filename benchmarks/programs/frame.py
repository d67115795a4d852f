"""What each family of programs has in common."""

import hashlib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

import benchmarks.programs as programs


class Watch(Protocol):
    """`famulus.Monitor`, or what stands in for it: a context manager with `step`, `validate`."""

    def __call__(self, model: torch.nn.Module, optimizer: Any, **options: Any) -> Any: ...


@dataclass(frozen=True)
class Outcome:
    """score: the program's own measure on held-out data; good: what a sound one must reach."""

    score: float
    good: bool


SECOND = {  # written after the rules had been changed for what the first held-out half showed
    *("strokes_cvae", "drift_beta_vae", "tiles_vq", "spring_physics", "chimes_infonce"),
    *("wells_vicreg", "islands_dice", "rivers_tversky", "tumour_screen", "bike_hire"),
    *("texture_net", "ticket_tags", "pulse_autoencoder", "swirl_depth"),
}
Program = Callable[[Watch, int, str], Outcome]


@dataclass(frozen=True)
class Family:
    """A program, what can be broken in it, and the causes that name each fault."""

    name: str
    kind: str
    loss: str  # own | standard
    faults: Mapping[str, tuple[str, ...]]
    sound: tuple[str, ...]
    program: Program

    def run(self, watch: Watch, seed: int, variant: str) -> Outcome:
        """Raises KeyError for a variant that it does not have."""
        if variant not in (*self.faults, *self.sound):
            raise KeyError(f"{self.name} has no variant {variant}")
        return self.program(watch, seed, variant)


def family(
    *, kind: str, loss: str, faults: Mapping[str, tuple[str, ...]], sound: tuple[str, ...]
) -> Callable[[Program], Family]:
    """Makes a program's function its family, named as its file."""

    def made(program: Program) -> Family:
        name = program.__module__.rpartition(".")[2]
        return Family(name, kind, loss, faults, sound, program)

    return made


def families() -> list[Family]:
    """Of every file beside this one, by name."""
    found = []
    for module in pkgutil.iter_modules(programs.__path__):
        if module.name not in ("frame", "__main__"):
            content = importlib.import_module(f"{programs.__name__}.{module.name}")
            found += [f for f in vars(content).values() if isinstance(f, Family)]
    return sorted(found, key=lambda f: f.name)


def halves(every: list[Family]) -> dict[str, frozenset[str]]:
    """Names by what was looked at while rules were written: those of `develop` were; `held_out`
    ones once the rules stood, and then some rules were changed; those of `second` never.

    The first two are halves of the first 28, of each kind of loss, by the order of hashes.
    """
    develop: set[str] = set()
    first = [f for f in every if f.name not in SECOND]
    for loss in ("own", "standard"):
        ranked = sorted((f.name for f in first if f.loss == loss), key=_hash)
        develop |= set(ranked[: len(ranked) // 2])
    names = {f.name for f in every}
    return {
        "develop": frozenset(develop),
        "held_out": frozenset(names - develop - SECOND),
        "second": frozenset(names & SECOND),
    }


def _hash(name: str) -> str:
    return hashlib.sha256(f"program {name}".encode()).hexdigest()


class Nobody:
    """A monitor that does nothing."""

    def __init__(self, model: torch.nn.Module, optimizer: Any, **options: Any) -> None:
        pass

    def __enter__(self) -> "Nobody":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def step(self, loss: Any, *tensors: Any, **more: Any) -> None:
        pass

    def validate(self, scores: Any = None, **more: Any) -> None:
        pass

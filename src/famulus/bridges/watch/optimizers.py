"""Optimizers that no training has yet: where they were built, and who belongs together."""

from __future__ import annotations

import weakref
from typing import Any

from torch import nn

from famulus.bridges.watch import places
from famulus.bridges.watch.models import called_holders, weights_in, weights_of
from famulus.bridges.watch.places import Place
from famulus.bridges.watched import Named
from famulus.diagnosis.controls.bench import Control


class Waiting:
    """Optimizers from their construction on until a training has them; the script owns them."""

    def __init__(self) -> None:
        self._built: dict[int, tuple[weakref.ref, Place | None]] = {}  # by id, and where

    def add(self, optimizer: Any, place: Place | None) -> None:
        self._built[id(optimizer)] = weakref.ref(optimizer), place

    def remove(self, optimizer: Any) -> None:
        self._built.pop(id(optimizer), None)

    def clear(self) -> None:
        self._built.clear()

    def alive(self) -> list[Any]:
        """As they were built."""
        return [one for ref, _ in self._built.values() if (one := ref()) is not None]

    def trainers(self, model: nn.Module) -> list[Any]:
        """Those that hold any weight of it."""
        held = weights_in(model)
        return [one for one in self.alive() if weights_of(one) & held]

    def group(self, first: Any, called: list[nn.Module]) -> list[Any]:
        """`first`, and those of whose weights a model was called as well; as they were built."""
        alive = self.alive()
        before = [] if any(one is first for one in alive) else [first]  # built before the watch
        return before + [
            one for one in alive if one is first or called_holders(weights_of(one), called)
        ]

    def named(self, optimizer: Any) -> Named:
        """What the script calls it, and where it was built."""
        place = self.place(optimizer)
        return Named() if place is None else Named(places.assigned_to(place) or "", str(place))

    def model_name(self, optimizer: Any) -> str | None:
        """What the script calls the model whose parameters it was given."""
        return places.model_named(self.place(optimizer))

    def place(self, optimizer: Any) -> Place | None:
        ref, place = self._built.get(id(optimizer), (None, None))
        return place if ref is not None and ref() is optimizer else None

    def slip(self, group: list[Any], called: list[nn.Module]) -> Control | None:
        """Two optimizers of the very same weights, beside a model that none holds: a slip."""
        held = set[int]().union(*map(weights_of, group))
        left = [
            m
            for m in called
            if not weights_in(m) & held and any(p.requires_grad for p in m.parameters())
        ]
        pairs = ((a, b) for n, a in enumerate(group) for b in group[n + 1 :])
        same = next((pair for pair in pairs if weights_of(pair[0]) == weights_of(pair[1])), None)
        if same is None or not left:
            return None
        names = [self.named(one).variable or type(one).__name__ for one in same]
        kind = type(left[0]).__name__
        place = self.place(same[1])
        model = places.made_as(place, kind) or kind
        return Control(
            "optimizers",
            "failed",
            f"{names[0]} and {names[1]} hold the same weights, and no optimizer holds those of"
            f" {model}, which is called in training",
            f"{names[1]} = {type(same[1]).__name__}({model}.parameters(), ...) at {place}",
            {},
            "weights-do-not-move",
        )

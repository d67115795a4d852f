"""What is heard of a script's losses since the last update, and the calls that they follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from famulus.bridges import watched
from famulus.bridges.watch import criteria, places
from famulus.bridges.watch.criteria import Criterion
from famulus.bridges.watch.loaders import Fetched
from famulus.bridges.watch.places import Place
from famulus.bridges.watch.step import Call, Loss, Trained

MOST_CALLS = 10_000  # of a model for one loss: a recurrent cell is called for each place
MOST_LOOKED_AT = 4  # losses of one update whose graphs are kept: a script may never propagate them


class Losses:
    """Calls and losses since the last update. `looks`: are tensors wanted, of this training or of
    one that is not known yet?"""

    def __init__(self, looks: Callable[[Trained | None], bool]) -> None:
        self.seen = 0  # in all
        self.pending: list[Loss] = []
        self._looks = looks
        self._calls: list[Call] = []  # with gradients, since the last backward
        self._latest: Call | None = None  # of any kind
        self._scaled: tuple[Any, Any] | None = None  # of a GradScaler: what came, what went in
        self._whole: dict[Place | None, bool] = {}  # is the loss a criterion's value alone?

    def resolve(self, training: Trained | None) -> None:
        """A model of this training is about to be called: what was called before it, and never
        propagated, was a validation."""
        if self._calls and training and not self._calls[0].training:
            # calls of a model that nobody trains are no part of a training
            self._calls = [c for c in self._calls if c.training]
        if self._calls and not self._calls[-1].trains:  # those before it are all of training
            self._as_validation(but=self._calls[:-1])

    def called(
        self, call: Call, fetched: Fetched | None, arguments: tuple[tuple, dict], grad: bool
    ) -> None:
        """A model is about to be called; `fetched`: the batch that was loaded for it."""
        training = call.training
        latest, self._latest = self._latest, call
        if fetched is not None:
            call.loader, call.walk, call.waited = fetched.data, fetched.walk, fetched.seconds
            call.samples = watched.count_of(fetched.batch)
        else:
            if latest is not None and not (latest.trains or call.trains):
                call.loader = latest.loader  # one that fetches a batch ahead
            if not self._calls:
                args, kwargs = arguments
                call.samples = watched.count_of(*args, kwargs)
        if grad and not self._calls and self._looks(training):
            call.arguments, call.batch = arguments, fetched and fetched.batch
        if training and not call.trains and training.wants_inputs:
            call.arguments = arguments
        if grad:
            self._calls.append(call)
            del self._calls[:-MOST_CALLS]

    def answered(self, output: Any) -> None:
        if self._latest is not None and self._latest.arguments is not None:
            self._latest.output = output

    def criterion(self, found: Criterion) -> None:
        """A loss function was called; whether it is of a training, only `backward` tells."""
        if self._latest is None:
            return
        if found.result.requires_grad:
            if self._calls:
                call = self._calls[-1]
                if not self._looks_at_another():
                    found.lighten(answers=not call.trains)
                call.criteria.append(found)
        elif not self._latest.trains:
            self._latest.validate(found)

    def scaled(self, loss: Any, scaled: Any) -> None:
        self._scaled = scaled, loss

    def propagated(self, loss: Tensor, first_only: bool) -> None:
        """`backward` was called of it. `first_only`: of several before an update the first counts,
        as of the calls of a closure."""
        self.seen += 1
        if self._scaled is not None and self._scaled[0] is loss:
            loss = self._scaled[1]
        self._scaled = None
        if len(self._calls) > 1:
            known = [c for c in self._calls if c.training] or self._calls
            self._as_validation(but=[c for c in known if c.trains] or known[-1:])
        calls, self._calls = self._calls, []
        read = self._read(loss, calls)
        if self.pending and read.has_tensors:
            for before in self.pending:  # one of them is looked at: the others would take room
                before.drop_tensors()
        if not (first_only and self.pending):
            self.pending.append(read)

    def take(self) -> list[Loss]:
        """Those of an update."""
        losses, self.pending = self.pending, []
        return losses

    def belong_to(self, training: Trained) -> None:
        """What was heard before anybody knew whose it is."""
        for loss in self.pending:
            for call in loss.calls:
                call.training = training

    def forget(self) -> None:
        self._calls, self.pending, self._latest, self._scaled = [], [], None, None

    # -- inside

    def _read(self, loss: Tensor, calls: list[Call]) -> Loss:
        place = places.own_line(5) or places.caller(5)
        known = [c for call in calls for c in call.criteria]
        looks = self._looks(calls[0].training if calls else None)
        if looks or place not in self._whole:
            main = criteria.unscaled(loss, known)
            self._whole[place] = main is not None
        else:
            main = known[-1] if known and self._whole[place] else None
        value = loss if main is None else main.result
        read = Loss(place, value.detach(), calls, whole=main is not None)
        read.summed = any(c.summed for c in known)
        if main is None:
            read.parts = {c.name: c.result.detach() for c in known}
        if looks:
            read.graph, read.criterion = value, main or next(iter(known), None)
        for call in calls:
            call.criteria = []
        return read

    def _looks_at_another(self) -> bool:
        """Are a loss's tensors wanted, and are few of them held yet?"""
        held = max(len(self._calls), len(self._calls[-1].criteria))
        return held < MOST_LOOKED_AT and self._looks(self._calls[0].training)

    def _as_validation(self, but: list[Call]) -> None:
        """Calls that no gradient was asked of after all."""
        kept = {id(call) for call in but}
        for call in self._calls:
            if id(call) not in kept:
                for criterion in call.criteria:
                    call.validate(criterion)
        self._calls = [call for call in self._calls if id(call) in kept]

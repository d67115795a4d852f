"""What is asked of a net once its loop is over: its two modes, its loss, and short trainings."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from typing import Any

from famulus.diagnosis.controls.bench import Control
from famulus.diagnosis.controls.direct import direct
from famulus.diagnosis.controls.modes import modes
from famulus.diagnosis.controls.trial import Budget, Subject
from famulus.diagnosis.controls.trials import TOGETHER, trials

OF_THE_LOSS = {"shapes-broadcast", "activation-twice", "output-activation", "loss-unbounded",
               "loss-does-not-fit-output"}  # fmt: skip


class _Muted:
    """A stream that this thread's words don't reach, and those of others do."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._thread = stream, threading.get_ident()

    def write(self, text: str) -> int:
        muted = threading.get_ident() == self._thread
        return len(text) if muted else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def budget_of(controls_s: float, controls_steps: int | None) -> Budget:
    """Of trial trainings, as a person says it; steps that are asked for depend on no clock."""
    if controls_steps is None:
        return Budget(TOGETHER if controls_s else 0, controls_s)
    return Budget(controls_steps)


def tried(
    subject: Subject, budget: Budget, learned: bool, known: frozenset[str] = frozenset()
) -> list[Control]:
    """The net again after the run, and short trainings if it has not learned; one that can't be
    called again is left alone. known: causes that the run itself has shown."""
    try:
        # What a net prints or warns of has been heard during the training.
        with warnings.catch_warnings(), contextlib.redirect_stdout(_Muted(sys.stdout)):
            warnings.simplefilter("ignore")
            # a net that is another one in evaluation mode is so after a trial as well
            if (apart := modes(subject)) is not None:
                return [apart]
            if learned:
                return []
            # a loss that can't be answered well is a fact, whatever a training would come to
            if not known & OF_THE_LOSS and (wrong := direct(subject)) is not None:
                return [wrong]
            return trials(subject, budget) if subject.whole else []
    except KeyboardInterrupt:  # of whoever does not want to wait: the training itself is over
        return [Control("trials", "skipped", "interrupted")]
    except Exception as error:
        return [Control("trials", "skipped", f"{type(error).__name__}: {str(error)[:200]}")]

"""Optimizers that are not torch's: fastai has a class of its own, which no hook of torch reaches.

It is dressed as one of torch's, so that whoever reads an optimizer reads it as well.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from typing import Any

import torch

from famulus.bridges.watch.seams import Listener, Seams

FASTAI = "fastai.optimizer"
# fastai's optimizers are one class with other callbacks: the last one that is known names them
KINDS = {
    "sgd_step": "SGD", "momentum_step": "SGD", "rms_prop_step": "RMSprop", "adam_step": "Adam",
    "radam_step": "RAdam", "lamb_step": "Lamb", "larc_step": "Larc", "qhadam_step": "QHAdam",
}  # fmt: skip


class Dressed(torch.optim.Optimizer):
    """fastai's optimizer with the groups and the hooks of torch's."""

    def __init__(self, optimizer: Any) -> None:
        groups = [dict(group) for group in optimizer.param_groups]
        super().__init__([{"params": list(group["params"])} for group in groups], {})
        self._optimizer = weakref.ref(optimizer)
        self._read(groups)

    def _read(self, groups: list[dict[str, Any]]) -> None:
        for own, group in zip(self.param_groups, groups, strict=True):
            own.update({key: value for key, value in group.items() if key != "params"})

    def refresh(self) -> None:
        """fastai's groups are made anew each time that they are asked for."""
        if (optimizer := self._optimizer()) is not None:
            self._read([dict(group) for group in optimizer.param_groups])

    def run(self, hooks: dict[int, Callable]) -> None:
        for hook in list(hooks.values()):
            hook(self, (self,), {})


def join(seams: Seams, listener: Listener) -> None:
    """Hears of fastai's updates from now on, if the script has imported it."""
    module = sys.modules.get(FASTAI)
    kind = getattr(module, "Optimizer", None)
    if kind is None or seams.replaces(kind, "step"):
        return
    dressed: weakref.WeakKeyDictionary[Any, Dressed] = weakref.WeakKeyDictionary()

    def make(original: Callable) -> Callable:
        @functools.wraps(original)
        def step(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            if not seams.active:
                return original(optimizer, *args, **kwargs)
            seams.told(_before, listener, dressed, optimizer)
            result = original(optimizer, *args, **kwargs)
            seams.told(_after, listener, dressed, optimizer)
            return result

        return step

    seams.replace(kind, "step", make)


def _before(listener: Listener, dressed: Any, optimizer: Any) -> None:
    if optimizer not in dressed:
        names = [getattr(cb, "__name__", "") for cb in optimizer.cbs]
        kind = next((KINDS[name] for name in reversed(names) if name in KINDS), "Optimizer")
        dressed[optimizer] = type(kind, (Dressed,), {})(optimizer)
    own = dressed[optimizer]
    own.refresh()
    listener.before_update(own, False)
    own.run(own._optimizer_step_pre_hooks)


def _after(listener: Listener, dressed: Any, optimizer: Any) -> None:
    own = dressed.get(optimizer)
    if own is not None:
        own.run(own._optimizer_step_post_hooks)
        listener.after_update(own)

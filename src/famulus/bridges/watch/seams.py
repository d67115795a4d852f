"""Where a training is heard: functions of torch that are replaced while a watch is on.

Each replacement calls what it replaces, with the same arguments, once, and returns what that
returns; what it tells a listener is told beside. Nothing is registered at a module or an optimizer:
copies and pickles of them hold nothing of ours. Of modules called inside others (all but the
outermost) a replacement costs one comparison.

Not heard: operations under `torch.ops`, losses written as arithmetic (their value is: `backward`),
what runs inside a compiled function, and libraries' own loaders and optimizers that are not
torch's, but for those in `foreign`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
import weakref
from collections.abc import Callable, Iterator
from threading import get_ident
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch._C._functorch import peek_interpreter_stack
from torch.nn import functional as F
from torch.optim import optimizer as optimizers
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter

from famulus.diagnosis.probes.outputs import recorded

CRITERIA = (
    *("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"),
    *("binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div", "gaussian_nll_loss"),
    *("poisson_nll_loss", "soft_margin_loss", "multilabel_soft_margin_loss", "multi_margin_loss"),
    *("multilabel_margin_loss", "hinge_embedding_loss", "ctc_loss"),
)


# Python leaves frames out of a warning's stack that are importlib's own, by their file's name: so
# a warning that torch gives about its caller names the script's line, and not ours.
UNSEEN = f"{__file__} (importlib, _bootstrap)"


def unseen(function: Any) -> Any:
    """The same function, no level in the stack of a warning."""
    function.__code__ = function.__code__.replace(co_filename=UNSEEN)
    return function


class Listener(Protocol):
    """Who is told. Nothing that it raises may reach a script: the seams see to that."""

    def optimizer_built(self, optimizer: torch.optim.Optimizer) -> None: ...

    def before_update(self, optimizer: Any, closure: bool) -> None: ...

    def after_update(self, optimizer: Any) -> None: ...

    def before_call(self, model: nn.Module, args: tuple, kwargs: dict) -> bool:
        """Whether its output is wanted."""
        ...

    def model_called(self, model: nn.Module, output: Any) -> None: ...

    def criterion_called(self, name: str, args: tuple, kwargs: dict, result: Any) -> None: ...

    def backward_called(self, loss: Any) -> None: ...

    def loss_scaled(self, loss: Any, scaled: Any) -> None: ...

    def loader_walked(self, loader: DataLoader, walk: Any) -> None: ...

    def batch_fetched(self, walk: Any, batch: Any, seconds: float) -> None: ...

    def trouble(self, error: Exception) -> None: ...


class Seams:
    """`install` puts the replacements in place, `remove` puts all back as it was."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.roots: dict[int, nn.Module] = {}  # modules whose calls are told of
        self.looking = True  # tell of every outermost call
        self.active = self.installed = False
        self._depth = 0
        self._telling = False
        self._backward = False  # inside one: Tensor.backward calls autograd's
        self._criterion_called = False
        self._thread = get_ident()
        self._replaced: list[tuple[Any, str, Any, Any]] = []  # owner, name, before, ours
        self._handles: list[Any] = []
        quiet = weakref.WeakMethod(self._quiet)  # what forked children inherit stays silent there
        os.register_at_fork(after_in_child=lambda: (call := quiet()) and call())

    def install(self) -> None:
        self.active = self.installed = True
        for name in CRITERIA:
            self._replace(F, name, self._criterion)
        self._replace(torch.Tensor, "backward", self._backward_of)
        self._replace(torch.autograd, "backward", self._backward_of)
        self._replace(torch.optim.Optimizer, "__init__", self._built)
        self._replace(nn.Module, "__call__", self._call)
        self._replace(DataLoader, "__iter__", self._walk)
        self._replace(_BaseDataLoaderIter, "__next__", self._fetch)
        self._replace(torch.amp.GradScaler, "scale", self._scale)
        self._replace(torch.jit, "script", self._script)
        self._handles = [
            optimizers.register_optimizer_step_pre_hook(self._before_update),
            optimizers.register_optimizer_step_post_hook(self._after_update),
        ]

    def remove(self) -> None:
        self.active = self.installed = False
        for owner, name, before, ours in reversed(self._replaced):
            if vars(owner).get(name) is ours:  # someone may have replaced it again since
                setattr(owner, name, before)
        for handle in self._handles:
            handle.remove()
        self._replaced, self._handles = [], []
        self.roots.clear()

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """For what a library has of its own: `make` is given what it replaces."""
        self._replace(owner, name, make)

    def replaces(self, owner: Any, name: str) -> bool:
        return any(known is owner and key == name for known, key, *_ in self._replaced)

    def told(self, tell: Callable[..., Any], *args: Any) -> Any:
        """What is told must not end a training, nor draw, nor leave a trace of gradients."""
        if not self.active or self._telling:
            return None
        self._telling = True  # what a listener calls itself (trial trainings) is not heard
        try:
            with torch._C.DisableTorchFunctionSubclass():  # nor by a script's own kind of tensor
                return tell(*args)
        except Exception as error:
            self.listener.trouble(error)
            return None
        finally:
            self._telling = False

    def _quiet(self) -> None:
        self.active = False
        self.roots.clear()
        self.looking = False

    def _replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        before = vars(owner)[name]
        ours = make(before)
        self._replaced.append((owner, name, before, ours))
        setattr(owner, name, ours)

    def _here(self) -> bool:
        """Other threads (replicas, loaders) are not looked at; nor is what is being traced: tensors
        of a trace must not outlive it."""
        if torch.compiler.is_compiling():  # first: of all else the compiler would make guards
            return False
        if not self.active or self._telling or get_ident() != self._thread:
            return False
        inside = peek_interpreter_stack()  # of vmap, grad
        return inside is None and not recorded()

    def _criterion(self, original: Callable) -> Callable:
        name = original.__name__

        @unseen
        @functools.wraps(original)
        def criterion(*args: Any, **kwargs: Any) -> Any:
            # a subclass of Tensor calls it again, inside
            if not self._here() or self._criterion_called:
                return original(*args, **kwargs)
            self._criterion_called = True
            try:
                result = original(*args, **kwargs)
            finally:
                self._criterion_called = False
            self.told(self.listener.criterion_called, name, args, kwargs, result)
            return result

        return criterion

    def _backward_of(self, original: Callable) -> Callable:
        @unseen
        @functools.wraps(original)
        def backward(*args: Any, **kwargs: Any) -> Any:
            if not self._here() or self._backward:
                return original(*args, **kwargs)
            loss = args[0] if args else kwargs.get("tensors")
            self._backward = True
            try:
                result = original(*args, **kwargs)
            finally:
                self._backward = False
            self.told(self.listener.backward_called, loss)
            return result

        return backward

    def _built(self, original: Callable) -> Callable:
        @unseen
        @functools.wraps(original)
        def __init__(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            if self._here():
                self.told(self.listener.optimizer_built, optimizer)

        return __init__

    def _call(self, original: Callable) -> Callable:
        roots = self.roots

        @unseen
        @functools.wraps(original)
        def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if not self.looking and id(module) not in roots:
                return original(module, *args, **kwargs)
            # inside a backward pass it is a checkpoint that is computed again
            inner = self._depth or self._backward
            if inner or not self._here():
                return original(module, *args, **kwargs)
            return self._outermost(original, module, args, kwargs)

        return __call__

    @unseen
    def _outermost(self, original: Callable, module: nn.Module, args: tuple, kwargs: dict) -> Any:
        wanted = self.told(self.listener.before_call, module, args, kwargs)
        self._depth += 1
        # not by getattr: a script's own __getattr__ may raise anything
        modules = vars(module).get("_modules", ())
        opaque = "_orig_mod" in modules or module._compiled_call_impl is not None
        try:
            if opaque:  # the compiler must find torch as it is
                with self._as_it_was(nn.Module):
                    output = original(module, *args, **kwargs)
            else:
                output = original(module, *args, **kwargs)
        finally:
            self._depth -= 1
        if wanted:
            self.told(self.listener.model_called, module, output)
        return output

    def _walk(self, original: Callable) -> Callable:
        @unseen
        @functools.wraps(original)
        def __iter__(loader: DataLoader) -> Any:
            walk = original(loader)
            if self._here():
                self.told(self.listener.loader_walked, loader, walk)
            return walk

        return __iter__

    def _fetch(self, original: Callable) -> Callable:
        @unseen
        @functools.wraps(original)
        def __next__(walk: Any) -> Any:
            if not self._here():
                return original(walk)
            began = time.perf_counter()
            batch = original(walk)
            seconds = time.perf_counter() - began
            self.told(self.listener.batch_fetched, walk, batch, seconds)
            return batch

        return __next__

    def _scale(self, original: Callable) -> Callable:
        @unseen
        @functools.wraps(original)
        def scale(scaler: Any, outputs: Any) -> Any:
            scaled = original(scaler, outputs)
            if isinstance(scaled, Tensor) and self._here():
                self.told(self.listener.loss_scaled, outputs, scaled)
            return scaled

        return scale

    def _script(self, original: Callable) -> Callable:
        @unseen
        @functools.wraps(original)
        def script(*args: Any, **kwargs: Any) -> Any:
            # TorchScript compiles the source of what it finds in torch.nn.functional
            with self._as_it_was(F):
                return original(*args, **kwargs)

        return script

    @contextlib.contextmanager
    def _as_it_was(self, owner: Any) -> Iterator[None]:
        """For the length of a block; what a script has put in the place of ours stays."""
        away = [e for e in self._replaced if e[0] is owner and vars(owner).get(e[1]) is e[3]]
        for _, name, before, _ in away:
            setattr(owner, name, before)
        try:
            yield
        finally:
            for _, name, before, ours in away:
                if self.installed and vars(owner).get(name) is before:
                    setattr(owner, name, ours)

    def _before_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self._here():
            # the first argument is the optimizer
            closure = (len(args) > 1 and args[1] is not None) or kwargs.get("closure") is not None
            self.told(self.listener.before_update, optimizer, closure)

    def _after_update(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self._here():
            self.told(self.listener.after_update, optimizer)

"""A training loop of one's own, watched: curves, probes and findings in the same store as a run's.

    with Monitor(model, optimizer, store="runs", name="mine") as monitor:
        for x, y in batches:
            ...                                    # loss, backward, optimizer.step()
            monitor.step(loss, inputs=x, outputs=out, targets=y)

Monitor only reads: it draws no random number, changes no tensor, and waits for the device when it
logs. A step is an update of the optimizer (its own hooks tell), so batches whose gradients are
accumulated and updates that a GradScaler leaves out count as inputs, not as steps. Trouble of its
own (a full disk) turns it off with a warning; the training goes on.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from famulus.bridges import watched
from famulus.bridges.afterwards import budget_of, tried
from famulus.bridges.batch import Batch, checked_batch
from famulus.bridges.losses import LossMeter
from famulus.bridges.rate_path import RatePath
from famulus.bridges.sampled import Sampled
from famulus.bridges.starts import strangers, weights_at_start
from famulus.config.errors import ConfigError
from famulus.config.scores import Scores, as_json, checked
from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.contract import learned
from famulus.diagnosis.controls.bench import Control
from famulus.diagnosis.controls.trials import WALL_S
from famulus.diagnosis.history import Finding, History, from_events
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.probes.passes import ValidationModes
from famulus.diagnosis.verdict import REFUTED, diagnose, judge
from famulus.store import failure, lineage
from famulus.store.attempt import Attempt
from famulus.store.claims import claim
from famulus.store.event_kinds import roots
from famulus.store.store import Store

LOG_EVERY = 50  # steps
PATIENCE = 20  # calls without any update of the optimizer, after which each call is a step


def _no_updates(config: Mapping[str, Any], calls: int) -> Control:
    training = config["training"]
    optimizers = training.get("optimizers") or [training["optimizer"]]
    names = ", ".join(one["class"] for one in optimizers)
    variable = optimizers[0].get("variable") or "optimizer"
    return Control(
        "updates",
        "failed",
        f"{calls} batches have passed without any step of the optimizer ({names})",
        f"{variable}.step() (after loss.backward())",
        {"batches": calls},
        "weights-do-not-move",
    )


class Monitor:
    """Watches `model` and one optimizer, or a list of them, while a loop of one's own trains.

    store: folder or URL. name: the experiment; runs of one name share a page and a table.
    settings: what distinguishes this run there. why: the question. log_every: steps.
    scores: what the names given to `validate` mean, as {"accuracy": Score(better="higher")}; runs
    are ranked by those that are declared, and by `loss`, of which lower is better.
    controls_s: seconds, at most, that short trial trainings on a copy of the net may take at the
    end of a run that learned little; 0 for none. They need inputs, outputs and targets, and take
    6,000 steps together at most; where the seconds end before these, nothing is named from them.
    controls_steps: another number of steps, and however long they take; 0 for none.
    Raises ConfigError for what is no model, optimizer or name, StoreError for a store out of reach.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | list[torch.optim.Optimizer],
        store: str = "runs",
        name: str = "mine",
        *,
        settings: Mapping[str, Any] | None = None,
        scores: Scores | None = None,
        why: str = "",
        log_every: int = LOG_EVERY,
        controls_s: float = WALL_S,
        controls_steps: int | None = None,
        names: Mapping[int, watched.Named] | None = None,
    ) -> None:
        self.model = watched.checked_model(model)
        self.optimizers = watched.optimizers_of(optimizer)
        if log_every < 1:
            raise ConfigError(f"Monitor: expected log_every >= 1, received {log_every}")
        if controls_s < 0:
            raise ConfigError(f"Monitor: expected controls_s >= 0, received {controls_s}")
        if controls_steps is not None and controls_steps < 0:
            raise ConfigError(f"Monitor: expected controls_steps >= 0, received {controls_steps}")
        self.log_every = log_every
        self.budget = budget_of(controls_s, controls_steps)  # of trial trainings
        self.not_tried = ""  # what there was too little of for trial trainings
        self.ended_early = False  # stopped on purpose: its length then says nothing
        self.declared = checked(scores or {}, "Monitor: scores")
        self.config = watched.settings_of(self.model, self.optimizers, settings or {}, why, names)
        self.run = watched.new_run(Store.open(store), name, self.config)
        self.steps = self.inputs = 0
        self._calls = self._updates = 0  # since the last step
        self._trained = False  # has the optimizer ever been asked for an update?
        self._losses = LossMeter()
        self._rates = RatePath()
        self._waited_s: float | None = None  # for data, since the last log
        self._waited_before_s: float | None = None  # until then
        self._scores: dict[str, float] = {}
        self._findings: list[Finding] | None = None
        self._attempt: Attempt | None = None
        self._over = False
        self._off = ""  # why nothing is recorded any more
        self._not_finite = False  # told already

    # -- with

    def __enter__(self) -> Monitor:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        self.close(error)

    def start(self) -> Monitor:
        """What `with` does; for loops that can't use it: `close` is to be called at their end."""
        if self._attempt is not None:
            raise ConfigError("Monitor: expected to be started once; make a new one")
        self._attempt = claim(self.run)
        self._attempt.record_lineage(self._lineage())
        self._started = self._lapped = time.perf_counter()
        self._lap_inputs = 0
        device = next((str(p.device) for p in self.model.parameters()), "cpu")
        threads = torch.get_num_threads()
        facts = {"parameters": self._numbers(), "device": device, "threads": threads}
        self._emit("facts", **facts, scores=as_json(self.declared))
        keep = self.budget.steps > 0
        self._sampled = Sampled(self.model, self.optimizers, self._guarded, keep=keep)
        self._modes = ValidationModes(self.model, self._guarded)
        self._hooks = [o.register_step_post_hook(self._after) for o in self.optimizers]
        self._guarded(self._start_facts)
        self._guarded(self._arm)
        return self

    # -- what a loop calls

    def step(
        self,
        loss: Any,
        inputs: Any = None,
        outputs: Any = None,
        targets: Any = None,
        *,
        parts: Mapping[str, Any] | None = None,
        latent: Mapping[str, Any] | None = None,
        codes: Any = None,
        features: Any = None,
        loss_fn: Callable[[Any, Any], Any] | None = None,
        wait: float | None = None,
        samples: int | None = None,
    ) -> None:
        """After `optimizer.step()`: the loss as one number, or named parts with `total`.

        What else is given lets more be named. inputs: their first axis counts the examples.
        outputs, targets: as the loss takes them. parts: terms of the loss, as `{"recon": r, "kl":
        k}`, each with a curve of its own. latent: `{"mu": tensor, "logvar": tensor}` of a VAE, (B,
        ...) each; also `sigma`. codes: ids of a VQ-VAE's codes, integers of any shape. features:
        embeddings (B, D), or a tuple of two views'. loss_fn: what gives the loss of (outputs,
        targets); short trainings at the end may then use it. wait: seconds that passed before this
        step until its batch was there. samples: how many examples, where the first axis of no
        tensor tells. Raises ConfigError for what is not what its name says.
        """
        if self._attempt is None:
            raise ConfigError("Monitor.step: expected an open monitor: use `with`, or start()")
        losses = watched.loss_parts({**watched.loss_parts(loss), **parts} if parts else loss)
        terms = {name: term for name, term in losses.items() if name != "total"}
        batch = Batch(
            losses["total"], inputs, outputs, targets, terms, latent, codes, features, loss_fn
        )
        batch = checked_batch(batch)
        self._guarded(lambda: self._step(losses, batch, wait, samples))

    def validate(self, scores: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Scores of a validation: `monitor.validate(loss=0.3, accuracy=0.9)`, or a dict."""
        try:
            given = {**(scores or {}), **more}
            values = {str(k): watched.plain(v) for k, v in given.items()}
        except (TypeError, ValueError) as error:
            raise ConfigError(f"Monitor.validate: expected numbers, received {error}") from error
        self._scores |= {f"val/{k}": v for k, v in values.items() if math.isfinite(v)}
        self._guarded(lambda: self._validated(values))

    def mark(self, text: str) -> None:
        """A line on the run's page and a mark on its curve: a phase, a change by hand."""
        self._guarded(lambda: self._emit("mark", what="note", text=str(text)))

    def history(self) -> History:
        """What is known of the run now, as rules see it."""
        self._guarded(self._flush)
        return from_events(self.config, self.run.events())

    def findings(self) -> list[Finding]:
        """What ails the run, gravest first; within `with`, of the steps so far."""
        return diagnose(self.history()) if self._findings is None else list(self._findings)

    def close(self, error: BaseException | None = None) -> None:
        """Ends the record; again is harmless. `error`: what ended the loop, left to its caller."""
        if self._attempt is None or self._over:
            return
        for hook in self._hooks:
            hook.remove()
        self._guarded(lambda: self._end(error))
        self._sampled.close()
        self._modes.close()
        self._attempt.close()
        self._over = True

    # -- inside

    def _guarded(self, work: Callable[[], object]) -> None:
        """Runs `work` while the monitor is open; what fails in it must not end a training."""
        if self._off or self._attempt is None or self._over:
            return
        try:
            work()
        except Exception as error:
            self._off = f"{type(error).__name__}: {error}"
            self._sampled.close()
            self._modes.close()
            with contextlib.suppress(Exception):  # what stood in the way is told already
                self._attempt.end("error", **failure.facts(error), seconds=self._seconds())
            self._complain(f"Monitor of {self.run.path} stops, the training goes on: {self._off}")

    def _start_facts(self) -> None:
        held = strangers(self.model, self.optimizers)
        self._emit("facts", start=weights_at_start(self.model), held=held)

    def _lineage(self) -> Mapping[str, Any]:
        return lineage.collect()

    def _complain(self, text: str) -> None:
        """Tells trouble of the monitor's own."""
        warnings.warn(text, stacklevel=4)  # the caller's own line

    def before_update(self, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Between `backward` and the update; only a step with a closure needs to say so."""
        self._guarded(lambda: self._sampled.before_update(optimizer))

    def _after(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._updates += 1
        self._trained = True
        if optimizer is self.optimizers[0]:
            rate = optimizer.param_groups[0]["lr"]
            if not isinstance(rate, torch.Tensor):  # which may lie on the device
                self._rates.add(rate)

    def _step(
        self,
        losses: Mapping[str, Any],
        batch: Batch,
        wait: float | None,
        samples: int | None,
    ) -> None:
        if wait is not None:
            self._waited_s = (self._waited_s or 0.0) + wait
        self._calls += 1
        count = samples or watched.count_of(batch.inputs, batch.outputs, batch.targets)
        self.inputs += count or 1
        self._losses.add(losses)
        self._sampled.keep(batch)
        if not self._updates and (self._trained or (self._calls <= PATIENCE and not self.steps)):
            return  # more gradients are to come; or nobody updates the weights, which is a step too
        if not self._trained and not self.steps:
            self._emit("control", **_no_updates(self.config, PATIENCE).json())
        self._updates = self._calls = 0
        if self._is_sampled:
            self._look(batch)
        self.steps += 1
        if self._is_sampled or self.steps % self.log_every == 0:
            self._log()
        if self._is_sampled:
            if graph := self._sampled.graph():
                self._emit("facts", graph=graph)
            for event in self._sampled.events():
                self._writer.emit(event)
        self._modes.stepped(self.steps)
        self._arm()

    def _look(self, batch: Batch) -> None:
        self._sampled.see(batch)

    def _arm(self) -> None:
        """Hooks for the next step, if it is a sampled one: its forward pass comes before `step`."""
        self._is_sampled = self._sampled.begin(self.steps, self.inputs)

    def _log(self) -> None:
        """The one wait for the device."""
        values, figures = self._losses.read()
        if not values:
            return
        now = time.perf_counter()
        window = max(1e-9, now - self._lapped)  # two logs may fall into one tick
        rate = (self.inputs - self._lap_inputs) / window
        if self._waited_s is not None:
            figures["wait"] = min(1.0, self._waited_s / window)
            self._waited_before_s = (self._waited_before_s or 0.0) + self._waited_s
        self._lapped, self._lap_inputs, self._waited_s = now, self.inputs, None
        lr, figures = self._learning_rate(), figures | self._rates.take()
        self._emit("train", s=self._seconds(), values=values, lr=lr, rate=rate, **figures)
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if broken and not self._not_finite:
            self._not_finite = True
            text = f"{broken[0]} is {values[broken[0]]} at step {self.steps}"
            self._emit("mark", what="loss-not-finite", text=text)

    def _learning_rate(self) -> float:
        return float(self.optimizers[0].param_groups[0]["lr"])

    def _validated(self, values: dict[str, float]) -> None:
        if mode := self._modes.validated(self.steps):
            self._emit("facts", validation_mode=mode)
        self._log()
        self._emit("val", s=self._seconds(), values=values)

    def _flush(self) -> None:
        self._log()
        self._writer.flush()

    def _end(self, error: BaseException | None) -> None:
        self._flush()
        if (floor := self._sampled.floor()) is not None:
            self._emit("floor", score="loss", value=floor, means="best constant")
        if isinstance(error, KeyboardInterrupt | GeneratorExit):
            self._writer.end("interrupted")
            return
        seconds = self._seconds()  # of training: trials come after it
        if error is None and (subject := self._sampled.subject(self.steps)):
            history = self.history()
            subject = replace(
                subject,
                options={**subject.options, "lr": rates.peak(history)},
                ended_early=self.ended_early,
                learned=bool(of_history(history).gained(REFUTED)),
                kept=rates.kept(history),
            )
            known = frozenset(f.cause for f in judge(history).findings)
            for control in tried(subject, self.budget, learned(history), known):
                if control.verdict == "skipped" and control.remedy:
                    self.not_tried = control.text
                self._emit("control", **control.json())
        judged = judge(self.history())
        for text in judged.skipped:
            self._emit("mark", what="diagnosis", text=text)
            self._complain(f"Monitor of {self.run.path}: {text}")
        self._findings = judged.findings
        verdict = [finding.event() for finding in self._findings]
        for event in verdict:
            self._writer.emit({"step": self.steps, "inputs": self.inputs, **event})
        broken = {} if error is None else {"error": failure.error_of(error)}
        waited_s = self._waited_before_s
        self._writer.finish(
            {
                "status": "finished" if error is None else "failed",
                "reason": "" if error is None else failure.reason_of(error),
                **broken,
                "step": self.steps,
                "inputs": self.inputs,
                "seconds": seconds,
                "scores": self._scores,
                "best": None,
                "findings": roots(verdict),
                "parameters": self._numbers(),
                "rate": self.inputs / seconds if seconds else None,
                "wait": min(1.0, waited_s / seconds) if seconds and waited_s is not None else None,
            }
        )

    @property
    def _writer(self) -> Attempt:
        assert self._attempt is not None  # `start` comes before anything is written
        return self._attempt

    def _numbers(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def _seconds(self) -> float:
        return round(time.perf_counter() - self._started, 3)

    def _emit(self, kind: str, **facts: Any) -> None:
        self._writer.emit({"kind": kind, "step": self.steps, "inputs": self.inputs, **facts})

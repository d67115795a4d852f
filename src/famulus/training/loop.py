"""The training loop. It knows no task by name.

Event map, in order:

    restore      newest checkpoint of this run, or its origin's (resume, extend), or fresh weights
    step         seed (seed, step) > on_inputs > rate > [gather > loss > backward] x accumulate
                 > clip > optimizer > average; at sampled steps, probes look on
    log          one wait for the device: means since the last log, rate, wait share, probes, guard
    validate     eval mode, fixed noise, whole split > early stop, plateau, best
    pictures     the same fixed samples every time
    checkpoint   events are flushed first, its manifest is written last
    done         written once; nothing follows it

The unit of position is inputs (examples seen): order, noise and learning rate are functions of
(seed, inputs, step), so a resumed run goes on as if nothing had happened.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from famulus.config.schema import Training
from famulus.diagnosis.probes.probe import Probe
from famulus.feed.feeder import Feeder, validation_batches
from famulus.schedule import learning_rate
from famulus.store.attempt import Attempt
from famulus.store.checkpoint import AVERAGE, MODEL, Checkpoint
from famulus.store.model_folder import ModelFolder
from famulus.tasks.base import Position
from famulus.training import checkpoint as pack
from famulus.training.average import Average
from famulus.training.clock import Clock
from famulus.training.energy import Meter
from famulus.training.guard import Alarm, inspect
from famulus.training.optim import Patience, build_optimizer, clip_gradients, set_rate
from famulus.training.pictures import png
from famulus.training.progress import Calendar, Progress
from famulus.training.randomness import Streams
from famulus.training.setup import Setup


@dataclass(frozen=True)
class Outcome:
    """How `train` ended: finished | stopped (early) | failed | rollback | interrupted."""

    status: str
    reason: str = ""


@dataclass(frozen=True)
class Status:
    """What a watcher is shown at every log."""

    progress: Progress
    budget: int
    values: dict[str, float]  # means since the last log
    rate: float  # inputs a second
    wait: float  # share of the time spent waiting for data
    left_s: float  # seconds to go at this rate
    watts: float | None = None  # of the whole device, where it can be measured


class Loop:
    """One run, from the checkpoint that its attempt starts from to its end."""

    def __init__(
        self,
        setup: Setup,
        attempt: Attempt,
        *,
        origin: Checkpoint | None = None,
        warm: Checkpoint | ModelFolder | None = None,
        lr_factor: float = 1.0,
        meter: Meter | None = None,
        interrupted: Callable[[], str | None] = lambda: None,
        watch: Callable[[Status], None] = lambda status: None,
    ) -> None:
        """`origin`: full state to go on from; `warm`: weights only; `lr_factor`: of a roll-back."""
        task, data, training, device = setup.task, setup.data, setup.training, setup.device
        self.setup, self.attempt = setup, attempt
        self.task, self.training = task, training
        self.device, self.precision = device, setup.precision
        self.meter, self.interrupted, self.watch = meter, interrupted, watch
        # Once for all passes: a source may copy itself to the device.
        self.train_source = data.train.to(device)
        self.validation_source = data.validation.to(device)
        self.calendar = Calendar(training, len(data.train))
        self.streams = Streams(training.seed, device)
        with self.streams.isolated():
            # Seeded before the net is built: its first weights are part of what a seed promises.
            self.streams.build()
            model = task.build()
            if warm is not None:
                pack.load_model(model, warm.read(warm.weights), str(warm))
        self.model = setup.precision.place_model(model.to(device))
        self.parameters = list(self.model.parameters())  # also those that thaw later
        groups = task.param_groups(self.model)
        self.optimizer = build_optimizer(training.optimizer, groups, device)
        self.average = Average(self.model, training.ema) if training.ema else None
        self.progress = Progress()
        self.stop, self.plateau = _patience(training)
        if origin is not None:
            self._restore(origin)
        # After restoring, or the checkpoint's factor would overwrite that of a roll-back.
        self.progress.lr_factor *= lr_factor
        self.probe = Probe(self.model, self.optimizer, self.calendar.probe_every)
        self.rate = 0.0  # learning rate of the last step
        self.norm: Tensor | None = None  # gradient norm of the last step, before clipping
        self.sums: dict[str, Tensor] = {}  # of loss parts since the last log, on the device

    # -- the run ---------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Trains to the end, or until something ends it before."""
        with self.streams.isolated(), contextlib.closing(self.feeder()) as feeder:
            self.start(feeder)
            return self._run(feeder)

    def feeder(self) -> Feeder:
        """Training batches from the position on."""
        training, start = self.training, self.progress.inputs
        stream = self.train_source, training.batch, training.seed, self.device
        return Feeder(*stream, start, training.workers)

    def start(self, feeder: Feeder) -> None:
        """Before the first of `steps`."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)  # probes report this run's
        # Made here and not with the loop: building and restoring are no stepping.
        self.clock = Clock(self.progress, feeder)
        self.attempt.seconds = self.clock.now  # also if an error ends it
        if self.meter:
            self.meter.start(self.progress.energy, self.progress.seconds)
        self.model.train()

    def _run(self, feeder: Feeder) -> Outcome:
        training, at, due = self.training, self.progress, self.calendar.due
        if self.stop and self.stop.over:  # its process was killed before it could say so
            return Outcome("stopped", _why(self.stop))
        while at.inputs < self.calendar.budget:
            ended = self.steps(feeder, self._steps_to_next_event())
            checkpoint = due(training.checkpoint_every, at)
            milestone = training.keep.milestones and due(training.keep.milestones, at)
            validation = due(training.validate_every, at)  # may make a checkpoint, of the best
            # A log before each checkpoint: the means since then start at zero, resumed or not.
            judged = ended or checkpoint or milestone or validation
            if judged or due(training.log_every, at):
                # The look at the weights waits for the device: only where something is kept or
                # judged.
                alarm = self.log() or (self._broken_weights() if judged else None)
                if alarm and alarm.action != "report":
                    return self._give_up(alarm)
            stop = better = False
            if validation:
                stop, better = self._validate()
            if due(training.pictures_every, at):
                self._picture()
            # Behind validation and pictures, so that a resumed run repeats neither.
            if ended or stop or better or checkpoint or milestone:
                self._checkpoint(better=better, milestone=bool(milestone))
            if self.stop and stop:  # before `ended`: there is nothing left to go on with
                return Outcome("stopped", _why(self.stop))
            if ended and at.inputs < self.calendar.budget:
                return Outcome("interrupted", ended)
        return Outcome("finished")

    def _steps_to_next_event(self) -> int:
        training = self.training
        every = (
            training.log_every,
            training.validate_every,
            training.pictures_every,
            training.checkpoint_every,
            training.keep.milestones,
        )
        # between two events nothing has to be looked up, and nothing waits
        return min(self.calendar.steps_to(e, self.progress) for e in every)

    def steps(self, feeder: Feeder, count: int) -> str | None:
        """`count` steps without a wait for the device; the reason if a person interrupts."""
        training, at = self.training, self.progress
        place, batch_of = self.precision.place_batch, iter(feeder)
        share = 1 / training.accumulate  # so that accumulated batches weigh as one large batch
        for _ in range(count):
            self.streams.step(at.step)
            # of the step's first sample, also where the batch crosses into the next pass
            epoch = at.inputs // self.calendar.samples
            position = Position(at.step, at.inputs, epoch, training.seed)
            if grown := self.task.on_inputs(self.model, position):
                self._emit("mark", what="growth", text=grown)
            self.rate = self._scheduled_rate()
            set_rate(self.optimizer, self.rate)
            sampled = self.probe.begin(at.step, at.inputs)
            for _ in range(training.accumulate):
                batch = place(next(batch_of))
                with self.precision.autocast(self.device):
                    parts = self.task.loss(self.model, batch, position)
                total = parts["total"] if share == 1 else parts["total"] * share
                total.backward()
                self._add(parts)
            if sampled:
                self.probe.batch({name: batch[name] for name in batch if name != "index"})
                self.probe.gradients()  # as they are before clipping
            self.norm = clip_gradients(self.parameters, training.clip)
            self.optimizer.step()
            # None, not zero: an optimizer then leaves alone what had no gradient in a step
            self.optimizer.zero_grad(set_to_none=True)
            if self.average:
                self.average.follow(self.model)
            at.step += 1
            at.inputs += self.calendar.per_step
            # Between two steps only: a checkpoint never holds half an accumulation.
            if reason := self.interrupted():
                return reason
        return None

    def _scheduled_rate(self) -> float:
        at, training = self.progress, self.training
        place = self.calendar.place(at.inputs)
        return learning_rate(training.schedule, training.optimizer.lr, place, at.lr_factor)

    def _add(self, parts: dict[str, Tensor]) -> None:
        if not self.sums:
            # In float64: the mean over many steps must not depend on how often it is logged.
            self.sums = {name: value.detach().double() for name, value in parts.items()}
            self.counted = 1
            return
        for name, value in parts.items():
            self.sums[name] += value.detach()
        self.counted += 1

    # -- events ----------------------------------------------------------------------------

    def log(self) -> Alarm | None:
        """The one wait for the device: means since the last log; what the guard says of them."""
        if not self.sums:
            return None
        at = self.progress
        values = {name: float(value) / self.counted for name, value in self.sums.items()}
        self.sums = {}
        # After the sums were read: only then has the device done the steps that a lap counts.
        rate, wait = self.clock.lap()
        watts = self.meter.watts() if self.meter else None
        event = {"values": values, "lr": self.rate, "rate": rate, "wait": wait}
        if self.norm is not None:
            event["grad_norm"] = float(self.norm)
        if watts is not None:
            event["watts"] = watts
        self._emit("train", s=at.seconds, **event)
        for probe in self.probe.take():
            self.attempt.emit(probe)
        left_s = (self.calendar.budget - at.inputs) / rate if rate else 0.0
        self.watch(Status(at, self.calendar.budget, values, rate, wait, left_s, watts))
        alarm = inspect(self.training, at, values)
        if alarm:
            self._emit("mark", what=alarm.cause, text=alarm.text)
        return alarm

    def _broken_weights(self) -> Alarm | None:
        """What the last step's own loss can't show: a gradient that was not finite.

        Such weights must not become the checkpoint that a roll-back goes back to.
        """
        if math.isfinite(float(nn.utils.get_total_norm(self.parameters))):
            return None
        text = f"weights are not finite after step {self.progress.step}"
        self._emit("mark", what="loss-not-finite", text=text)
        return Alarm("loss-not-finite", self.training.on_nan, text)

    def _validate(self) -> tuple[bool, bool]:
        """Whether to stop early, and whether the best score was bettered."""
        at = self.progress
        with self._judging() as model:
            source, at_once = self.validation_source, self.setup.validated_at_once
            batches = validation_batches(source, at_once, self.device, self.training.workers)
            placed = (self.precision.place_batch(batch) for batch in batches)
            scores = self.task.scores(model, placed)
        at.scores = {f"val/{name}": value for name, value in scores.items()}
        at.seconds = self.clock.now()
        self._emit("val", s=at.seconds, values=scores)
        examples = self.training.batch * self.training.accumulate
        if concluded := self.task.conclusions(scores, examples):
            self._emit("facts", **concluded)
        if self.plateau and self.plateau.exhausted(at.scores[self.plateau.score]):
            factor = self.training.schedule.factor
            assert factor is not None  # a plateau has one
            self.plateau.bad = 0  # patience starts anew at the lower rate
            at.lr_factor *= factor
            self._emit("mark", what="lr", text=f"plateau: rate x {factor}")
        stop = bool(self.stop and self.stop.exhausted(at.scores[self.stop.score]))
        return stop, self._is_best()

    def _is_best(self) -> bool:
        keep, at = self.training.keep, self.progress
        if keep.best is None:
            return False
        value, sign = at.scores[keep.best], -1 if keep.direction == "max" else 1
        # NaN as the best could never be bettered: every comparison with it is false.
        if not math.isfinite(value):
            return False
        if at.best is not None and not sign * value < sign * at.best["value"]:
            return False
        at.best = {"score": keep.best, "value": value, "step": at.step, "inputs": at.inputs}
        return True

    def _picture(self) -> None:
        fixed = self.setup.pictured(self.validation_source)
        with self._judging() as model:
            pictures = self.task.pictures(model, self.precision.place_batch(fixed))
        for name, picture in pictures.items():
            # Padded, so that names sort as steps do.
            file = self.attempt.save_picture(f"{name}-{self.progress.step:08d}.png", png(picture))
            facts = {"file": file, "labels": list(picture.rows), "caption": picture.caption}
            counted = {"confusion": asdict(picture.confusion)} if picture.confusion else {}
            self._emit("picture", name=name, **facts, **counted)

    @contextlib.contextmanager
    def _judging(self) -> Iterator[nn.Module]:
        """The model to judge, in eval mode and under fixed noise; aside from the training clock."""
        # The averaged weights are the ones that are kept for use, so they are judged.
        model = self.average.model if self.average else self.model
        with self.clock.aside(), torch.no_grad():
            self.streams.validation()
            model.eval()
            yield model
            self.model.train()

    def _emit(self, kind: str, **facts: object) -> None:
        at = self.progress
        self.attempt.emit({"kind": kind, "step": at.step, "inputs": at.inputs, **facts})

    def _give_up(self, alarm: Alarm) -> Outcome:
        """Stop for good, or ask for a roll-back if there is a checkpoint to go back to."""
        self._account()
        status = "rollback" if alarm.action == "rollback" else "failed"
        return Outcome(status, f"{alarm.cause}: {alarm.text}")

    # -- checkpoints -----------------------------------------------------------------------

    def _checkpoint(self, better: bool, milestone: bool) -> None:
        at = self.progress
        self._account()
        at.stop = self.stop.state() if self.stop else None
        at.plateau = self.plateau.state() if self.plateau else None
        tensors, scalars = pack.optimizer_parts(self.optimizer, self.model)
        # all of them in one call, whose manifest is the last to be written
        files = {pack.OPTIMIZER: tensors, MODEL: pack.model_bytes(self.model)}
        # Beside the raw weights, from which training goes on.
        if self.average:
            files[AVERAGE] = pack.model_bytes(self.average.model)
        tags = [name for name, set_ in (("best", better), ("milestone", milestone)) if set_]
        state = {"progress": at.json(), "optimizer": scalars}
        with self.clock.aside():
            self.attempt.save_checkpoint(at.step, files, state, tags)
            # After the new one is complete: a kill between the two leaves one too many, never none.
            self.attempt.prune(self._kept())

    def _account(self) -> None:
        """Time and energy so far, together."""
        self.progress.seconds = self.clock.now()
        self.progress.energy = self.meter.total() if self.meter else None

    def _kept(self) -> set[int]:
        """Steps whose checkpoints stay: the newest, the best, the milestones."""
        run = self.attempt.run
        steps = run.checkpoints()
        kept = set(steps[-self.training.keep.last :])
        # by the manifest: milestones of another interval, before an override, stay as well
        kept |= {s for s in steps if "milestone" in run.manifest(s).get("tags", ())}
        return kept | ({self.progress.best["step"]} if self.progress.best else set())

    def _restore(self, origin: Checkpoint) -> None:
        pack.load_model(self.model, origin.read(MODEL), str(origin))
        state = origin.state
        pack.load_optimizer(
            self.optimizer, self.model, origin.read(pack.OPTIMIZER), state["optimizer"]
        )
        if self.average:
            # The average may be new to this run: then it starts at the weights.
            average = origin.read(origin.weights)
            pack.load_model(self.average.model, average, str(origin))
        self.progress = Progress.restore(state["progress"])
        counters = (self.stop, self.progress.stop), (self.plateau, self.progress.plateau)
        for patience, saved in counters:
            # the file may have added or dropped either since
            if patience and saved:
                patience.restore(saved)
        if self.attempt.start_from is None:  # a child: its best is one of its own checkpoints
            self.progress.best = None
            if self.stop and self.stop.over:  # it was started to go on
                self.stop.bad = 0


def _why(stop: Patience) -> str:
    than = "any finite value" if stop.best is None else f"{stop.best:.6g}"
    return f"{stop.score} was not better than {than} for {stop.patience} times"


def _patience(training: Training) -> tuple[Patience | None, Patience | None]:
    """Counters of early stopping and of the plateau schedule, where configured."""
    stop, at = training.stop, training.schedule
    plateau = None
    if at.name == "plateau":
        assert at.score is not None  # a plateau has all of its options filled in
        assert at.patience is not None
        assert at.min_delta is not None
        plateau = Patience(at.direction, at.patience, at.min_delta, at.score)
    return (
        Patience(stop.direction, stop.patience, stop.min_delta, stop.score) if stop else None,
        plateau,
    )

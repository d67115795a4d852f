"""What controls of the net and of its training are handed."""

import contextlib
import copy
import subprocess
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from famulus.diagnosis.controls import Control
from famulus.diagnosis.controls.input_use import Learned
from famulus.diagnosis.controls.moves import Weight
from famulus.diagnosis.controls.outputs import NAME as FREE
from famulus.diagnosis.controls.outputs import descend, free_output
from famulus.diagnosis.controls.rate import Tried
from famulus.diagnosis.controls.sizes import Size
from famulus.diagnosis.controls.targets import Looks
from famulus.feed.feeder import Feeder
from famulus.launch.bench import inputs
from famulus.launch.bench.trial import Net, Trial, part_of
from famulus.tasks.base import Batch
from famulus.training import memory

MOVING = 3  # steps after which every weight must have moved
FETCHED = 12  # batches timed for each number of threads
MODES = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


# -- the answer set free ---------------------------------------------------------------------------


class Free:
    """The loss of one batch as a function of the net's answers."""

    def __init__(self, net: Net, batch: Batch) -> None:
        self.net, self.batch, self.samples = net, batch, len(batch["index"])
        with inputs.watched(net.model) as calls:
            net.parts(batch)
        self.calls = calls
        self.found = inputs.answers(calls[0].answer, self.samples) if len(calls) == 1 else []

    def loss(self, free: list[Tensor], part: slice, noise: int = 0) -> Tensor:
        model, answer = self.net.model, self.calls[0].answer
        with inputs.answering(model, answer, self.found, free, part):
            return self.net.parts(part_of(self.batch, part, self.samples), noise)["total"]


def free(trial: Trial) -> Control:
    found = Free(trial.net(), trial.frozen)
    if not found.found:
        return Control(FREE, "skipped", "the loss does not call the net once with a batch")
    return free_output(found.found, found.loss, found.samples)


def looks(trial: Trial) -> Looks | None:
    """None where the loss does not call the net once with a batch."""
    net = trial.net()
    kept = copy.deepcopy(net.model.state_dict())
    one = Free(net, trial.reloaded(0))
    net.model.load_state_dict(kept)  # running averages move with every call
    two = Free(net, trial.reloaded(1))
    if not one.found or not two.found:
        return None
    whole = slice(0, one.samples)
    given = [c.calls[0].arguments for c in (one, two)]
    same = len(given[0]) == len(given[1]) and all(
        a.shape == b.shape and torch.equal(a, b) for a, b in zip(*given, strict=True)
    )
    _, ends = descend(one.found, lambda free: one.loss(free, whole), 20)  # answers that tell

    def lost(epoch: Free, noise: int = 0) -> float:
        net.model.load_state_dict(kept)
        return float(epoch.loss(ends, whole, noise))

    with torch.no_grad():
        loss, other = [lost(one, noise) for noise in (0, 1, 0, 0)], lost(two)
    counts = any(value != loss[0] for value in loss[2:])  # a task that counts its calls
    return Looks(same, loss[0] == other or counts, loss[0] == loss[1] or counts)


# -- short trainings -------------------------------------------------------------------------------


def learn(trial: Trial, kind: str, steps: int) -> Learned:
    net, part = trial.net(), trial.part
    before = net.judge(trial.held, kind)[part]
    for number, batch in enumerate(trial.fed(steps)):
        net.step(trial.shortened(batch), number, kind)
    blind = net.judge(trial.held, "zeroed")[part] if kind == "true" else float("nan")
    return Learned(before, net.judge(trial.held, kind)[part], blind, steps)


def moved(trial: Trial) -> tuple[list[Weight], list[str]]:
    """Weights after a few steps, and buffers of frozen modules that moved."""
    net = trial.net()
    before = {n: p.detach().clone() for n, p in net.model.named_parameters()}
    buffers = {n: b.detach().clone() for n, b in net.model.named_buffers()}
    held = {id(p) for group in net.optimizer.param_groups for p in group["params"]}
    touched: set[str] = set()
    reached: set[str] = set()
    largest: dict[str, float] = {}
    for number, batch in enumerate(trial.fed(MOVING)):
        net.step(batch, number)
        for name, p in net.model.named_parameters():
            if p.grad is not None:
                touched.add(name)
                largest[name] = float(p.grad.abs().max())
                if bool((p.grad != 0).any()):
                    reached.add(name)
    weights = [
        Weight(
            n,
            p.requires_grad,
            id(p) in held,
            p.numel(),
            n in touched,
            n in reached,
            not torch.equal(p, before[n]),
            largest.get(n, 0.0),
        )
        for n, p in net.model.named_parameters()
    ]
    frozen = {
        name
        for name, module in net.model.named_modules()
        if (own := list(module.parameters(recurse=False))) and not any(p.requires_grad for p in own)
    }
    drifted = [
        n
        for n, b in net.model.named_buffers()
        if n.rpartition(".")[0] in frozen and not torch.equal(b, buffers[n])
    ]
    return weights, drifted


def tried(trial: Trial, rate: float, steps: int) -> Tried:
    net, values, way = trial.net(), [], []
    net.rate(rate)
    before = [p.detach().clone() for p in net.model.parameters()]
    for _ in range(steps):
        values.append(net.step(trial.frozen, noise=0, at=0)["total"])
        way.append(_distance(net.model, before))
        if not values[-1] < float("inf"):
            return Tried(values[0], float("nan"), way[-1])
    half = (values[0] + min(values)) / 2
    at = next(i for i, v in enumerate(values) if v <= half)
    tail = values[-max(1, steps // 10) :]
    return Tried(values[0], sum(tail) / len(tail), way[max(at - 1, 0)])


def _distance(model: nn.Module, before: list[Tensor]) -> float:
    pairs = [(p, b) for p, b in zip(model.parameters(), before, strict=True) if p.requires_grad]
    total = sum(float((p.detach() - b).double().square().sum()) for p, b in pairs)
    return (total / max(1, sum(b.numel() for _, b in pairs))) ** 0.5


def gradients(trial: Trial, count: int) -> list[tuple[Tensor, int]]:
    """Of disjoint small batches at the weights of the start, in train mode."""
    net, found = trial.net(), []
    for batch in trial.fed(count):
        samples = len(batch["index"])
        size = max(2, samples // 4)
        for start in range(0, samples - size + 1, size):
            piece = part_of(batch, slice(start, start + size), samples)
            net.model.zero_grad(set_to_none=True)
            net.parts(piece)["total"].backward()
            grads = [p.grad.flatten() for p in net.model.parameters() if p.grad is not None]
            found.append((torch.cat(grads).clone(), size))
    return found


# -- validation ------------------------------------------------------------------------------------


@torch.no_grad()
def validated(trial: Trial) -> tuple[dict, dict, list[str], list[str]]:
    """Scores twice under other random numbers, modules in training mode, what changed."""
    net, task = trial.net(), trial.task
    net.model.eval()
    names = {id(m): n for n, m in net.model.named_modules()}
    wrong: list[str] = []

    def look(module: nn.Module, args: tuple) -> None:
        if module.training and id(module) in names:  # a task may judge a copy in training mode
            wrong.append(names[id(module)])

    watched = [m for m in net.model.modules() if isinstance(m, MODES)]
    handles = [m.register_forward_pre_hook(look) for m in watched]
    before = {n: t.clone() for n, t in net.model.named_parameters()}
    norms = {f"{names[id(m)]}.{n}": b for m in watched for n, b in m.named_buffers()}
    kept = {n: b.clone() for n, b in norms.items()}
    results = []
    try:
        for noise in range(2):
            trial.streams.step(noise)
            results.append(dict(task.scores(net.model, iter([dict(trial.held)]))))
    finally:
        for handle in handles:
            handle.remove()
    changed = [n for n, t in net.model.named_parameters() if not torch.equal(t, before[n])]
    changed += [n for n, b in norms.items() if not torch.equal(b, kept[n])]
    return results[0], results[1], wrong, changed


# -- cost ------------------------------------------------------------------------------------------


def layers(model: nn.Module) -> dict[str, int]:
    """Numbers of each module's own parameters, in order."""
    found = {}
    for name, module in model.named_modules():
        own = sum(p.numel() for p in module.parameters(recurse=False))
        if own:
            found[name or "(itself)"] = own
    return found


def sizes(trial: Trial, limit_s: float) -> Iterator[Size]:
    """A quarter, half, one, two and four times the configured batch, while there is time, and as
    far as twice what the net keeps for its backward pass fits into the memory that is left."""
    own, began, bytes_a_sample = trial.training.batch, time.monotonic(), 0.0
    for batch in dict.fromkeys((max(1, own // 4), max(1, own // 2), own, 2 * own, 4 * own)):
        if batch > len(trial.data.train) or time.monotonic() - began > limit_s:
            return
        room = memory.available(trial.device)
        if room is not None and 2 * bytes_a_sample * batch > room:
            return
        size = _size(trial, batch)
        bytes_a_sample = size.memory_mb * 1e6 / batch
        yield size


def _size(trial: Trial, count: int) -> Size:
    net, device = trial.net(), trial.device
    batch = trial.batch(trial.data.train, count)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        net.step(batch)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        net.step(batch)
        trial.wait()
        times.append(time.perf_counter() - began)
        if times[0] > 2.0:
            break
    taken = sum(kept.values())
    if device.type == "cuda":
        taken = torch.cuda.max_memory_allocated(device)
    power = power_w() if device.type == "cuda" else None
    return Size(count, count / min(times), taken / 1e6, power)


def power_w() -> float | None:
    """What the first GPU draws now, by nvidia-smi; None without one."""
    words = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run(words, capture_output=True, text=True, timeout=5, check=True)
        return float(done.stdout.split()[0])
    return None


def loader_speeds(trial: Trial, limit_s: float) -> dict[int, float]:
    """Inputs a second from the feeder alone, with 0, 1, 2 and 4 threads, while there is time."""
    found, training, start = {}, trial.training, time.monotonic()
    for count in (0, 1, 2, 4):
        if time.monotonic() - start > limit_s:
            break
        with Feeder(trial.data.train, training.batch, 1, trial.device, workers=count) as feeder:
            next(feeder)
            began = time.perf_counter()
            for _ in range(FETCHED):
                next(feeder)
            trial.wait()
            found[count] = FETCHED * training.batch / (time.perf_counter() - began)
        if not trial.data.train.slow:
            break  # threads are not used for what lies in memory
    return found

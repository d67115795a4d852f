"""The same few steps twice: straight through, and with a restart in the middle."""

import copy
from dataclasses import replace

import torch

from famulus.launch.bench.trial import Trial

BEFORE, AFTER = 2, 2  # steps


def resumed(trial: Trial) -> tuple[list[float], list[float], bool]:
    """Losses of the steps after the middle, without and with a restart; same weights at the end."""
    batches = list(trial.fed(BEFORE + AFTER))
    net = trial.net()
    for batch in batches[:BEFORE]:
        net.step(batch)
    kept = copy.deepcopy((net.model.state_dict(), net.optimizer.state_dict()))
    through = [net.step(batch)["total"] for batch in batches[BEFORE:]]
    task = trial.task
    anew = Trial(replace(trial.cell, task=type(task)(task.config, task.parents)), trial.device)
    other = anew.net()
    other.model.load_state_dict(kept[0])
    other.optimizer.load_state_dict(kept[1])
    other.at = BEFORE
    again = [other.step(batch)["total"] for batch in batches[BEFORE:]]
    pairs = zip(net.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return through, again, all(torch.equal(a, b) for a, b in pairs)

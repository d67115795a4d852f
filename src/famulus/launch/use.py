"""`famulus apply`: a trained model on a person's own files."""

from collections.abc import Sequence
from pathlib import Path

import torch

from famulus.config.errors import ConfigError
from famulus.config.yaml import parse_value
from famulus.launch.local import choose_device
from famulus.launch.plan import again
from famulus.store.run import Run
from famulus.store.store import Store
from famulus.training import checkpoint as pack


def apply(
    store: Store,
    run: Run,
    which: str,
    inputs: Path,
    out: Path,
    options: Sequence[str],
    allowed: Sequence[str] = (),
) -> None:
    """Hands the task its model with the weights of checkpoint `which`, in eval mode."""
    given = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise ConfigError(f"--option {option}: expected key=value")
        given[key] = parse_value(value)
    cell = again(store, run, allowed)
    device, _ = choose_device(cell.training.device)
    model = cell.task.build().to(device)
    opened = run.open_checkpoint(run.step_of(which))
    pack.load_model(model, opened.read(pack.judged(opened.names)), str(opened))
    with torch.no_grad():
        cell.task.apply(model.eval(), inputs, out, given)

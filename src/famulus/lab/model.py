"""A trained model to use in a program: `famulus.load`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from famulus.config.errors import ConfigError
from famulus.config.yaml import dump
from famulus.feed.progress import quietly
from famulus.lab.html import card_html
from famulus.lab.values import files_of, like, tensor_of
from famulus.launch.local import choose_device
from famulus.launch.session import Session
from famulus.launch.store import open_store
from famulus.launch.trained import Trained, of_run
from famulus.store.run import Run

SHOWN = ("task", "data", "model", "loss")  # of the settings, on a card


class Model:
    """A trained network, in eval mode, with the task that knows how to use it.

    `module`: the nn.Module. `settings`: the filled settings of its run. `card`: what is known of
    it, as Markdown. `scores`: those of its checkpoint, as `val/loss`. `classes`: names in the
    order of its probabilities, where it has any. `name`: where it is from.
    """

    def __init__(self, trained: Trained, card: str, scores: Mapping[str, float]) -> None:
        self._trained = trained
        self.module: nn.Module = trained.module
        self.settings: Mapping[str, Any] = trained.config
        self.card = card
        self.scores = dict(scores)
        self.name = trained.name
        self.classes: tuple[str, ...] = tuple(trained.built_from.get("classes") or ())

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    def apply(self, inputs: Any, out: str | os.PathLike[str] | None = None, **options: Any) -> Any:
        """What the model makes of `inputs`, with the task's own options (`famulus apply`).

        A path (file, folder or zip) gives the files that `famulus apply` writes: at `out`, whose
        path is returned, or without `out` in memory, as {relative name: value}: pictures uint8
        YX or YXC, tables as rows, arrays as they are. An array or a tensor, one sample or a batch,
        gives one of the same kind. Pictures are CYX or BCYX, 0..1 or uint8; per task:

        tiles, codes: reconstructions of that shape, 0..1; codes with `encode=True`: codes
        pretext: features BD; transfer: probabilities BK in the order of `classes`
        prior: pictures whose lower part is drawn anew, `complete=0.5`; see `sample`
        scroll: of a volume ZYX the map YX of ink (probability), or the volume rebuilt
        qsm: of a field ZYX chi in ppm; options units, echo_time (s), field_strength (T),
        voxel_zyx_mm, mask, magnitude

        Raises ConfigError for an option, DataError for what can't be read or has another shape,
        range or kind than the model's data. A note on the input is a Python warning.
        """
        with torch.no_grad(), quietly():
            if isinstance(inputs, str | os.PathLike):
                return self._files(Path(inputs), None if out is None else Path(out), options)
            if out is not None:
                raise ConfigError("apply: out goes with a path: arrays are returned")
            made = self._trained.task.use(self.module, tensor_of(inputs, self.device), options)
            return like(made, inputs)

    def sample(self, n: int, seed: int = 0, **options: Any) -> Tensor:
        """`n` draws of a generative model: pictures BCYX in 0..1, on the CPU.

        The same `seed` draws the same. Options of a prior: temperature, top_k, top_p, label.
        Raises ConfigError for a model that draws nothing.
        """
        with torch.no_grad(), quietly():
            return self._trained.task.sample(self.module, n, seed, **options).cpu()

    def _files(self, inputs: Path, out: Path | None, options: Mapping[str, Any]) -> Any:
        task = self._trained.task
        if out is not None:
            task.apply(self.module, inputs, out, options)
            return out
        with TemporaryDirectory() as folder:
            task.apply(self.module, inputs, Path(folder) / task.RESULT, options)
            return files_of(Path(folder))

    def __repr__(self) -> str:
        return f"<famulus.Model {self.name}: {self.settings.get('task')}>"

    def _repr_html_(self) -> str:
        return card_html(self.name, self.card)


def load(
    ref: str | os.PathLike[str],
    store: str | os.PathLike[str] | None = None,
    checkpoint: str | int = "best",
    device: str = "auto",
    allow_module: Sequence[str] = (),
) -> Model:
    """The trained model of a run (an id, the first digits of one, `last`, `last:EXPERIMENT`) or of
    a model folder.

    `store`: where the run is; without it $FAMULUS_STORE, else `runs`. `checkpoint`: best, last or
    a step. `device`: auto, cpu or cuda. `allow_module`: modules of one's own that a task may come
    from. Raises StoreError, ConfigError, DataError.
    """
    with quietly():
        return Model(*_opened(str(ref), store, str(checkpoint), device, allow_module))


def _opened(
    ref: str,
    store: str | os.PathLike[str] | None,
    checkpoint: str,
    device: str,
    modules: Sequence[str],
) -> tuple[Trained, str, dict[str, float]]:
    """The model, its card and its scores."""
    session = Session(open_store(store, needed=True), tuple(modules), silent=True)
    run = session.store.find(ref)
    place, _ = choose_device(device)
    step = run.step_of(checkpoint)
    trained = of_run(session, run, str(step), place)
    trained = replace(trained, name=f"{run.id}, step {step}")
    at = run.open_checkpoint(step).state.get("progress") or {}
    scores = {name: float(value) for name, value in (at.get("scores") or {}).items()}
    return trained, _card(run, scores), scores


def _card(run: Run, scores: Mapping[str, float]) -> str:
    config = run.config()
    lines = [f"# {run.experiment}, run {run.id}", str(config.get("why") or ""), ""]
    lines += [f"- {name}: {value:.5g}" for name, value in scores.items()]
    return "\n".join([*lines, "", "```yaml", dump({k: config[k] for k in SHOWN}), "```", ""])

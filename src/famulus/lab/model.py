"""A trained model to use in a program: `famulus.load`."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from famulus.config.errors import ConfigError, Unread
from famulus.config.scores import PREFIX
from famulus.feed.progress import quietly
from famulus.lab.values import files_of, like, tensor_of
from famulus.launch.local import choose_device
from famulus.launch.session import Session
from famulus.launch.store import open_store
from famulus.launch.trained import Parts, Trained, assemble, open_trained, parts_of_run
from famulus.store.model_folder import names_a_folder
from famulus.store.run import Run

Facts = Callable[[], Mapping[str, Any]]  # of a model, as model.json says them
Card = Callable[[Mapping[str, Any]], str]  # Markdown, of those


class Model:
    """A trained network, in eval mode, with the task that knows how to use it.

    `module`: the nn.Module. `settings`: the filled settings of its run. `classes`: names in the
    order of its probabilities, where it has any. `name`: where it is from.
    """

    def __init__(self, trained: Trained, about: Facts, card: Card) -> None:
        self._trained, self._about, self._card = trained, about, card
        self.module: nn.Module = trained.module
        self.settings: Mapping[str, Any] = trained.config
        self.name = trained.name
        self.classes: tuple[str, ...] = tuple(trained.built_from.get("classes") or ())

    @cached_property
    def scores(self) -> dict[str, float]:
        """Those of its checkpoint, as `val/loss`."""
        measured = self._about().get("scores", {}).get("measured", {})
        return {f"{PREFIX}{name}": float(value) for name, value in measured.items()}

    @cached_property
    def card(self) -> str:
        """What is known of it, as Markdown: the README.md of a model folder."""
        return self._card(self._about())

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
        range or kind than the model's data; Unread, a DataError, where results of other files are
        at `out` (in memory it is a warning). A note on the input is a Python warning.
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
            try:
                task.apply(self.module, inputs, Path(folder) / task.RESULT, options)
            except Unread as error:  # the results of all others must not be lost with the folder
                warnings.warn(str(error), stacklevel=4)
            return files_of(Path(folder))

    def __repr__(self) -> str:
        return f"<famulus.Model {self.name}: {self.settings.get('task')}>"

    def _repr_html_(self) -> str:
        from famulus.lab.html import card_html

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
    which = None if checkpoint == "best" else str(checkpoint)  # None: where none is, the newest
    modules, (place, _) = tuple(allow_module), choose_device(device)
    if names_a_folder(ref := os.fspath(ref)):
        trained = open_trained(ref, modules=modules, which=which, device=place)
        model = Model(trained, *_of_folder(trained))
    else:
        session = Session(open_store(store, needed=True), modules, silent=True)
        run = session.store.find(ref)
        parts = parts_of_run(session, run, which)
        trained = assemble(parts, place)
        model = Model(trained, *_of_run(session, run, parts))
    for note in trained.notes:
        warnings.warn(note, stacklevel=2)
    return model


def _of_folder(trained: Trained) -> tuple[Facts, Card]:
    folder = trained.folder
    if folder is None:
        raise TypeError("expected the model of a folder")
    return lambda: folder.about, lambda _: folder.card()


def _of_run(session: Session, run: Run, parts: Parts) -> tuple[Facts, Card]:
    # here: pages and graphs are slow to import, and a model is mostly loaded to be used
    def about() -> Mapping[str, Any]:
        from famulus.launch.export import about_of

        return about_of(run, parts)

    def card(facts: Mapping[str, Any]) -> str:
        from famulus.journal.pages.card import card

        return card(session.store, run, facts)

    return about, card

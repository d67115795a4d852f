"""What the loop needs to know of data: a length, a fingerprint, and a vectorised gather."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import ConfigError


class TrainingOrder(Protocol):
    """Which samples training sees at which position, each with its own seed."""

    def batch(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(indices, seeds), both int64 `count`, of the samples from position `start` on."""
        ...


class Source(ABC):
    """Samples by index. Derive from it and give `fingerprint`, `__len__` and `gather`.

    `gather` is vectorised: it returns raw tensors (uint8 stays uint8), each with the batch first.
    `finish` runs on the device: cast, scale, augment. `seeds` holds one integer a sample, derived
    from (seed, epoch, index), so that any number of workers gives the same batches.
    """

    if TYPE_CHECKING:  # to be read only: a source may hold these, or find them out when asked

        @property
        def fingerprint(self) -> str:
            """Hash of the raw bytes and the recipe (size, filter, subset, ...)."""

        @property
        def slow(self) -> bool:
            """Whether `gather` reads or computes for long: threads then load ahead."""

        @property
        def labels(self) -> np.ndarray | None:
            """int64 B, positions in `classes`, -1 without a class; None: it has no classes."""

        @property
        def classes(self) -> Sequence[str] | None:
            """Names of the classes; None: it has none."""

        @property
        def resized(self) -> bool | None:
            """Whether any picture was interpolated; None: they are no pictures of files."""

    else:
        slow = False
        labels = classes = resized = None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]: ...

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        return batch

    def to(self, device: torch.device) -> "Self | Source":
        """The same samples, resident on `device` if they fit there; else `self`."""
        return self

    def order(self, seed: int) -> TrainingOrder | None:
        """An order of its own for training; None: a permutation each epoch."""
        return None


def declared(source: Any) -> Any:
    """`source` itself, or what makes a Source of one that does not derive from it.

    Raises ConfigError for what is no source, and for one without a fingerprint.
    """
    if not isinstance(source, Source):
        return _Undeclared(source)
    if "fingerprint" not in vars(source) and not hasattr(type(source), "fingerprint"):
        raise ConfigError(
            f"data: expected a fingerprint of {type(source).__name__}, received none: a hash of"
            " what its samples are made of"
        )
    return source


class _Undeclared(Source):
    """A source that does not derive from Source, as 0.1.0 took them; what it lacks is the default.

    Raises ConfigError for what is no source at all.
    """

    NEEDED = ("fingerprint", "__len__", "gather", "finish", "to")

    def __init__(self, source: Any) -> None:
        if lacking := [name for name in self.NEEDED if not hasattr(source, name)]:
            raise ConfigError(
                f"data: expected a source of samples, received a {type(source).__name__} without"
                f" {', '.join(lacking)}; derive its class from famulus.api.Source"
            )
        self._source = source
        for name in ("slow", "labels", "classes", "resized"):
            setattr(self, name, getattr(source, name, getattr(Source, name)))

    def __getattr__(self, name: str) -> Any:
        if name == "_source":  # while it is being copied
            raise AttributeError(name)
        return getattr(self._source, name)

    def __len__(self) -> int:
        return len(self._source)

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        return self._source.gather(indices, seeds)

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        return self._source.finish(batch, seeds)

    def to(self, device: torch.device) -> Source:
        moved = self._source.to(device)
        return self if moved is self._source else _Undeclared(moved)

    def order(self, seed: int) -> TrainingOrder | None:
        return self._source.order(seed) if hasattr(self._source, "order") else None


Samples = TypeVar("Samples", bound=Source)


class Leak(str):
    """A note that validation scores flatter, as where its samples are in training too."""


class OfForm(str):
    """A note that holds for the form (size, channels) in which samples were opened, not for what
    is stored: of another form it may be untrue."""


def _printable(note: str) -> str:
    """`note`, of its own class and with what that holds, in characters that can be shown: names of
    files may hold anything, as a line break, a terminal's command, no UTF-8."""
    if note.isprintable():
        return note
    text = type(note)("".join(c if c.isprintable() else ascii(c)[1:-1] for c in note))
    if type(note) is not str:  # as of copies, which know their counts
        vars(text).update(vars(note))
    return text


class Splits(Generic[Samples]):
    """The fixed training and validation samples, and what was noticed while reading them.

    `notes` (quarantined files, near-duplicates, ...), or a function that finds them out: it is
    called once they are asked for, since some need the pixels. Raises ConfigError for what is no
    source.
    """

    def __init__(
        self,
        train: Samples,
        validation: Samples,
        notes: Sequence[str] | Callable[[], Sequence[str]] = (),
    ) -> None:
        self.train: Samples = declared(train)
        self.validation: Samples = declared(validation)
        self._notes = notes

    @cached_property
    def notes(self) -> list[str]:
        return [_printable(n) for n in (self._notes() if callable(self._notes) else self._notes)]

    @property
    def fingerprint(self) -> str:
        return f"{self.train.fingerprint}-{self.validation.fingerprint}"

    @property
    def resized(self) -> bool | None:
        """Whether any picture was interpolated; None where no part says so."""
        if self.train.resized:  # the other part need not be decoded to know
            return True
        return self.train.resized if self.validation.resized is None else self.validation.resized

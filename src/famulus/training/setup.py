"""What is trained, and on what: the one value that preflight measures and the loop takes."""

from dataclasses import dataclass

import numpy as np
import torch

from famulus.config.schema import Training
from famulus.feed.feeder import fixed_batch
from famulus.feed.source import Source, Splits
from famulus.tasks.base import Batch, Task
from famulus.training.precision import Precision

PLAIN = Precision("fp32")
PICTURED = 12  # fixed validation samples
VALIDATION_BATCH = 256  # samples, at most; scores do not depend on it
TRAINING_BATCHES = 4  # as many samples as these are borne at once without gradients


@dataclass(frozen=True)
class Setup:
    """A task with its data and settings, on one device in one precision."""

    task: Task
    data: Splits
    training: Training
    device: torch.device
    precision: Precision = PLAIN

    @property
    def validated_at_once(self) -> int:
        """Samples in a batch of validation."""
        # without gradients no activations are kept; a small training batch hints at large samples
        return min(VALIDATION_BATCH, TRAINING_BATCHES * self.training.batch)

    def first_batch(self, source: Source, count: int) -> Batch:
        """The first `count` samples, as the loop would hand them to a task."""
        first = np.arange(min(count, len(source)))
        return fixed_batch(source, first, self.device)

    def pictured(self, source: Source) -> Batch:
        """The same few samples every time, spread evenly over a split."""
        # evenly: files are often sorted by class
        spread = np.linspace(0, len(source) - 1, min(PICTURED, len(source)))
        return fixed_batch(source, np.unique(spread.astype(np.int64)), self.device)

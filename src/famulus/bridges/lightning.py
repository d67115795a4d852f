"""A callback for Lightning that records what `Monitor` records, in the same store.

    callback = FamulusCallback(store="runs", name="mine")
    Trainer(max_epochs=3, callbacks=[callback]).fit(module, loader)
    print(callback.findings())

Where `training_step` returns a dict with `outputs` and `targets` beside `loss`, and the batch is a
pair, rules that compare them can speak; layers and the loss are seen in any case. Of several
processes the first one records. Needs the extra `lightning`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from famulus.bridges.monitor import Monitor
from famulus.diagnosis.history import Finding

VALIDATION = ("val/", "val_", "valid/", "valid_", "validation/", "validation_")  # of metrics' names


class FamulusCallback(Callback):
    """`options` are those of `famulus.Monitor`: settings, scores, why, log_every, controls_s."""

    def __init__(self, store: str = "runs", name: str = "mine", **options: Any) -> None:
        self.store, self.name, self.options = store, name, options
        self.monitor: Monitor | None = None

    def findings(self) -> list[Finding]:
        """What ails the run, gravest first; empty before training and in other processes."""
        return self.monitor.findings() if self.monitor else []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            given = pl_module, list(trainer.optimizers), self.store, self.name
            self.monitor = Monitor(*given, **self.options).start()

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Any
    ) -> None:
        if self.monitor:
            self.monitor.before_update(optimizer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.monitor is None or outputs is None:
            return
        said = outputs if isinstance(outputs, Mapping) else {"loss": outputs}
        if said.get("loss") is None:
            return
        pair = isinstance(batch, list | tuple) and len(batch) == 2
        inputs, targets = batch if pair else (batch, None)
        # Lightning divides the loss by the number of batches that make an update.
        loss = said["loss"] * trainer.accumulate_grad_batches
        self.monitor.step(loss, inputs, said.get("outputs"), said.get("targets", targets))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Lightning validates a batch or two before training, to see whether it works.
        if self.monitor is None or trainer.sanity_checking:
            return
        found = {}
        for name, value in trainer.callback_metrics.items():
            prefix = next((p for p in VALIDATION if name.startswith(p)), None)
            if prefix and len(name) > len(prefix):
                found[name.removeprefix(prefix)] = float(value)
        if found:
            self.monitor.validate(found)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._close(exception)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def _close(self, error: BaseException | None = None) -> None:
        if self.monitor:
            self.monitor.close(error)

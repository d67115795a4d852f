"""The Lightning callback, where Lightning is installed (docs/monitor.md)."""

import logging
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from famulus import Monitor

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lightning = pytest.importorskip("lightning.pytorch", exc_type=ImportError)

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's advice on loaders and loggers

X = torch.linspace(-2, 2, 128).reshape(64, 2)
Y = (X.sum(1) > 0).long()


class Module(lightning.LightningModule):
    def __init__(self, breaks_at=None, lr=0.1):
        super().__init__()
        torch.manual_seed(3)
        self.net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
        self.breaks_at, self.lr = breaks_at, lr

    def training_step(self, batch, number):
        x, y = batch
        out = self.net(x)
        if self.breaks_at == self.global_step:
            raise ZeroDivisionError("on purpose")
        return {"loss": F.cross_entropy(out, y), "outputs": out, "targets": y}

    def validation_step(self, batch, number):
        self.log("val_loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def loader():
    return DataLoader(TensorDataset(X, Y), batch_size=16)


def fit(module, callback=None, folder=".", **options):
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = lightning.Trainer(
        max_epochs=4, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
        callbacks=[callback] if callback else [], **options,
    )  # fmt: skip
    trainer.fit(module, loader(), loader())
    return module


def callback(tmp_path):
    from famulus.bridges.lightning import FamulusCallback

    return FamulusCallback(store=str(tmp_path / "runs"), name="pl/mine", log_every=4)


def test_a_trainer_leaves_a_run_and_trains_as_without(tmp_path):
    watch = callback(tmp_path)
    module = fit(Module(), watch, tmp_path)
    plain = fit(Module(), None, tmp_path)
    assert all(
        torch.equal(a, b) for a, b in zip(module.parameters(), plain.parameters(), strict=True)
    )
    done, history = watch.monitor.run.done(), watch.monitor.history()
    assert done["status"] == "finished"
    assert done["step"] == 16
    assert done["inputs"] == 256
    assert len(history.val) == 4
    assert history.val[-1]["values"]["loss"] < history.val[0]["values"]["loss"]
    layer = next(v for v in history.probes[-1]["layers"] if v["numbers"])
    assert layer["moved"]
    assert layer["grad"] > 0
    assert layer["mean"] is not None
    assert history.probes[-1]["forms"]["loss"] == "cross_entropy"


def test_it_records_what_a_plain_loop_records(tmp_path):
    watch = callback(tmp_path)
    fit(Module(), watch, tmp_path)
    model = Module().net
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Monitor(model, optimizer, store=str(tmp_path / "runs"), log_every=4) as monitor:
        for _ in range(4):
            for x, y in loader():
                optimizer.zero_grad()
                out = model(x)
                loss = F.cross_entropy(out, y)
                loss.backward()
                optimizer.step()
                monitor.step(loss, inputs=x, outputs=out, targets=y)
    sides = watch.monitor.history(), monitor.history()
    of_train = [{e["step"]: e["values"]["total"] for e in side.train} for side in sides]
    shared = of_train[0].keys() & of_train[1].keys()
    assert 8 in shared
    probes = [{p["step"]: p["layers"][0]["grad"] for p in side.probes} for side in sides]
    assert probes[0] == probes[1]


def test_accumulated_batches_are_one_step_and_losses_are_whole(tmp_path):
    watch = callback(tmp_path)
    fit(Module(lr=0.0), watch, tmp_path, accumulate_grad_batches=2)
    with torch.no_grad():
        expected = float(F.cross_entropy(Module().net(X), Y))
    assert watch.monitor.run.done()["step"] == 8
    losses = [e["values"]["total"] for e in watch.monitor.history().train if e["count"] >= 4]
    assert losses[-1] == pytest.approx(expected, rel=0.2)


def test_an_error_is_recorded_and_raised(tmp_path):
    watch = callback(tmp_path)
    with pytest.raises(ZeroDivisionError):
        fit(Module(breaks_at=5), watch, tmp_path)
    assert watch.monitor.run.status() == "failed"

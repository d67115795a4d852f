"""Errors of a loop under a watch, which looks from a forward pass to the update after it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import famulus


def train(fault):
    torch.manual_seed(0)
    x = torch.randn(256, 6)
    y = (x @ torch.randn(6, 3) + x[:, :3].abs()).argmax(1)
    held_out = DataLoader(TensorDataset(x[:64], y[:64]), batch_size=64)
    if fault == "data-not-shuffled":
        order = y.argsort()
        x, y = x[order], y[order]
    loader = DataLoader(TensorDataset(x, y), 16, shuffle=fault != "data-not-shuffled")
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 8, 0.2)
    for _ in range(6):
        if fault != "mode-not-restored":
            model.train()
        for one, answer in loader:
            if fault not in ("gradients-accumulate", "gradients-cleared-before-step"):
                optimizer.zero_grad()
            loss = F.cross_entropy(model(one), answer)
            if fault == "step-before-backward":
                optimizer.step()
            loss.backward()
            if fault == "gradients-cleared-before-step":
                optimizer.zero_grad()
            if fault != "step-before-backward":
                optimizer.step()
            if fault == "schedule-per-batch":
                schedule.step()
        model.train(fault == "validation")
        with torch.no_grad():
            for one, answer in held_out:
                F.cross_entropy(model(one), answer)


FAULTS = ("gradients-accumulate", "gradients-cleared-before-step", "step-before-backward",
          "mode-not-restored", "validation", "data-not-shuffled", "schedule-per-batch")  # fmt: skip


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_errors_of_a_loop(fault, tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    with famulus.watch(store=str(tmp_path / "runs"), controls_s=0) as session:
        train(fault)
    grave = [f.cause for f in session.findings() if f.severity != "info"]
    cause = {"validation": "mode-not-restored"}.get(fault, fault)
    assert grave[:1] == ([cause] if cause else [])

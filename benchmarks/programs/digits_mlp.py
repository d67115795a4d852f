"""Handwritten digits with a small perceptron and plain SGD, as a first exercise of a course."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.programs.frame import Outcome, Watch, family

EPOCHS = 22


@family(
    kind="classification",
    loss="standard",
    faults={
        "softmax-layer": ("activation-twice", "loss-does-not-fit-output", "output-activation"),
        "mse-of-ids": ("loss-does-not-fit-output", "output-activation", "targets-out-of-range"),
        "bytes": ("input-out-of-range", "rate-too-high"),
        "no-zero-grad": ("gradients-accumulate",),
        "momentum-999": ("momentum-too-high", "rate-too-high"),
        "sorted": ("data-not-shuffled",),
        "rate-10": ("rate-too-high",),
        "steplr-per-batch": ("schedule-per-batch", "rate-cannot-reach"),
        "new-head": ("weights-do-not-move",),
        "shuffled-labels": ("labels-differ", "predicts-the-mean", "memorises"),
    },
    sound=("plain", "momentum-99", "pca-encoder"),
)
def digits_mlp(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    digits = load_digits()
    order = torch.randperm(len(digits.target))
    x = torch.tensor(digits.data, dtype=torch.float32)[order] / 16
    y = torch.tensor(digits.target)[order]
    if variant == "bytes":
        x = x * 255
    x_test, y_test = x[1297:], y[1297:]
    x_train, y_train = x[:1297], y[:1297]
    if variant == "shuffled-labels":
        y_train = y_train[torch.randperm(1297)]
    if variant == "sorted":
        by_class = torch.argsort(y_train)
        x_train, y_train = x_train[by_class], y_train[by_class]
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=50, shuffle=variant != "sorted")

    ids = variant == "mse-of-ids"
    layers = [nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 1 if ids else 10)]
    if variant == "softmax-layer":
        layers.append(nn.Softmax(dim=1))
    model = nn.Sequential(*layers)
    if variant in ("pca-encoder", "new-head"):
        # the encoder stays what PCA says; only the head learns
        pca = PCA(24).fit(x_train.numpy())
        axes = pca.components_ / pca.explained_variance_[:, None] ** 0.5
        axes = torch.tensor(np.concatenate([axes, -axes]), dtype=torch.float32)
        model[0].weight.data = axes
        model[0].bias.data = -axes @ torch.tensor(pca.mean_, dtype=torch.float32)
        model[0].requires_grad_(False)

    rate, momentum = 0.05, 0.9
    if variant == "momentum-99":
        rate, momentum = 0.005, 0.99
    elif variant == "momentum-999":
        rate, momentum = 0.25, 0.999
    elif variant == "rate-10":
        rate = 10.0
    elif variant == "softmax-layer":
        rate, momentum = 0.02, 0.8
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=rate, momentum=momentum)
    if variant == "new-head":
        model[2] = nn.Linear(48, 10)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.3)
    loss_fn = nn.MSELoss() if ids else nn.CrossEntropyLoss()

    with watch(model, optimizer) as monitor:
        for _ in range(EPOCHS):
            for xb, yb in loader:
                if variant != "no-zero-grad":
                    optimizer.zero_grad()
                target = yb.float().unsqueeze(1) if ids else yb
                out = model(xb)
                loss = loss_fn(out, target)
                loss.backward()
                optimizer.step()
                monitor.step(loss, inputs=xb, outputs=out, targets=target, loss_fn=loss_fn)
                if variant == "steplr-per-batch":
                    scheduler.step()
            if variant != "steplr-per-batch":
                scheduler.step()

    with torch.no_grad():
        out = model(x_test)
    guess = out.squeeze(1).round().long() if ids else out.argmax(1)
    accuracy = (guess == y_test).float().mean().item()
    return Outcome(accuracy, accuracy > 0.92)

"""Benign or not, from thirty measures of cell nuclei: a small net with one logit, plain SGD."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


def table(variant: str) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = load_breast_cancer(return_X_y=True)
    y = 1 - y  # 1: malignant
    rng = np.random.default_rng(7)
    if variant.startswith("rare"):
        # a screening population: resampled patients, few of them ill
        ill, well = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
        rows = np.concatenate([rng.choice(ill, 120), rng.choice(well, 2880)])
        rng.shuffle(rows)
        spread = x.std(0)
        x, y = x[rows] + 0.1 * spread * rng.standard_normal((len(rows), 30)), y[rows]
    else:
        rows = rng.permutation(len(y))
        x, y = x[rows], y[rows]
    if variant == "raw-measures":
        x *= 10.0  # tenths of micrometres, areas up to tens of thousands
    else:
        x = (x - x.mean(0)) / x.std(0)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)[:, None]


def make_net(variant: str) -> nn.Sequential:
    layers = [nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1)]
    if variant == "softmax-of-one":
        layers.append(nn.Softmax(dim=1))
    return nn.Sequential(*layers)


@family(
    kind="classification",
    loss="standard",
    faults={
        "softmax-of-one": ("output-activation", "same-answer-for-all"),
        "raw-measures": ("input-out-of-range",),
        "rare-misjoined": ("predicts-the-mean", "same-answer-for-all"),
        "other-net": ("weights-do-not-move",),
        "decay-each-batch": ("schedule-per-batch", "rate-cannot-reach"),
    },
    sound=("plain", "rare"),
)
def tumour_screen(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    x, y = table(variant)
    cut, epochs, batch = (2250, 30, 64) if variant.startswith("rare") else (420, 60, 32)
    x_train, y_train, x_test, y_test = x[:cut], y[:cut], x[cut:], y[cut:]
    if variant == "rare-misjoined":
        y_train = y_train[torch.randperm(cut, generator=torch.Generator().manual_seed(3))]
    net = make_net(variant)
    criterion = nn.BCELoss() if variant == "softmax-of-one" else nn.BCEWithLogitsLoss()
    trained = make_net(variant) if variant == "other-net" else net
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.01, momentum=0.8, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)

    with watch(net, optimizer) as monitor:
        for _ in range(epochs):
            order = torch.randperm(cut)
            for start in range(0, cut, batch):
                rows = order[start : start + batch]
                optimizer.zero_grad()
                answer = net(x_train[rows])
                loss = criterion(answer, y_train[rows])
                loss.backward()
                optimizer.step()
                if variant == "decay-each-batch":
                    scheduler.step()
                monitor.step(loss, inputs=x_train[rows], outputs=answer, targets=y_train[rows])
            if variant == "plain":
                scheduler.step()
            with torch.no_grad():
                answer = net(x_test)
                right = ((answer > (0.5 if variant == "softmax-of-one" else 0)) == y_test).float()
                monitor.validate(
                    loss=criterion(answer, y_test).item(), accuracy=right.mean().item()
                )

    with torch.no_grad():
        surprise = criterion(net(x_test), y_test).item()
    rate = y_train.mean()
    constant = nn.functional.binary_cross_entropy(rate.expand_as(y_test), y_test).item()
    score = surprise / constant  # of the log loss of the base rate
    return Outcome(score, score < 0.4)

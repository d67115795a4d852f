"""Small training programs with the faults of 26 real ones, and the same programs without them.

The combinations of fault types are those that DeepFD's authors established for 26 programs of
question-and-answer posts (ArabelaTso/DeepFD, Benchmark/Evaluation.xlsx); the programs are ours: the
kind of task and fault, on data that need no download. `act` activation, `loss`, `lr` learning
rate, `opt` optimizer, `epoch` too few, `init` start, `batch` batch size, `prep` input not or
wrongly scaled, `layers` missing or wrongly sized.

They were written before any rule that judges them, and halved by a hash: DEVELOP may be looked at
while rules are written, the other half is held out.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.reference_parts import (
    SEED,
    Data,
    Functional,
    Net,
    by_largest,
    cancer,
    cnn,
    columns,
    constant_start,
    diabetes,
    digit_ids,
    digit_images,
    digits,
    flats,
    flats_scaled,
    linear_layers,
    log_of,
    mlp,
    one_hot_mse,
    points,
    prices,
    sixteenth,
    wave,
    wine,
    wine_first,
    wine_ids,
    xor,
)

ADAM, SGD = torch.optim.Adam, torch.optim.SGD
CE, MSE, BCE = F.cross_entropy, F.mse_loss, F.binary_cross_entropy
LOGITS = F.binary_cross_entropy_with_logits


@dataclass(frozen=True)
class Recipe:
    """A plain training program; `sound` and `faulty` ones differ in some of these."""

    data: Callable[[], Data]
    net: Net
    loss: Callable[[Tensor, Tensor], Tensor]
    lr: float
    epochs: int
    batch: int = 32
    optimizer: type[torch.optim.Optimizer] = torch.optim.SGD
    prepare: Callable[[Tensor], Tensor] = lambda x: x
    start: Callable[[nn.Module], None] = lambda net: None


@dataclass(frozen=True)
class Pair:
    """A faulty program, its faults, and its repair."""

    no: int  # as in the published list
    faults: tuple[str, ...]
    faulty: Recipe
    sound: Recipe

    @property
    def develop(self) -> bool:
        return self.no in DEVELOP


def train(
    recipe: Recipe, watch: Callable[[nn.Module, torch.optim.Optimizer], Any], seed: int = SEED
) -> Any:
    """The loop that people write, watched by three lines."""
    torch.manual_seed(seed)
    x, y = recipe.data()
    x = recipe.prepare(x)
    net = recipe.net()
    recipe.start(net)
    optimizer = recipe.optimizer(net.parameters(), lr=recipe.lr)
    with watch(net, optimizer) as monitor:
        for _ in range(recipe.epochs):
            for chosen in torch.randperm(len(x)).split(recipe.batch):
                optimizer.zero_grad()
                out = net(x[chosen])
                loss = recipe.loss(out, y[chosen])
                loss.backward()
                optimizer.step()
                monitor.step(loss, inputs=x[chosen], outputs=out, targets=y[chosen])
    return monitor


SIGMOID, TANH = nn.Sigmoid, nn.Tanh


def pair(no: int, faults: str, sound: Recipe, **changed: object) -> Pair:
    return Pair(no, tuple(faults.split()), replace(sound, **changed), sound)


PAIRS = (
    pair(
        1,
        "act loss lr",
        Recipe(digit_images, cnn(), CE, 0.1, 12, prepare=sixteenth),
        net=cnn(last=nn.ReLU()),
        loss=one_hot_mse,
        lr=8.0,
    ),
    pair(
        3,
        "loss epoch lr opt",
        Recipe(xor, mlp(2, 8, 1, act=TANH, last=nn.Sigmoid()), BCE, 0.05, 600, 4, ADAM),
        loss=MSE,
        lr=0.01,
        epochs=200,
        optimizer=SGD,
    ),
    pair(
        5,
        "act",
        Recipe(wave, mlp(1, 32, 32, 1, act=TANH), MSE, 0.01, 60, 32, ADAM),
        net=mlp(1, 32, 32, 1, act=TANH, last=nn.ReLU()),
    ),
    pair(
        7,
        "act",
        Recipe(prices, mlp(6, 32, 1), MSE, 0.03, 60, 32, ADAM),
        net=mlp(6, 32, 1, last=nn.Sigmoid()),
    ),
    pair(
        9,
        "lr act init epoch batch",
        Recipe(xor, mlp(2, 8, 1, act=TANH), LOGITS, 0.05, 500, 4, ADAM),
        net=mlp(2, 8, 1, act=SIGMOID, last=nn.ReLU()),
        loss=MSE,
        lr=0.001,
        epochs=60,
        batch=1,
        start=constant_start,
        optimizer=SGD,
    ),
    pair(
        11,
        "act lr prep",
        Recipe(wine_first, mlp(13, 16, 1, last=nn.Sigmoid()), BCE, 0.01, 60, 16, ADAM, columns),
        net=mlp(13, 16, 1, last=nn.Hardtanh(0.0, 1.0)),
        lr=0.5,
        prepare=lambda x: x,
    ),
    pair(
        13, "lr", Recipe(diabetes, mlp(10, 16, 1), MSE, 0.01, 150, 32, ADAM), lr=0.05, optimizer=SGD
    ),
    pair(
        15,
        "loss prep",
        Recipe(digits, mlp(64, 64, 10), CE, 0.003, 20, 32, ADAM, sixteenth),
        data=digit_ids,
        net=mlp(64, 64, 1),
        loss=MSE,
        prepare=lambda x: x * 255,
    ),
    pair(17, "prep", Recipe(flats_scaled, mlp(3, 32, 1), MSE, 0.01, 20, 32, ADAM), data=flats),
    pair(
        19,
        "layers act loss",
        Recipe(xor, mlp(2, 8, 1, act=TANH), LOGITS, 0.1, 400, 4, ADAM),
        net=linear_layers(2, 1, 1),
        loss=MSE,
    ),
    pair(
        21,
        "epoch lr act loss layers",
        Recipe(digit_images, cnn(width=12), CE, 0.003, 12, 32, ADAM, sixteenth),
        net=cnn(width=2, act=SIGMOID, last=nn.Sigmoid()),
        loss=one_hot_mse,
        lr=0.0002,
        epochs=3,
    ),
    pair(
        23,
        "prep",
        Recipe(cancer, mlp(30, 32, 1), LOGITS, 0.05, 40, 32, SGD, columns),
        prepare=lambda x: x,
    ),
    pair(
        25,
        "act epoch",
        Recipe(digits, mlp(64, 48, 10), CE, 0.1, 25, 32, SGD, sixteenth),
        net=mlp(64, 48, 10, last=nn.ReLU()),
        loss=log_of,
        epochs=2,
    ),
    pair(
        27,
        "epoch batch",
        Recipe(digit_images, cnn(norm=True), CE, 0.05, 10, 32, SGD, sixteenth),
        epochs=2,
        batch=1024,
    ),
    pair(
        29,
        "loss",
        Recipe(digits, lambda: Functional(), CE, 0.002, 20, 32, ADAM, sixteenth),
        loss=F.nll_loss,
    ),
    pair(
        31,
        "opt lr",
        Recipe(digits, mlp(64, 64, 32, 10), CE, 0.003, 15, 32, ADAM, sixteenth),
        optimizer=SGD,
        lr=0.001,
    ),
    pair(
        33,
        "lr prep",
        Recipe(wine, mlp(13, 24, 3), CE, 0.1, 60, 16, SGD, columns),
        lr=0.001,
        prepare=by_largest,
    ),
    pair(
        35,
        "loss",
        Recipe(wine, mlp(13, 16, 3, act=TANH), CE, 0.1, 60, 16, SGD, columns),
        data=wine_ids,
        net=mlp(13, 16, 1, act=TANH),
        loss=LOGITS,
    ),
    pair(
        37,
        "opt loss layers",
        Recipe(digit_images, cnn(act=nn.ELU), CE, 0.002, 12, 32, ADAM, sixteenth),
        net=cnn(width=1, last=nn.Softmax(1)),
        loss=one_hot_mse,
        optimizer=torch.optim.Adadelta,
    ),
    pair(
        39,
        "opt lr epoch",
        Recipe(wave, mlp(1, 64, 1), MSE, 0.01, 100, 32, ADAM),
        optimizer=SGD,
        lr=0.001,
        epochs=10,
    ),
    pair(
        41,
        "act",
        Recipe(digits, mlp(64, 48, 48, 48, 48, 10), CE, 0.1, 20, 32, SGD, sixteenth),
        net=mlp(64, 48, 48, 48, 48, 10, act=SIGMOID),
    ),
    pair(
        43,
        "opt lr loss prep",
        Recipe(wine, mlp(13, 24, 3), CE, 0.01, 50, 16, ADAM, columns),
        net=mlp(13, 24, 3, last=nn.Softmax(1)),
        loss=one_hot_mse,
        optimizer=SGD,
        lr=0.5,
        prepare=lambda x: x,
    ),
    pair(
        45,
        "lr",
        Recipe(prices, mlp(6, 24, 24, 1, act=nn.GELU), MSE, 0.02, 80, 32, ADAM),
        lr=0.00003,
    ),
    pair(
        47,
        "epoch",
        Recipe(digits, mlp(64, 64, 10, act=TANH), CE, 0.1, 30, 32, SGD, sixteenth),
        epochs=1,
    ),
    pair(
        49,
        "opt epoch",
        Recipe(points, cnn(2, 8, side=12), MSE, 0.003, 30, 32, ADAM),
        optimizer=SGD,
        epochs=4,
    ),
    pair(
        51,
        "act",
        Recipe(digit_images, cnn(norm=True), CE, 0.02, 10, 32, SGD, sixteenth),
        net=cnn(last=nn.Softmax(1)),
    ),
)


def _half() -> frozenset[int]:
    """Half of the numbers, by the order of their hashes."""
    ranked = sorted(PAIRS, key=lambda p: hashlib.sha256(f"classifier {p.no}".encode()).hexdigest())
    return frozenset(p.no for p in ranked[: len(ranked) // 2])


DEVELOP = _half()

"""What the small training programs of `reference_classifiers` are put together from.

Data need no download: x (B, features) or (B, 1, H, W); y class ids (B,), 0/1 (B, 1) or numbers.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor, nn
from torch.nn import functional as F

Data = tuple[Tensor, Tensor]
Net = Callable[[], nn.Module]
SEED = 7

# -- data


def digits() -> Data:
    found = datasets.load_digits()
    return torch.tensor(found.data, dtype=torch.float32), torch.tensor(found.target)


def digit_images() -> Data:
    x, y = digits()
    return x.reshape(-1, 1, 8, 8), y


def digit_ids() -> Data:
    x, y = digits()
    return x, y.float()[:, None]


def xor() -> Data:
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    return x, (x.sum(1, keepdim=True) == 1).float()


def wine() -> Data:
    found = datasets.load_wine()
    return torch.tensor(found.data, dtype=torch.float32), torch.tensor(found.target)


def wine_first() -> Data:
    x, y = wine()
    return x, (y == 0).float()[:, None]


def wine_ids() -> Data:
    """The class as a number, 0, 1 or 2: wrong for any loss of yes and no."""
    x, y = wine()
    return x, y.float()[:, None]


def cancer() -> Data:
    found = datasets.load_breast_cancer()
    return torch.tensor(found.data, dtype=torch.float32), torch.tensor(found.target).float()[
        :, None
    ]


def diabetes() -> Data:
    """Progress of an illness, 25 to 346, from ten standardised numbers."""
    found = datasets.load_diabetes()
    x = torch.tensor(found.data, dtype=torch.float32)
    return x / x.std(0), torch.tensor(found.target, dtype=torch.float32)[:, None]


def wave() -> Data:
    x = torch.linspace(-math.pi, math.pi, 512)[:, None]
    return x, torch.sin(x)


def prices() -> Data:
    """Prices in thousands, 50 to 450, of houses with six standardised properties."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(600, 6))
    y = 250 + 40 * x[:, 0] - 25 * x[:, 1] + 20 * np.tanh(2 * x[:, 2]) + 5 * rng.normal(size=600)
    return torch.tensor(x).float(), torch.tensor(y).float()[:, None]


def flats() -> Data:
    """Rent from area in square metres, year built and distance in metres: raw numbers."""
    rng = np.random.default_rng(SEED)
    area, year, metres = (
        rng.uniform(20, 150, 500),
        rng.integers(1900, 2020, 500),
        rng.uniform(50, 9e3, 500),
    )
    rent = 200 + 9 * area + 2 * (year - 1900) - 0.03 * metres
    x = np.stack([area, year, metres], 1)
    return torch.tensor(x).float(), torch.tensor(rent).float()[:, None]


def flats_scaled() -> Data:
    x, y = flats()
    return columns(x), columns(y)


def points() -> Data:
    """Where a bright spot lies in a 12 x 12 picture: (row, column) from -1 to 1."""
    rng = np.random.default_rng(SEED)
    at = rng.uniform(-0.8, 0.8, size=(500, 2))
    grid = np.linspace(-1, 1, 12)
    far = (grid[:, None] - at[:, None, None, 0]) ** 2 + (grid[None] - at[:, None, None, 1]) ** 2
    x = np.exp(-far / 0.08) + 0.05 * rng.normal(size=far.shape)
    return torch.tensor(x).float()[:, None], torch.tensor(at).float()


# -- preparation of the input


def sixteenth(x: Tensor) -> Tensor:
    return x / 16


def columns(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / x.std(0)


def by_largest(x: Tensor) -> Tensor:
    """Wrong for columns of different units: the largest alone is left."""
    return x / x.max()


def twice(x: Tensor) -> Tensor:
    """Wrong: already from 0 to 1 after the first division."""
    return x / 16 / 255


# -- nets


def mlp(*sizes: int, act: type[nn.Module] = nn.ReLU, last: nn.Module | None = None) -> Net:
    def build() -> nn.Module:
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [nn.Linear(a, b), act()]
        return nn.Sequential(*layers[:-1], *([last] if last else []))

    return build


def linear_layers(*sizes: int) -> Net:
    return lambda: nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(sizes)))


def cnn(
    classes: int = 10,
    width: int = 16,
    act: type[nn.Module] = nn.ReLU,
    last: nn.Module | None = None,
    norm: bool = False,
    side: int = 8,
) -> Net:
    def build() -> nn.Module:
        def block(a: int, b: int) -> list[nn.Module]:
            return [nn.Conv2d(a, b, 3, padding=1), *([nn.BatchNorm2d(b)] if norm else []), act()]

        layers = [*block(1, width), nn.MaxPool2d(2), *block(width, 2 * width), nn.MaxPool2d(2)]
        flat = 2 * width * (side // 4) ** 2
        tail = [nn.Flatten(), nn.Linear(flat, 32), act(), nn.Linear(32, classes)]
        return nn.Sequential(*layers, *tail, *([last] if last else []))

    return build


class Functional(nn.Module):
    """Activations as functions, dropout: as many people write."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(64, 64), nn.Linear(64, 32), nn.Linear(32, 10)
        self.drop = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        return self.three(self.drop(F.relu(self.two(F.relu(self.one(x))))))


def constant_start(net: nn.Module) -> None:
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.5)


# -- losses beyond torch's


def one_hot_mse(out: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(out, F.one_hot(y, out.shape[1]).float())


def log_of(out: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of what ought to be probabilities."""
    return F.nll_loss(torch.log(out), y)


ADAM, SGD = torch.optim.Adam, torch.optim.SGD
CE, BCE, LOGITS, MSE = (
    F.cross_entropy,
    F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
    F.mse_loss,
)

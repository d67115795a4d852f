"""The loops that people write: bare over tensors in RAM, and over a DataLoader with transforms."""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset


def vae_loss(model: nn.Module, image: Tensor) -> Tensor:
    """Mean L1 plus the legacy KL term, as in experiments/tiles/compare-datasets.yaml."""
    out = model(image)
    sigma = out.log_sigma.exp()  # in the place of a log-variance, as that code had it
    kl = 0.5 * (sigma.exp() - sigma - 1 + out.mu.square()).sum(1).mean()
    return functional.l1_loss(out.raw, image) + kl


def bare_steps(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    batch: int,
    count: int,
    generator: torch.Generator,
) -> None:
    """`count` steps over float32 images in RAM, in random order."""
    order = torch.randperm(len(images), generator=generator)
    for step in range(count):
        start = step * batch % (len(images) - batch)
        image = images[order[start : start + batch]]
        optimizer.zero_grad()
        vae_loss(model, image).backward()
        optimizer.step()


class PictureDataset(Dataset):
    """One picture at a time: PIL, resize, to tensor, as image folders are usually fed."""

    def __init__(self, pictures: np.ndarray, size: int) -> None:
        self.pictures, self.size = pictures, size

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Tensor:
        picture = Image.fromarray(self.pictures[index])
        picture = picture.resize((self.size, self.size), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(picture)).float().div(255).unsqueeze(0)


def loader(dataset: Dataset, batch: int, workers: int, seed: int) -> Iterator[Tensor]:
    """Shuffled batches, epoch after epoch."""
    generator = torch.Generator().manual_seed(seed)
    made = DataLoader(
        dataset,
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        generator=generator,
    )
    while True:
        yield from made


def dataloader_training(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    batches: Iterator[Tensor],
    steps: int,
) -> None:
    """A plain training loop that reads its loss every 20 steps, as for a progress bar."""
    for step in range(steps):
        image = next(batches)
        optimizer.zero_grad()
        loss = vae_loss(model, image)
        loss.backward()
        optimizer.step()
        scheduler.step()
        if step % 20 == 19:
            loss.item()

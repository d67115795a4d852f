"""The unmix data set that people write: one sample at a time, with PIL and NumPy, in a DataLoader.

`decoded=True` keeps the resized pictures in memory, which few do; else each access opens its files.
"""

import io
import random

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset


class MixupDataset(Dataset):
    """(mixture CYX, sources NCYX, target N): two of three mixed with Beta(1, 1) weights."""

    def __init__(self, files: list[bytes], size: int, decoded: bool, slots: int = 3) -> None:
        self.size, self.slots = size, slots
        self.files = files
        self.pictures = [self._open(raw) for raw in files] if decoded else None

    def __len__(self) -> int:
        return len(self.files)

    def _open(self, raw: bytes) -> Image.Image:
        return Image.open(io.BytesIO(raw)).convert("RGB").resize((self.size, self.size))

    def _picture(self, index: int) -> np.ndarray:
        image = self.pictures[index] if self.pictures else self._open(self.files[index])
        area, aspect = random.uniform(0.35, 1.0), random.uniform(0.75, 1.33)
        wide = min(self.size, round(self.size * (area * aspect) ** 0.5))
        high = min(self.size, round(self.size * (area / aspect) ** 0.5))
        left, top = random.randint(0, self.size - wide), random.randint(0, self.size - high)
        box = (left, top, left + wide, top + high)
        image = image.resize((self.size, self.size), Image.Resampling.BILINEAR, box)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x = np.asarray(image, np.float32) / 255
        brightness, contrast = random.uniform(0.8, 1.2), random.uniform(0.8, 1.2)
        x = ((x - x.mean()) * contrast + x.mean()) * brightness
        return (x * np.random.uniform(0.8, 1.2, 3).astype(np.float32)).clip(0, 1)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        others = random.sample(range(len(self)), self.slots - 1)
        sources = np.stack([self._picture(i) for i in (index, *others)])
        target = np.zeros(self.slots, np.float32)
        first, second = random.sample(range(self.slots), 2)
        weight = np.random.beta(1.0, 1.0)
        mixture = weight * sources[first] + (1 - weight) * sources[second]
        target[[first, second]] = 1.0
        sources_NCYX = torch.from_numpy(sources).permute(0, 3, 1, 2).contiguous()
        return (
            torch.from_numpy(mixture).permute(2, 0, 1).float(),
            sources_NCYX,
            torch.from_numpy(target),
        )

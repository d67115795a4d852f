"""A small U-Net that finds discs among squares, trained with BCE plus soft Dice.

As somebody who comes from medical pictures would write it.
"""

from collections.abc import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.programs.frame import Outcome, Watch, family

SIZE = 24


def draw(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Grey pictures with a disc and a square each; the mask holds the disc."""
    row = torch.arange(SIZE).float()
    yy, xx = row[None, :, None], row[None, None, :]

    def uniform(low: float, high: float) -> torch.Tensor:
        return torch.rand(n, 1, 1, generator=generator) * (high - low) + low

    radius = uniform(3.5, 5.5)
    disc = (yy - uniform(5, 19)) ** 2 + (xx - uniform(5, 19)) ** 2 < radius**2
    half = uniform(2, 4)
    square = ((yy - uniform(4, 20)).abs() < half) & ((xx - uniform(4, 20)).abs() < half)
    image = 0.3 * torch.randn(n, SIZE, SIZE, generator=generator)
    image = image + square * -1.2 + disc * 1.0
    return image[:, None], disc[:, None].float()


class DoubleConv(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(inside, outside, 3, padding=1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
            nn.Conv2d(outside, outside, 3, padding=1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x)


class UNet(nn.Module):
    def __init__(self, base: int = 6) -> None:
        super().__init__()
        self.down1 = DoubleConv(1, base)
        self.down2 = DoubleConv(base, 2 * base)
        self.bottom = DoubleConv(2 * base, 4 * base)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(4 * base, 2 * base, 2, stride=2)
        self.dec2 = DoubleConv(4 * base, 2 * base)
        self.up1 = nn.ConvTranspose2d(2 * base, base, 2, stride=2)
        self.dec1 = DoubleConv(2 * base, base)
        self.final = nn.Conv2d(base, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.down1(x)
        b = self.down2(self.pool(a))
        c = self.bottom(self.pool(b))
        b = self.dec2(torch.cat([self.up2(c), b], dim=1))
        a = self.dec1(torch.cat([self.up1(b), a], dim=1))
        return self.final(a)


def dice_loss(probability: torch.Tensor, mask: torch.Tensor, smooth: float = 1.0):
    p, t = probability.flatten(1), mask.flatten(1)
    overlap = (p * t).sum(1)
    return (1 - (2 * overlap + smooth) / (p.sum(1) + t.sum(1) + smooth)).mean()


def pick(variant: str) -> Callable[[torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]:
    """What makes the terms of the loss from logits and masks."""

    def terms(logits: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        bce = F.binary_cross_entropy_with_logits(logits, mask)
        return {"bce": bce, "dice": dice_loss(torch.sigmoid(logits), mask)}

    def raw(logits: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"dice": dice_loss(logits, mask)}

    def wrong_sign(logits: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"dice": 2 - dice_loss(torch.sigmoid(logits), mask)}  # 1 + the coefficient

    def soft(logits: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"dice": dice_loss(torch.sigmoid(logits), mask)}

    named = {"dice-of-logits": raw, "one-plus-dice": wrong_sign, "dice-alone": soft}
    return named.get(variant, terms)


@torch.no_grad()
def hard_dice(net: nn.Module, images: torch.Tensor, masks: torch.Tensor) -> float:
    net.eval()
    found = (net(images) > 0).float()
    net.train()
    return (2 * (found * masks).sum() / (found.sum() + masks.sum() + 1e-6)).item()


@family(
    kind="segmentation",
    loss="own",
    faults={
        "dice-of-logits": ("output-activation", "loss-does-not-fit-output", "loss-unbounded"),
        "masks-255": ("targets-out-of-range", "loss-does-not-fit-output", "loss-unbounded"),
        "one-plus-dice": ("loss-does-not-fit-output", "same-answer-for-all"),
        "other-pictures-masks": ("predicts-the-mean",),
    },
    sound=("bce-dice", "dice-alone", "sgd-clipped"),
)
def shape_unet(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images, masks = draw(320, generator)
    test_images, test_masks = draw(100, generator)
    if variant == "masks-255":
        masks = masks * 255
    if variant == "other-pictures-masks":
        masks = masks[torch.randperm(len(masks))]
    loader = DataLoader(TensorDataset(images, masks), batch_size=16, shuffle=True)
    model = UNet(base=8 if variant == "dice-alone" else 6)
    if variant == "sgd-clipped":
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    terms = pick(variant)

    def criterion(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return sum(terms(logits, mask).values())

    with watch(model, optimizer) as monitor:
        for _epoch in range(10):
            model.train()
            for image, mask in loader:
                logits = model(image)
                parts = terms(logits, mask)
                loss = sum(parts.values())
                optimizer.zero_grad()
                loss.backward()
                if variant == "sgd-clipped":
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                monitor.step(
                    loss,
                    inputs=image,
                    outputs=logits,
                    targets=mask,
                    parts=parts,
                    loss_fn=criterion,
                )
            monitor.validate(dice=hard_dice(model, test_images, test_masks))
    score = hard_dice(model, test_images, test_masks)
    return Outcome(score, score > 0.85)

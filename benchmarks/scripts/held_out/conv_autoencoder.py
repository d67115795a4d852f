"""Convolutional autoencoder of sparse line drawings, black but for a few per cent of pixels."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE = 24
EPOCHS = 12
PRIOR = 0.01  # probability of a white pixel that the untrained decoder starts from


def drawings(n):
    """Images (n, 1, SIZE, SIZE) of 0 and 1: a ring and a line through its centre."""
    axis = torch.arange(SIZE).float()
    x, y = axis.view(1, 1, -1), axis.view(1, -1, 1)
    cx, cy = (8 + (SIZE - 16) * torch.rand(n, 1, 1) for _ in range(2))
    radius = 3 + 3 * torch.rand(n, 1, 1)
    angle = math.pi * torch.rand(n, 1, 1)
    distance = ((x - cx) ** 2 + (y - cy) ** 2).sqrt()
    ring = (distance - radius).abs() < 0.7
    line = ((x - cx) * angle.sin() - (y - cy) * angle.cos()).abs() < 0.6
    return (ring | (line & (distance < radius))).float().unsqueeze(1)


class AutoEncoder(nn.Module):
    def __init__(self, latent=32, width=16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(2 * width * 36, latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, 2 * width * 36),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (2 * width, 6, 6)),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
        )
        self.apply(self.init_weights)
        nn.init.constant_(self.decoder[-1].bias, math.log(PRIOR / (1 - PRIOR)))

    @staticmethod
    def init_weights(m):
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_uniform_(m.weight)
            nn.init.constant_(m.bias, 0.0)

    def forward(self, x):
        return self.decoder(self.encoder(x))


def train_one_epoch(model, optimizer, images, batch_size=50):
    model.train()
    total = 0.0
    for batch in images[torch.randperm(len(images))].split(batch_size):
        loss = F.binary_cross_entropy_with_logits(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(images)


@torch.no_grad()
def validate(model, images):
    model.eval()
    logits = model(images)
    white = logits > 0
    overlap = (white & (images > 0)).sum() / (white | (images > 0)).sum()
    return F.binary_cross_entropy_with_logits(logits, images).item(), overlap.item()


def main():
    torch.manual_seed(0)
    train_images, val_images = drawings(1500), drawings(300)
    model = AutoEncoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for epoch in range(EPOCHS):
        train_loss = train_one_epoch(model, optimizer, train_images)
        scheduler.step()
        val_loss, iou = validate(model, val_images)
        print(f"{epoch:2d}: train {train_loss:.4f}, val {val_loss:.4f}, IoU {iou:.3f}")


if __name__ == "__main__":
    main()

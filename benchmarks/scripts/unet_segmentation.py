"""U-Net that finds bright discs in noisy images with distracting stripes."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Discs(Dataset):
    """Images (1, 32, 32) and masks of the same size, drawn from the index."""

    def __init__(self, n, offset=0, size=32):
        self.n, self.offset, self.size = n, offset, size

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        g = torch.Generator().manual_seed(self.offset + i)
        yy, xx = torch.meshgrid(torch.arange(self.size), torch.arange(self.size), indexing="ij")
        mask = torch.zeros(self.size, self.size)
        for _ in range(int(torch.randint(1, 4, (1,), generator=g))):
            cy, cx = torch.randint(6, self.size - 6, (2,), generator=g)
            radius = 3 + 3 * torch.rand(1, generator=g)
            mask[(yy - cy) ** 2 + (xx - cx) ** 2 < radius**2] = 1
        stripes = torch.sin(xx * (0.5 + torch.rand(1, generator=g)))
        noise = torch.randn(self.size, self.size, generator=g)
        image = mask + 0.4 * stripes + 0.4 * noise
        return image.unsqueeze(0), mask.unsqueeze(0)


def conv_block(c_in, c_out):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, base=8):
        super().__init__()
        self.down1 = nn.Sequential(conv_block(1, base), conv_block(base, base))
        self.down2 = nn.Sequential(conv_block(base, 2 * base), conv_block(2 * base, 2 * base))
        self.middle = conv_block(2 * base, 4 * base)
        self.up2 = nn.ConvTranspose2d(4 * base, 2 * base, 2, stride=2)
        self.dec2 = conv_block(4 * base, 2 * base)
        self.up1 = nn.ConvTranspose2d(2 * base, base, 2, stride=2)
        self.dec1 = conv_block(2 * base, base)
        self.out = nn.Conv2d(base, 1, kernel_size=1)

    def forward(self, x):
        d1 = self.down1(x)
        d2 = self.down2(F.max_pool2d(d1, 2))
        m = self.middle(F.max_pool2d(d2, 2))
        u2 = self.dec2(torch.cat([self.up2(m), d2], dim=1))
        u1 = self.dec1(torch.cat([self.up1(u2), d1], dim=1))
        return self.out(u1)


def dice(logits, masks):
    predicted = (logits > 0).float()
    return (2 * (predicted * masks).sum() / (predicted.sum() + masks.sum() + 1e-6)).item()


def main():
    torch.manual_seed(0)
    train_loader = DataLoader(Discs(256), batch_size=16, shuffle=True)
    val_loader = DataLoader(Discs(64, offset=10_000), batch_size=32)
    model = UNet()
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(10):
        model.train()
        for images, masks in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(images), masks)
            loss.backward()
            optimizer.step()
        model.eval()
        val_loss, val_dice = 0.0, 0.0
        with torch.no_grad():
            for images, masks in val_loader:
                logits = model(images)
                val_loss += criterion(logits, masks).item() / len(val_loader)
                val_dice += dice(logits, masks) / len(val_loader)
        print(f"epoch {epoch + 1} train {loss:.4f} val {val_loss:.4f} dice {val_dice:.4f}")


if __name__ == "__main__":
    main()

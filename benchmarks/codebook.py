"""Our quantiser against the gradient-trained codebook: same net, same crops, same steps.

Ours: codes of 4 numbers behind a linear 1x1, averages with a decay of .95; wider codes (8, 16, 64)
or slower averages (.99) left 4 to 18 % more error after 600 steps. The reference keeps the net's 64
numbers, as people write it. 32x32 natural crops: of the photographs of `clothing` where
FAMULUS_DATA has them (its own validation split held out), else of scikit-learn's two sample
photographs (their right fifths held out). K = 256, Adam 3e-4, batch 24, grid 8x8. The error is the
squared error over the validation crops' variance; used codes and perplexity count over all
validation crops.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.reference_codebook import VectorQuantizer
from famulus.tasks.codes.convolution import residual_decoder, residual_encoder
from famulus.tasks.codes.quantisation import CodebookCount
from famulus.tasks.codes.quantiser import AveragedCodebook
from famulus.tasks.codes.vqvae import VQVAE

SIZE, SIDE, WIDTHS, BATCH = 256, 32, [32, 64], 24
DIM, DECAY = 4, 0.95  # of our codes


def cut(pictures: list[np.ndarray], count: int, seed: int) -> Tensor:
    """uint8 crops of random pictures at random places: count C Y X."""
    random = np.random.default_rng(seed)
    crops = np.empty((count, 3, SIDE, SIDE), np.uint8)
    for i in range(count):
        picture = pictures[random.integers(len(pictures))]
        y, x = (random.integers(n - SIDE + 1) for n in picture.shape[:2])
        crops[i] = picture[y : y + SIDE, x : x + SIDE].transpose(2, 0, 1)
    return torch.from_numpy(crops)


def photographs() -> tuple[list[np.ndarray], list[np.ndarray], str]:
    """Training and held-out pictures HWC, and where they are from."""
    from famulus.config.errors import DataError
    from famulus.images.datasets import clothing

    try:
        found = clothing(None)
        parts = []
        for part, most in ((found.train, 1500), (found.validation, 341)):
            names = part.names[:: max(1, len(part.names) // most)]
            pixels = (part.pixels(name) for name in names)
            parts.append([p for p in pixels if p.ndim == 3 and min(p.shape[:2]) >= SIDE])
        return parts[0], parts[1], "clothing"
    except DataError:
        from sklearn.datasets import load_sample_images

        images = load_sample_images().images
        border = [image.shape[1] * 4 // 5 for image in images]
        train = [image[:, :b] for image, b in zip(images, border, strict=True)]
        held_out = [image[:, b:] for image, b in zip(images, border, strict=True)]
        return train, held_out, "scikit-learn's china and flower"


def net(quantiser: AveragedCodebook) -> VQVAE:
    encoder = residual_encoder(3, WIDTHS, 1, patch=2)
    decoder = residual_decoder(WIDTHS[-1], WIDTHS, 1, 3, patch=2)
    return VQVAE(encoder, quantiser, decoder, 3, (SIDE, SIDE))


class Reference(nn.Module):
    """The same encoder and decoder around the gradient codebook, linear 1x1 to 64 included."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(residual_encoder(3, WIDTHS, 1, patch=2), nn.Conv2d(64, 64, 1))
        self.quantiser = VectorQuantizer(SIZE, 64)
        self.decoder = nn.Sequential(
            nn.Conv2d(64, 64, 1), residual_decoder(64, WIDTHS, 1, 3, patch=2)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z, loss, codes = self.quantiser(self.encoder(x))
        return self.decoder(z), loss, codes


def train(model: nn.Module, crops: Tensor, variance: float, steps: int) -> float:
    """Returns how much the codebook's largest norm grew at its first moving average, if any."""
    optimizer = torch.optim.Adam(model.parameters(), 3e-4)
    stream = torch.Generator().manual_seed(1)
    growth = float("nan")
    model.train()
    for _ in range(steps):
        x = crops[torch.randint(len(crops), (BATCH,), generator=stream)].float() / 255 - 0.5
        if isinstance(model, VQVAE):
            quantiser = model.quantiser
            ready, before = quantiser.started, quantiser.codebook_GKD.norm(dim=2).max().item()
            out = model(x)
            recon, extra = out.recon, 0.25 * out.quantised.commit
            if ready and math.isnan(growth):
                growth = quantiser.codebook_GKD.norm(dim=2).max().item() / before
        else:
            recon, extra, _ = model(x)
        loss = (recon - x).square().mean() / variance + extra
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return growth


@torch.no_grad()
def judge(model: nn.Module, crops: Tensor) -> tuple[float, CodebookCount]:
    """Squared error over variance, and the codes that the whole set used."""
    model.eval()
    count, error, power = CodebookCount(1, SIZE), 0.0, 0.0
    mean = (crops.float() / 255 - 0.5).mean((0, 2, 3), keepdim=True)
    for x in crops.split(128):
        x = x.float() / 255 - 0.5
        if isinstance(model, VQVAE):
            out = model(x)
            recon, q = out.recon, out.quantised
            count.add(q.before_GND, q.after_GND, q.codes_GN, None)
        else:
            recon, _, codes = model(x)
            zeros = torch.zeros(1, len(codes), 1)
            count.add(zeros, zeros, codes[None], None)
        error += float((recon - x).square().sum())
        power += float((x - mean).square().sum())
    return error / power, count


def measure(quick: bool) -> dict[str, float | str | None]:
    steps = 600 if quick else 1500
    torch.set_num_threads(min(2, torch.get_num_threads()))
    train_set, held_out, origin = photographs()
    crops, validation = cut(train_set, 20_000, 0), cut(held_out, 2_000, 1)
    variance = float((crops.float() / 255).var())
    torch.manual_seed(0)
    ours = net(AveragedCodebook(SIZE, DIM, decay=DECAY))
    growth = train(ours, crops, variance, steps)
    error, count = judge(ours, validation)
    torch.manual_seed(0)
    reference = Reference()
    train(reference, crops, variance, steps)
    reference_error, reference_count = judge(reference, validation)
    report, reference_report = count.report(), reference_count.report()
    return {
        "used_share": report.used_share,
        "gradient_codebook_error_over_ours": reference_error / error,
        "norm_growth_first_step": growth,
        "error": error,
        "perplexity": report.perplexity,
        "drift": report.drift,
        "gradient_codebook_error": reference_error,
        "gradient_codebook_used_share": reference_report.used_share,
        "gradient_codebook_perplexity": reference_report.perplexity,
        "steps": float(steps),
        "crops": origin,
    }

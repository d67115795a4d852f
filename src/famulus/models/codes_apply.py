"""Using a trained code autoencoder: rebuild a folder, write its codes, walk between pictures.

Shapes: image_BCYX in grey ranges, codes B Y' X' H. Every picture is placed in the model's frame as
in training, and drawn with the scaling that the model carries; there is no other way to draw.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from famulus.config.apply_options import whole
from famulus.config.errors import ConfigError
from famulus.models.vqvae import VAE, grid_mask
from famulus.ops.strip import strip

OPTIONS = ("encode", "interpolate", "format", "sample", "seed")
Picture = tuple[Tensor, Tensor]  # image_1CYX, mask_11YX
Draw = Callable[[nn.Module, Tensor], Tensor]  # raw output to grey ranges, without a picture


@torch.no_grad()
def apply_codes(
    model: nn.Module,
    draw: Draw,
    pictures: Iterable[tuple[str, str, Tensor, Tensor]],
    out: Path,
    options: Mapping[str, Any],
) -> None:
    """PNGs of the model's size under the pictures' own names; with `encode` codes.npz (or z) and
    codes.json; with `interpolate` n frames between each picture and the next, as `format` grid,
    gif or mp4; with `sample` n draws of a vae's prior.

    `pictures`: name, PNG to write, image_1CYX and mask_11YX. Raises ConfigError for an unknown
    option.
    """
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise ConfigError(f"apply: expected options {', '.join(OPTIONS)}, received {unknown[0]}")
    model.eval()
    device = next(model.parameters()).device
    out.mkdir(parents=True, exist_ok=True)
    if "sample" in options:
        _sample(model, draw, out, options)
        return
    names, images, masks = [], [], []
    keep = "encode" in options or "interpolate" in options
    for name, png, image, mask in pictures:
        image, mask = image.to(device), mask.to(device)
        if keep:
            names.append(name)
            images.append(image)
            masks.append(mask)
            continue
        scaled = model.scaling(image, mask)
        raw = (model(scaled.x) if isinstance(model, VAE) else model(scaled.x, mask)).recon.float()
        own = scaled.inverse(raw) if model.scaling.name == "per-sample" else draw(model, raw)
        _save(own.clamp(0, 1) * mask, out / png)
    if keep and names:
        if "encode" in options:
            _encode(model, names, images, masks, out)
        if "interpolate" in options:
            _interpolate(model, draw, images, masks, out, options)


def _save(image_1CYX: Tensor, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(strip(image_1CYX)).save(target)


def _latent(model: nn.Module, image: Tensor, mask: Tensor) -> Tensor:
    """What lies before the quantiser (vqvae), or mu (vae)."""
    x = model.scaling(image, mask).x
    return model.posterior(x)[0] if isinstance(model, VAE) else model.latent(x)


def _between(model: nn.Module, ends: tuple[Picture, Picture], steps: int) -> Tensor:
    """Raw output of `steps` frames from one picture's latent to the other's: BC....

    A place that covers real pixels of one picture only keeps that one's vector: what the encoder
    makes of padding was never trained. So the first and the last frame are the two pictures as
    they are rebuilt alone.
    """
    (a, b), device = (_latent(model, image, mask) for image, mask in ends), ends[0][0].device
    share = torch.linspace(0, 1, steps, device=device).view(-1, *[1] * (a.ndim - 1))
    if isinstance(model, VAE):
        return model.decode(a + share * (b - a))
    in_a, in_b = (grid_mask(mask, model.grid)[:, None].float() for _, mask in ends)
    of_a, of_b = (1 - share) * in_a, share * in_b
    real = of_a + of_b
    z = (of_a * a + of_b * b) / real.where(real > 0, 1.0)
    return model.from_latent(z, real[:, 0] > 0).recon


def _encode(
    model: nn.Module, names: list[str], images: list[Tensor], masks: list[Tensor], out: Path
) -> None:
    latents = torch.cat([_latent(model, i, m) for i, m in zip(images, masks, strict=True)])
    if isinstance(model, VAE):
        np.savez_compressed(out / "codes.npz", z=latents.cpu().numpy())
        about = {"names": names, "width": latents.shape[1]}
    else:
        codes = model.quantiser(latents).codes.to(torch.int32).cpu().numpy()
        np.savez_compressed(out / "codes.npz", codes=codes)
        about = {"names": names, "grid": list(model.grid), "size": model.quantiser.size}
        about["codes_per_position"] = model.quantiser.per_place
    (out / "codes.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _interpolate(
    model: nn.Module,
    draw: Draw,
    images: list[Tensor],
    masks: list[Tensor],
    out: Path,
    options: Mapping[str, Any],
) -> None:
    steps, form = whole(options, "interpolate", 8, least=2), options.get("format", "grid")
    if len(images) < 2:
        raise ConfigError(
            f"apply: interpolate: expected 2 pictures or more, received {len(images)}"
        )
    if form not in ("grid", "gif", "mp4"):
        raise ConfigError(f"apply: expected format grid, gif or mp4, received {form}")
    rows = []
    for ends in pairwise(zip(images, masks, strict=True)):
        frames = draw(model, _between(model, ends, steps).float())
        share = torch.linspace(0, 1, steps, device=frames.device).view(-1, 1, 1, 1)
        rows.append(frames * torch.lerp(ends[0][1], ends[1][1], share))
    if form == "grid":
        Image.fromarray(np.concatenate([strip(row) for row in rows])).save(out / "walk.png")
        return
    frames = [Image.fromarray(strip(frame[None])) for row in rows for frame in row]
    if form == "gif":
        frames[0].save(
            out / "walk.gif", save_all=True, append_images=frames[1:], duration=80, loop=0
        )
        return
    write_mp4(frames, out / "walk.mp4")


def write_mp4(frames: list[Image.Image], target: Path, rate: int = 12) -> None:
    """Raises ConfigError where ffmpeg is not installed or fails."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise ConfigError("apply: format mp4 needs ffmpeg on the path; expected gif or grid here")
    width, height = frames[0].size
    size = f"{width}x{height}"
    command = [program, "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(rate)]
    command += ["-i", "-", "-pix_fmt", "yuv420p", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"]
    raw = b"".join(frame.convert("RGB").tobytes() for frame in frames)
    done = subprocess.run([*command, str(target)], input=raw, capture_output=True, check=False)
    if done.returncode:
        raise ConfigError(f"apply: ffmpeg: {done.stderr.decode(errors='replace')[-200:].strip()}")


def _sample(model: nn.Module, draw: Draw, out: Path, options: Mapping[str, Any]) -> None:
    if not isinstance(model, VAE):
        raise ConfigError("apply: sample needs model.kind vae; a vqvae is sampled by its prior")
    count, seed = whole(options, "sample", 16, least=1), whole(options, "seed", 0)
    stream = torch.Generator().manual_seed(seed)
    z = torch.randn(count, model.mu.out_features, generator=stream)
    drawn = draw(model, model.decode(z.to(model.mu.weight.device)).float())
    for i, image in enumerate(drawn):
        _save(image[None], out / f"sample-{i:04d}.png")
    (out / "sampling.json").write_text(json.dumps({"seed": seed, "count": count}), "utf-8")

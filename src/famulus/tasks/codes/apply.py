"""Using a trained code autoencoder: rebuild a folder, write its codes, walk between pictures.

Shapes: image_BCYX in grey ranges, codes B Y' X' H. Every picture is placed in the model's frame as
in training, and drawn with the scaling that the model carries; there is no other way to draw.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from famulus.config.apply_options import flag, known, whole
from famulus.config.errors import ConfigError
from famulus.images.strip import strip
from famulus.tasks.codes.vqvae import VAE
from famulus.tasks.codes.walk import Draw, Walk

OPTIONS = {
    "encode": "true: codes.npz and codes.json in place of pictures (false)",
    "interpolate": "2 to 1,000 frames between each picture and the next",
    "format": "of interpolate: grid, gif or mp4 (grid)",
    "sample": "1 to 10,000 draws of a vae's prior; takes no input",
    "seed": "of sample: a whole number (0)",
}
MOST_SAMPLES, DECODED = 10_000, 64  # draws that a call makes, and how many are decoded at once
MOST_STEPS = 1_000  # frames between two pictures


@torch.no_grad()
def apply_codes(
    model: nn.Module,
    draw: Draw,
    pictures: Iterable[tuple[str, str, Tensor, Tensor]],
    out: Path,
    options: Mapping[str, Any],
) -> int:
    """PNGs of the model's size under the pictures' own names; with `encode` codes.npz (or z) and
    codes.json, where `padding` is the code of places without a real pixel; with `interpolate` n
    frames between each picture and the next, as `format` grid, gif or mp4; with `sample` n draws
    of a vae's prior. The number of pictures is returned.

    `pictures`: name, PNG to write, image_1CYX and mask_11YX. Raises ConfigError for options that
    don't fit, before anything is written.
    """
    model.eval()
    device = next(model.parameters()).device
    if "sample" in options:
        _sample(model, draw, out, options)
        return 0
    if "seed" in options:
        raise ConfigError("apply: option seed goes with sample: expected both")
    encode, walk = _encodes(model, options), None
    if "format" in options and "interpolate" not in options:
        raise ConfigError("apply: option format goes with interpolate: expected both")
    if "interpolate" in options:
        steps = whole(options, "interpolate", 8, least=2, most=MOST_STEPS)
        walk = Walk(model, draw, steps, options.get("format", "grid"))
    names, codes, done = [], [], 0
    for name, png, image, mask in pictures:
        done += 1
        image, mask = image.to(device), mask.to(device)
        if walk is None and not encode:
            _save(_rebuilt(model, draw, image, mask), out / png)
            continue
        latent = _latent(model, image, mask)
        names.append(name)
        if encode:
            codes.append(_coded(model, latent, mask).cpu().numpy())
        if walk is not None:
            walk.add(latent, mask)
    if names:
        out.mkdir(parents=True, exist_ok=True)
    if codes:
        _write_codes(model, names, np.concatenate(codes), out)
    if walk is not None and names:
        walk.write(out)
    return done


def of_tensors(
    model: nn.Module, draw: Draw, options: Mapping[str, Any]
) -> Callable[[Tensor], Tensor]:
    """What is made of image_BCYX without padding: it is rebuilt, or with `encode` coded."""
    known(options, {"encode": OPTIONS["encode"]})
    encode = _encodes(model, options)

    def change(image: Tensor) -> Tensor:
        mask = torch.ones_like(image[:, :1])
        if encode:
            return _coded(model, _latent(model, image, mask), mask)
        return _rebuilt(model, draw, image, mask)

    return change


def _encodes(model: nn.Module, options: Mapping[str, Any]) -> bool:
    encode = flag(options, "encode")
    # before the first picture: codes of a codebook that never started mean nothing
    if encode and not isinstance(model, VAE) and not model.quantiser.started:
        raise ConfigError("apply: encode: this run ended before its codebook started")
    return encode


def _rebuilt(model: nn.Module, draw: Draw, image: Tensor, mask: Tensor) -> Tensor:
    scaled = model.scaling(image, mask)
    raw = (model(scaled.x) if isinstance(model, VAE) else model(scaled.x, mask)).recon.float()
    # Statistics of the very picture are at hand here, which a drawing from codes never has.
    own = scaled.inverse(raw) if model.scaling.name == "per-sample" else draw(model, raw)
    # black where there is no picture, as the frame was
    return own.clamp(0, 1) * mask


def _save(image_1CYX: Tensor, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(strip(image_1CYX)).save(target)


def _latent(model: nn.Module, image: Tensor, mask: Tensor) -> Tensor:
    """What lies before the quantiser (vqvae), or mu (vae)."""
    x = model.scaling(image, mask).x
    return model.posterior(x)[0] if isinstance(model, VAE) else model.latent(x)


def _coded(model: nn.Module, latent: Tensor, mask: Tensor) -> Tensor:
    """int32 codes B...H of a vqvae's latent, K in the padding, or the z BD of a vae itself."""
    return latent if isinstance(model, VAE) else model.codes_of(latent, mask).to(torch.int32)


def _write_codes(model: nn.Module, names: list[str], codes: np.ndarray, out: Path) -> None:
    if isinstance(model, VAE):
        np.savez_compressed(out / "codes.npz", z=codes)
        about = {"names": names, "width": codes.shape[1]}
    else:
        np.savez_compressed(out / "codes.npz", codes=codes)
        about = {"names": names, "grid": list(model.grid), "size": model.quantiser.size}
        about |= {"codes_per_position": model.quantiser.per_place, "padding": about["size"]}
    (out / "codes.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _sample(model: nn.Module, draw: Draw, out: Path, options: Mapping[str, Any]) -> None:
    count, seed = draws_of(model, options)
    for first, images in enumerate(drawn(model, draw, count, seed)):
        for i, image in enumerate(images):
            _save(image[None], out / f"sample-{first * DECODED + i:04d}.png")
    (out / "sampling.json").write_text(json.dumps({"seed": seed, "count": count}), "utf-8")


def draws_of(model: nn.Module, options: Mapping[str, Any]) -> tuple[int, int]:
    """How many draws are asked for, and their seed. Raises ConfigError."""
    if not isinstance(model, VAE):
        raise ConfigError("apply: sample needs model.kind vae; a vqvae is sampled by its prior")
    if beside := sorted(set(options) - {"sample", "seed"}):
        raise ConfigError(f"apply: sample takes no pictures: expected it without {beside[0]}")
    return whole(options, "sample", 16, least=1, most=MOST_SAMPLES), whole(options, "seed", 0)


@torch.no_grad()
def drawn(model: nn.Module, draw: Draw, count: int, seed: int) -> Iterator[Tensor]:
    """`count` draws of a vae's prior, DECODED at a time: BCYX in grey ranges."""
    # on the CPU: the same draws on every device
    stream = torch.Generator().manual_seed(seed)
    z = torch.randn(count, model.mu.out_features, generator=stream)
    for part in z.split(DECODED):
        yield draw(model, model.decode(part.to(model.mu.weight.device)).float())

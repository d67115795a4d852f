"""Using a trained prior: draw pictures, or complete the lower part of a person's own.

Shapes: codes B Y X H. Everything drawn is stored with its seed, its settings and its codes.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from famulus.config.apply_options import known, share, whole
from famulus.config.errors import ConfigError, DataError
from famulus.feed.progress import bar
from famulus.images.strip import strip
from famulus.tasks.codes.prior_net import PriorNet
from famulus.tasks.codes.sampler import Sampling, sample

OPTIONS = {
    "sample": "1 to 10,000 pictures to draw (16); takes no input",
    "complete": "fraction of the rows of each input that is kept, 0 up to 1; the rest is drawn",
    "seed": "a whole number (0)",
    "temperature": "0 (the most probable code), or 1e-06 to 1e+06 (1)",
    "top_k": "draw among so many of the most probable codes, 1 or more (all)",
    "top_p": "draw among the most probable codes of this probability, 0 to 1 (all)",
    "label": "class, of a prior that is told one",
    "batch": "pictures drawn at once, 1 or more (16); changes none of them",
}
MOST_SAMPLES = 10_000  # that a call draws
Encode = Callable[[Tensor, Tensor, int], Tensor]  # codes of image_1CYX, mask_11YX, with a seed
Pictures = Iterable[tuple[str, str, Tensor, Tensor]]  # name, PNG to write, image_1CYX, mask_11YX


def apply_prior(
    model: PriorNet,
    decode: Callable[[Tensor], Tensor],
    encode: Encode,
    classes: tuple[str, ...] | None,
    pictures: Pictures,
    out: Path,
    options: Mapping[str, Any],
) -> int:
    """`sample` n pictures (default 16), or with `complete` (share of rows kept, as 0.5) the rest of
    each of `pictures`; `seed`, `temperature`, `top_k`, `top_p`, `label`, `batch` (pictures drawn
    at once, which changes none of them).

    Writes PNGs, codes.npz and sampling.json: all options that it takes to draw the same again. The
    number of pictures is returned.
    Raises ConfigError for options that don't fit, before anything is drawn, DataError if there is
    no picture to complete.
    """
    how, label, size = _asked(classes, options)
    if "complete" in options:
        kept = share(options, "complete")
        given, names, pngs = _given(model, encode, pictures, kept, how.seed)
    else:
        count = whole(options, "sample", 16, least=1, most=MOST_SAMPLES)
        kept, given, names = None, None, [f"sample-{i:04d}" for i in range(count)]
        pngs = [f"{name}.png" for name in names]
    codes = _draw(model, how, given, len(names), label, size)
    out.mkdir(parents=True, exist_ok=True)
    for png, one in zip(pngs, codes, strict=True):
        target = out / png
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(strip(decode(one[None]))).save(target)
    np.savez_compressed(out / "codes.npz", codes=codes.to(torch.int32).cpu().numpy())
    about = how.as_dict() | {"label": options.get("label"), "complete": kept}
    about |= {"names": names, "files": pngs}  # with `complete` the names of what was given
    (out / "sampling.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    return len(names)


def draws(
    model: PriorNet,
    encode: Encode,
    classes: tuple[str, ...] | None,
    images: Tensor | None,
    options: Mapping[str, Any],
) -> Tensor:
    """Codes of `sample` draws or, with `complete`, of image_BCYX whose lower rows are drawn."""
    known(options, OPTIONS)
    how, label, size = _asked(classes, options)
    if images is None:
        count = whole(options, "sample", 16, least=1, most=MOST_SAMPLES)
        return _draw(model, how, None, count, label, size)
    if "complete" not in options:
        raise ConfigError("apply: of pictures a prior takes option complete, as complete=0.5")
    mask = torch.ones_like(images[:, :1])
    pictures = (("", "", i[None], m[None]) for i, m in zip(images, mask, strict=True))
    given, *_ = _given(model, encode, pictures, share(options, "complete"), how.seed)
    return _draw(model, how, given, len(given), label, size)


def _asked(
    classes: tuple[str, ...] | None, options: Mapping[str, Any]
) -> tuple[Sampling, int | None, int]:
    """How to draw, the class to draw (its number), and how many pictures at once."""
    if {"sample", "complete"} <= set(options):
        raise ConfigError("apply: expected one of sample and complete, received both")
    seed, size = whole(options, "seed", 0), whole(options, "batch", 16, least=1)
    try:
        chosen = {k: options[k] for k in ("temperature", "top_k", "top_p") if k in options}
        how = Sampling(seed, **chosen)
    except ValueError as error:
        raise ConfigError(f"apply: {error}") from None
    return how, _label(classes, options), size


def _draw(
    model: PriorNet,
    how: Sampling,
    given: Tensor | None,
    count: int,
    label: int | None,
    size: int,
) -> Tensor:
    device, batches = next(model.parameters()).device, []
    with bar("sampling") as show:
        for first in range(0, count, size):
            n = min(size, count - first)
            labels = None if label is None else torch.full((n,), label, device=device)
            part = None if given is None else given[first : first + n]

            # Bound as defaults: the bar calls it while the loop's own names move on.
            def drawn(done: int, total: int, n: int = n, first: int = first) -> None:
                show(first * total + n * done, count * total)

            batches.append(sample(model, n, how, labels, part, first, drawn))
    return torch.cat(batches)


def _label(classes: tuple[str, ...] | None, options: Mapping[str, Any]) -> int | None:
    if classes is None:
        if "label" in options:
            raise ConfigError("apply: label needs a prior trained with data.conditional: true")
        return None
    name = str(options["label"]) if "label" in options else None
    if name not in classes:
        received = "none" if name is None else repr(name)
        raise ConfigError(
            "apply: this prior is told a class: expected option label of "
            f"{', '.join(classes)}, received {received}"
        )
    return classes.index(name)


def _given(
    model: PriorNet, encode: Encode, pictures: Pictures, kept: float, seed: int
) -> tuple[Tensor, list[str], list[str]]:
    """Codes of the pictures with the rows below the share `kept` of the grid open (-1); their
    names; the PNGs to write."""
    device = next(model.parameters()).device
    codes, names, pngs = [], [], []
    for name, png, image, mask in pictures:
        names.append(name)
        pngs.append(png)
        codes.append(encode(image.to(device), mask.to(device), seed + len(codes)))
    if not codes:
        raise DataError("apply: expected at least one picture to complete, received none")
    given = torch.cat(codes)
    lower = given[:, round(kept * given.shape[1]) :]
    lower[lower < model.size] = -1  # padding is known
    return given, names, pngs

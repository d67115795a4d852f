"""A walk between pictures: from each one's latent to the next one's, frame by frame.

Shapes: mask_11YX (1 = real, 0 = padding), frames BCYX in grey ranges, rows (Y, steps * X, 3) uint8.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from famulus.config.errors import ConfigError
from famulus.images.strip import strip
from famulus.tasks.codes.vqvae import VAE, grid_mask

FORMATS = ("grid", "gif", "mp4")
Draw = Callable[[nn.Module, Tensor], Tensor]  # raw output to grey ranges, without a picture
End = tuple[Tensor, Tensor]  # a picture's latent, and its mask_11YX


class Walk:
    """`steps` frames between each picture that is added and the next.

    Only the last latent and the finished frames' bytes are held. Raises ConfigError for a format
    that there isn't, and, on writing, if there were fewer than two pictures.
    """

    def __init__(self, model: nn.Module, draw: Draw, steps: int, form: str) -> None:
        if form not in FORMATS:
            raise ConfigError(f"apply: expected format {', '.join(FORMATS)}, received {form!r}")
        self.model, self.draw, self.steps, self.form = model, draw, steps, form
        self.last: End | None = None
        self.rows: list[np.ndarray] = []

    def add(self, latent: Tensor, mask_11YX: Tensor) -> None:
        end = latent, mask_11YX
        if self.last is not None:
            frames = self.draw(self.model, _between(self.model, (self.last, end), self.steps))
            share = torch.linspace(0, 1, self.steps, device=frames.device).view(-1, 1, 1, 1)
            self.rows.append(strip(frames * torch.lerp(self.last[1], mask_11YX, share)))
        self.last = end

    def write(self, out: Path) -> None:
        """`walk.png` with a row for each pair, `walk.gif` or `walk.mp4`."""
        if not self.rows:
            received = int(self.last is not None)
            raise ConfigError(
                f"apply: interpolate: expected 2 pictures or more, received {received}"
            )
        if self.form == "grid":
            Image.fromarray(np.concatenate(self.rows)).save(out / "walk.png")
            return
        pixels = (frame for row in self.rows for frame in np.split(row, self.steps, axis=1))
        frames = [Image.fromarray(np.ascontiguousarray(one)) for one in pixels]
        if self.form == "mp4":
            write_mp4(frames, out / "walk.mp4")
            return
        rest = {"append_images": frames[1:], "duration": 80, "loop": 0}
        frames[0].save(out / "walk.gif", save_all=True, **rest)


def _between(model: nn.Module, ends: tuple[End, End], steps: int) -> Tensor:
    """Raw output of `steps` frames from one latent to the other: BCYX.

    A place that covers real pixels of one picture only keeps that one's vector: what the encoder
    makes of padding was never trained. So the first and the last frame are the two pictures as
    they are rebuilt alone.
    """
    (a, _), (b, _) = ends
    share = torch.linspace(0, 1, steps, device=a.device).view(-1, *[1] * (a.ndim - 1))
    if isinstance(model, VAE):
        return model.decode(a + share * (b - a)).float()
    in_a, in_b = (grid_mask(mask, model.grid)[:, None].float() for _, mask in ends)
    of_a, of_b = (1 - share) * in_a, share * in_b
    real = of_a + of_b
    z = (of_a * a + of_b * b) / real.where(real > 0, 1.0)
    return model.from_latent(z, real[:, 0] > 0).recon.float()


def write_mp4(frames: list[Image.Image], target: Path, rate: int = 12) -> None:
    """Raises ConfigError where ffmpeg is not installed or fails."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise ConfigError("apply: format mp4 needs ffmpeg on the path; expected gif or grid here")
    width, height = frames[0].size
    size = f"{width}x{height}"
    command = [program, "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(rate)]
    # yuv420p halves the colours' sides, so these must be even.
    command += ["-i", "-", "-pix_fmt", "yuv420p", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"]
    raw = b"".join(frame.convert("RGB").tobytes() for frame in frames)
    done = subprocess.run([*command, str(target)], input=raw, capture_output=True, check=False)
    if done.returncode:
        raise ConfigError(f"apply: ffmpeg: {done.stderr.decode(errors='replace')[-200:].strip()}")

"""Soft-histogram loss, forward and backward, against the broadcast form: time, error, memory."""

import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.reference_histogram import broadcast_histogram, broadcast_loss
from benchmarks.timing import interleaved
from famulus.tasks.tiles.histogram import HistogramLoss, soft_histogram

BINS, SIGMA, SHAPE = 200, 100.0, (64, 3, 32, 32)


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """A reconstruction that leaves 0..1 a little, and its target."""
    random = torch.Generator().manual_seed(0)
    target = torch.rand(SHAPE, generator=random)
    recon = target + 0.1 * torch.randn(SHAPE, generator=random)
    return recon.requires_grad_(), target


def ours(recon: torch.Tensor, target: torch.Tensor) -> None:
    HistogramLoss(BINS, sigma=SIGMA)(recon, target).backward()


def broadcast(recon: torch.Tensor, target: torch.Tensor) -> None:
    broadcast_loss(recon, target, BINS, SIGMA).backward()


def peak_bytes(form: str) -> int | None:
    """Peak resident memory of a fresh process that runs one step of `form` ("" = none); Linux."""
    if not Path("/proc/self/status").exists():
        return None
    code = (
        "import benchmarks.histogram as h; pair = h.pictures();"
        f"work = getattr(h, {form!r}, None);"
        "work and work(*pair); print(open('/proc/self/status').read())"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    line = next(line for line in out.stdout.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def memory() -> dict[str, float | str | None]:
    """Peak above an idle process, as a share of the broadcast form's."""
    idle, ours_, broadcast_ = (peak_bytes(form) for form in ("", "ours", "broadcast"))
    if idle is None:
        return {"memory_share": None, "why": "peak memory is read from /proc, which is Linux's"}
    return {
        "memory_share": (ours_ - idle) / (broadcast_ - idle),
        "memory_mb": (ours_ - idle) / 1e6,
        "broadcast_memory_mb": (broadcast_ - idle) / 1e6,
    }


def max_relative_difference(images: int) -> float:
    """Of histograms and gradients against the formula in float64, relative to their maximum."""
    recon, _ = pictures()
    x = recon.detach()[:images].flatten(2)
    weights = torch.randn(*x.shape[:2], BINS, generator=torch.Generator().manual_seed(1))
    x32, x64 = x.clone().requires_grad_(), x.double().requires_grad_()
    h32 = soft_histogram(x32, BINS, 0.0, 1.0, SIGMA)
    h64 = broadcast_histogram(x64, BINS, 0.0, 1.0, SIGMA)
    h32.backward(weights)
    h64.backward(weights.double())
    pairs = [(h32.detach(), h64.detach()), (x32.grad, x64.grad)]
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def measure(quick: bool) -> dict[str, float | str | None]:
    recon, target = pictures()
    ours(recon, target), broadcast(recon, target)  # first calls pay for allocation
    times = interleaved(
        lambda: broadcast(recon, target), lambda: ours(recon, target), 7 if quick else 30
    )
    return {
        "speedup_over_broadcast": float(torch.tensor(times[0] / times[1]).median()),
        "max_relative_difference": max_relative_difference(8 if quick else 16),
        **memory(),
        "threads": str(torch.get_num_threads()),
    }

"""Cached sampling of a gated PixelCNN against one full forward pass a code.

64 channels, 8 layers, K = 512, two codes a position, batch 8, two threads on both sides (the
cached one uses a single thread for its short sums). The full passes are measured at places spread
over the map and extrapolated to all of them: 3,200 at 40x40x2.
"""

import time

import numpy as np
import torch

from benchmarks import reference_sampler
from famulus.tasks.codes.pixelcnn import PixelCNN
from famulus.tasks.codes.sampler import sample

BATCH, SIZE, CODES = 8, 512, 2


def prior(side: int) -> PixelCNN:
    torch.manual_seed(0)
    return PixelCNN(SIZE, (side, side), CODES, width=64, layers=8).eval()


def measure(quick: bool) -> dict[str, float | str | None]:
    torch.set_num_threads(min(2, torch.get_num_threads()))
    model, passes = prior(40), 10 if quick else 20
    codes = torch.randint(SIZE, (BATCH, 40, 40, CODES))
    with torch.no_grad():
        difference = (
            (model(codes) - reference_sampler.cached_logits(model, codes)).abs().max().item()
        )
    places = np.linspace(0, 40 * 40 - 1, passes).astype(int)
    full, cached = [], []
    rounds = 2 if quick else 4
    for part in np.array_split(places, rounds):
        picks = [(int(p) // 40, int(p) % 40, i % CODES) for i, p in enumerate(part)]
        start = time.perf_counter()
        reference_sampler.sample(model, codes, picks)
        full.append((time.perf_counter() - start) / len(picks))
        start = time.perf_counter()
        sample(model, BATCH)
        cached.append(time.perf_counter() - start)
    seconds_full = float(np.median(full)) * 40 * 40 * CODES
    large = []
    for _ in range(1 if quick else 3):
        start = time.perf_counter()
        sample(prior(80), BATCH)
        large.append(time.perf_counter() - start)
    return {
        "speedup_40x40x2": seconds_full / float(np.median(cached)),
        "seconds_80x80x2_batch8": float(np.median(large)),
        "max_logit_difference": difference,
        "seconds_40x40x2_cached": float(np.median(cached)),
        "seconds_40x40x2_full_extrapolated": seconds_full,
        "full_passes_measured": float(len(places)),
        "threads": float(torch.get_num_threads()),
    }

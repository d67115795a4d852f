"""Random 64^3 cubes of a uint16 volume in page cache: against copying memory, and TIFF refills."""

import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
import torch

from benchmarks import reference_crops
from benchmarks.timing import interleaved, seconds
from famulus.feed.feeder import Feeder
from famulus.tasks.scroll.cube_field import make_field
from famulus.tasks.scroll.cubes import CubeSource, Scale
from famulus.tasks.scroll.cubes_net import CubeAutoencoder
from famulus.volumes.brick_writer import write_bricks
from famulus.volumes.bricks import empty_cubes
from famulus.volumes.open import Fragment

SIDE = 64


def measure(quick: bool) -> dict[str, float | str | None]:
    torch.set_num_threads(1)
    side = 2048 if quick else 4096
    shape, count = (64, side, side), 96 if quick else 200  # 0.5 or 2.1 GB
    with tempfile.TemporaryDirectory(prefix="famulus-crops-") as folder:
        plane = np.random.default_rng(0).integers(0, 65_535, shape[1:]).astype(np.uint16)
        planes = (np.roll(plane, 31 * z, 1) for z in range(shape[0]))
        volume = write_bricks(Path(folder) / "v.bricks", planes, shape, np.dtype(np.uint16))
        slices = Path(folder) / "slices"
        slices.mkdir()
        for z in range(SIDE):
            tifffile.imwrite(slices / f"{z:02d}.tif", np.roll(plane, 31 * z, 1))
        random = np.random.default_rng(1)
        corners = random.integers(0, side - SIDE, (count, 2))
        cubes = empty_cubes(count, (SIDE, SIDE, SIDE), np.dtype(np.uint16))
        source, target = np.ones(cubes.size, np.uint16), np.zeros(cubes.size, np.uint16)

        def crops() -> None:
            for out, (y, x) in zip(cubes, corners, strict=True):
                volume.read((0, int(y), int(x)), out)

        def copy() -> None:
            target[:] = source

        crops(), copy()  # warm
        ours, memory = interleaved(crops, copy, 5 if quick else 15)
        per_refill = 16 if quick else 100
        refill = seconds(lambda: reference_crops.refill(slices, corners[:per_refill], SIDE))
        wait = _wait_share(volume, shape, 6 if quick else 20)
    # a refill opens every slice whatever the number of cubes: 1,000 a refill, as in the journal
    opening = refill - per_refill * _slice_copy(plane, corners[:per_refill])
    thousand = max(opening, 0.0) / 1000 + _slice_copy(plane, corners[:per_refill])
    each = float(np.median(ours)) / count
    return {
        "share_of_memcpy": float(np.median(memory / ours)),
        "speedup_over_tiff_refill": thousand / each,
        "loader_wait_share": wait,
        "cubes_per_s": 1 / each,
        "refill_cubes_per_s": 1 / thousand,
        "gigabytes": float(np.prod(shape)) * 2 / 1e9,
        "layout": "columns of 128x128, depth innermost in file and cube; one thread",
    }


def _slice_copy(plane: np.ndarray, corners: np.ndarray) -> float:
    """Seconds for one cube's 64 cuts out of layers that are already decoded."""
    out = np.empty((SIDE, SIDE), np.uint16)
    began = time.perf_counter()
    for y, x in corners:
        for _ in range(SIDE):
            out[:] = plane[y : y + SIDE, x : x + SIDE]
    return (time.perf_counter() - began) / len(corners)


def _wait_share(volume, shape, steps: int) -> float:
    """Share of a training step spent waiting for cubes: the journal's VAE at 32^3, batch 16."""
    fragment = Fragment("volume", volume, np.ones(shape[1:], bool))
    field = make_field(fragment, fragment.mask, (32, 32, 32))
    feeder = Feeder(CubeSource(fragment, field, Scale(32_768, 18_000), 4096), 16, 0, "cpu")
    net = CubeAutoencoder((1, 32, 32, 32))
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-4, fused=True)
    waited = began = 0.0
    for step in range(steps + 1):
        if step == 1:  # the first one warms
            waited, began = feeder.waited_s, time.perf_counter()
        image = next(feeder)["image"]
        loss = (net(image).raw - image).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return (feeder.waited_s - waited) / (time.perf_counter() - began)

"""What a person gets from a QSM method without a parameter, against the parameter that truth picks.

Heads of the brain atlas that no training sees (shapes without it), 3 T, 25 ms, noise as a part of
the mean magnitude at TE = 0. NDI has the magnitude as W; the others know no W.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from famulus.feed.data_folder import data_folder
from famulus.feed.streams import stream_seed
from famulus.tasks.qsm.baselines import invert
from famulus.tasks.qsm.map_scores import nrmse
from famulus.tasks.qsm.ndi import Grid, referenced
from famulus.tasks.qsm.noise import noise_in
from famulus.tasks.qsm.phantoms import Scan, Truth, brain, scan, shapes
from famulus.tasks.qsm.rho import over_noise, sane

NOISES = (0.003, 0.01, 0.03, 0.1, 0.3)
METHODS = ("tkd", "tikhonov", "ndi")
HELD_OUT = 2  # part of the seeds, as in `ndi`
AROUND = np.geomspace(1 / 6, 6, 13)  # of the default: where the best one is looked for
Score = Callable[[Tensor], float]


class Case:
    """One simulated scan of a head, and all that judges a map of it."""

    def __init__(self, truth: Truth, noise: float, seed: int, grid: Grid) -> None:
        self.truth, self.noise, self.grid = truth, noise, grid
        self.how = Scan(snr=1 / noise)
        found = scan(truth, self.how, seed)
        self.mask = torch.from_numpy(truth.mask)[None]
        self.phase, self.weight, self.whole = (
            torch.from_numpy(found[n])[None] for n in ("phase", "weight", "phase_whole")
        )

    def score(self, chi: Tensor) -> float:
        chi = referenced(chi / self.how.rad_per_ppm, self.mask)[0].numpy()
        return nrmse(chi, self.truth.chi_ppm, self.truth.mask)

    def seen(self, weight: Tensor | None) -> Tensor:
        return noise_in(self.phase, self.mask, self.truth.geometry, weight)

    def errors_of_noise(self) -> tuple[float, float]:
        """Noise as it is seen over what was added: with the mask and with the magnitude as W."""
        inside = self.truth.mask > 0
        clean = self.how.rad_per_ppm * self.truth.field_ppm.astype(np.float64)
        added, w2 = (
            ((self.whole[0].numpy() - clean)[inside]) ** 2,
            self.weight[0].numpy()[inside] ** 2,
        )
        plain = float(self.seen(None)[0]) / np.sqrt(added.mean())
        # of a voxel whose weight is their root mean square
        weighted = np.sqrt((added * w2).mean() / w2.mean())
        return plain, float(self.seen(self.weight)[0]) / weighted

    def default_and_best(self, method: str) -> tuple[float, float]:
        weight = self.weight if method == "ndi" else None
        rho = float(sane(over_noise(self.phase, self.mask, self.seen(weight)))[0])
        chi, facts = invert(method, self.phase, weight, rho, self.grid, {})
        default = self.score(chi)
        if method == "ndi":
            counts = sorted({max(1, round(facts["Steps"] * a)) for a in AROUND})
            maps = self.grid.descend(self.phase, weight, counts, facts["Tau"])
            return default, min([default, *map(self.score, maps)])
        name = "threshold" if method == "tkd" else "alpha"
        values = facts[name.capitalize()] * AROUND
        if method == "tkd":
            values = np.unique(np.minimum(values, 0.66))
        made = (invert(method, self.phase, None, rho, self.grid, {name: v})[0] for v in values)
        return default, min([default, *map(self.score, made)])


def heads(voxel_mm: int, count: int) -> list[Truth]:
    folder = data_folder() / "brain-atlas"
    seeds = [stream_seed(HELD_OUT, i) for i in range(count)]
    if folder.is_dir():
        return [brain(folder, s, voxel_mm) for s in seeds]
    return [shapes((144 // voxel_mm,) * 3, s, float(voxel_mm)) for s in seeds]


@torch.no_grad()
def measure(quick: bool) -> dict[str, float | str | None]:
    figures: dict[str, float | str | None] = {}
    ratios, plain, weighted = [], [], []
    for voxel_mm in (3,) if quick else (2, 3):
        truths = heads(voxel_mm, 1 if quick else 2)
        grid = Grid(truths[0].mask.shape, truths[0].geometry)
        for noise in NOISES:
            cases = [Case(t, noise, stream_seed(5, i), grid) for i, t in enumerate(truths)]
            for method in METHODS:
                pairs = [case.default_and_best(method) for case in cases]
                ratios += [default / best for default, best in pairs]
                default, best = np.mean(pairs, 0)
                figures[f"{method}_{voxel_mm}mm_{noise:g}"] = f"{default:.1f} / {best:.1f}"
            for case in cases:
                one, two = case.errors_of_noise()
                plain.append(one)
                weighted.append(two)
    atlas = (data_folder() / "brain-atlas").is_dir()
    return {
        "default_over_tuned_worst": float(max(ratios)),
        "noise_over_added_mask": f"{min(plain):.2f} to {max(plain):.2f}",
        "noise_over_added_magnitude": f"{min(weighted):.2f} to {max(weighted):.2f}",
        **figures,
        "on": "held-out heads of the brain atlas" if atlas else "shapes: no brain-atlas",
    }


def told(figures: dict[str, float | str | None]) -> str:
    """A table as docs/qsm.md has it."""
    rows = [
        "NRMSE, default / tuned on the truth",
        f"| voxels | noise | {' | '.join(METHODS)} |",
        "|-|-|-|-|-|",
    ]
    for voxel_mm in (2, 3):
        for noise in NOISES:
            cells = [figures.get(f"{m}_{voxel_mm}mm_{noise:g}") for m in METHODS]
            if all(cells):
                rows.append(f"| {voxel_mm} mm | {noise:g} | {' | '.join(map(str, cells))} |")
    left = {k: v for k, v in figures.items() if not k.startswith(METHODS)}
    rows += [f"{k}: {v:.3f}" if isinstance(v, float) else f"{k}: {v}" for k, v in left.items()]
    return "\n".join(rows)

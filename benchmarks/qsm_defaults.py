"""What a person gets from a QSM method without a parameter, against the parameter that truth picks.

Heads of the brain atlas that no training sees, and solids, 3 T, 25 ms, noise as a part of the mean
magnitude at TE = 0. NDI has the magnitude as W; TKD and Tikhonov know no W; the net that comes with
Famulus has the mask.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from famulus.feed.data_folder import data_folder
from famulus.feed.streams import stream_seed
from famulus.launch.trained import open_trained
from famulus.tasks.qsm.baselines import invert
from famulus.tasks.qsm.map_scores import nrmse
from famulus.tasks.qsm.ndi import Grid, referenced
from famulus.tasks.qsm.noise import noise_in
from famulus.tasks.qsm.phantoms import Scan, Truth, brain, scan, shapes
from famulus.tasks.qsm.qsm import SHIPPED
from famulus.tasks.qsm.rho import over_noise, sane

NOISES = (0.003, 0.01, 0.03, 0.1, 0.3)
METHODS = ("tkd", "tikhonov", "ndi")
WHOLE = (("head", 2), ("head", 3), ("solids", 1), ("solids", 2))
QUICK = (("head", 3), ("solids", 1))
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

    def learned(self, net: nn.Module) -> float:
        """The net that comes with Famulus, W = mask."""
        rho = sane(over_noise(self.phase, self.mask, self.seen(None)))
        return self.score(self.grid.run(net, self.phase, self.mask, rho))

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


def maps(kind: str, voxel_mm: int, count: int) -> list[Truth]:
    """Heads of the atlas, or solids."""
    seeds = [stream_seed(HELD_OUT, i) for i in range(count)]
    if kind == "head":
        return [brain(data_folder() / "brain-atlas", s, voxel_mm) for s in seeds]
    return [shapes((64,) * 3, s, float(voxel_mm)) for s in seeds]


@torch.no_grad()
def measure(quick: bool) -> dict[str, float | str | None]:
    figures: dict[str, float | str | None] = {}
    ratios, gains, plain, weighted = [], [], [], []
    net = open_trained(SHIPPED["learned"]).module
    atlas = (data_folder() / "brain-atlas").is_dir()
    for kind, voxel_mm in QUICK if quick else WHOLE:
        if kind == "head" and not atlas:
            continue
        truths = maps(kind, voxel_mm, 1 if quick else 2)
        grid = Grid(truths[0].mask.shape, truths[0].geometry)
        for noise in NOISES:
            cases = [Case(t, noise, stream_seed(5, i), grid) for i, t in enumerate(truths)]
            tuned = []
            for method in METHODS:
                pairs = [case.default_and_best(method) for case in cases]
                ratios += [default / best for default, best in pairs]
                default, best = np.mean(pairs, 0)
                tuned.append(best)
                figures[f"{method}_{kind}_{voxel_mm}mm_{noise:g}"] = f"{default:.1f} / {best:.1f}"
            made = float(np.mean([case.learned(net) for case in cases]))
            figures[f"learned_{kind}_{voxel_mm}mm_{noise:g}"] = f"{made:.1f}"
            gains.append(made / min(tuned))
            for case in cases:
                one, two = case.errors_of_noise()
                plain.append(one)
                weighted.append(two)
    return {
        "default_over_tuned_worst": float(max(ratios)),
        "learned_over_best_tuned_worst": float(max(gains)),
        "noise_over_added_mask": f"{min(plain):.2f} to {max(plain):.2f}",
        "noise_over_added_magnitude": f"{min(weighted):.2f} to {max(weighted):.2f}",
        **figures,
        "on": "held-out heads of the brain atlas, and solids"
        if atlas
        else "solids: no brain-atlas",
    }


def told(figures: dict[str, float | str | None]) -> str:
    """A table as docs/qsm.md has it."""
    columns = (*METHODS, "learned")
    rows = [
        "NRMSE, default / tuned on the truth; learned: the net that comes with Famulus",
        f"| map | voxels | noise | {' | '.join(columns)} |",
        "|-|-|-|-|-|-|-|",
    ]
    for kind, voxel_mm in WHOLE:
        for noise in NOISES:
            cells = [figures.get(f"{m}_{kind}_{voxel_mm}mm_{noise:g}") for m in columns]
            if all(cells):
                rows.append(
                    f"| {kind} | {voxel_mm} mm | {noise:g} | {' | '.join(map(str, cells))} |"
                )
    shown = tuple(f"{m}_{kind}" for m in columns for kind in ("head", "solids"))
    left = {k: v for k, v in figures.items() if not k.startswith(shown)}
    rows += [f"{k}: {v:.3f}" if isinstance(v, float) else f"{k}: {v}" for k, v in left.items()]
    return "\n".join(rows)

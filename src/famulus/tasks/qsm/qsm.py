"""QSM: which few gradient steps turn the phase of an MRI scan into a map of susceptibility best?

Shapes: B batch, Z Y X voxels, H = X//2+1, K bins of a spectrum, N steps.
Units: chi ppm, phase rad, fields in ppm where named; `loss` is |chi - truth|^2 / |truth|^2 in the
mask (relative) or its mean square in ppm^2 (l2); `nrmse` and its like are per cent.
Source: Polak et al. 2020, doi:10.1002/nbm.4271. A tissue field is taken for granted: background
fields are not removed.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from famulus.config.errors import ConfigError, DataError
from famulus.config.nearest import suggestion
from famulus.feed.feeder import validation_seeds
from famulus.feed.progress import note
from famulus.feed.source import Splits
from famulus.tasks.base import Batch, Floor, Picture, Position, Proposal, SelfTest, Task, made_up
from famulus.tasks.qsm import baselines as baselines
from famulus.tasks.qsm import map_scores
from famulus.tasks.qsm.adaptive import AdaptiveNdi
from famulus.tasks.qsm.apply import (
    Inversion,
    Inverted,
    field_file,
    invert_file,
    inverted,
    positive,
    scan_of_array,
    unlike_training,
)
from famulus.tasks.qsm.datasets import GREY_MATTER, open_qsm
from famulus.tasks.qsm.dipole import Geometry, apply_kernel, cropped, full_kernel, padded
from famulus.tasks.qsm.field_tests import verdicts
from famulus.tasks.qsm.input_files import OPTIONS, Scanned
from famulus.tasks.qsm.ndi import Grid, Ndi, referenced
from famulus.tasks.qsm.proposal import qsm_proposal
from famulus.tasks.qsm.scores import QSM
from famulus.tasks.qsm.settings import QsmConfig
from famulus.tasks.qsm.slices import kernel_slices, three_slices
from famulus.tasks.qsm.source import SpectrumSource, VolumeSource
from famulus.tasks.qsm.spectrum import Spectrum
from famulus.tasks.qsm.step_plots import drawn_filter, drawn_steps
from famulus.tasks.qsm.steps import Amount, amount

WINDOW_PPM = 0.1  # of pictures
TYPICAL_RHO = 50.0  # at which a net that follows the noise is summed up
TYPICAL_K = 0.1  # cycles per mm, likewise for a preconditioned one
EXAMPLE = 16  # voxels along each side of an example
METHODS = (*baselines.PARAMETERS, "field")
SHIPPED = {"learned": Path(__file__).parent / "learned"}  # trained by experiments/qsm/one-net.yaml


class Qsm(Task):
    Config = QsmConfig
    SCORES = QSM
    OPTIONS: ClassVar[Mapping[str, str]] = {
        **OPTIONS,
        "method": f"{', '.join((*METHODS, *SHIPPED))}: the same scan by another method",
        "threshold": "of --method tkd",
        "alpha": "of --method tikhonov",
        "steps": "of --method ndi",
        "tau": "of --method ndi",
    }
    methods: ClassVar[tuple[str, ...]] = METHODS  # of `apply` without a run
    shipped: ClassVar[Mapping[str, Path]] = SHIPPED
    GRID: ClassVar[type[Grid]] = Grid
    RESULT = "chi.nii.gz"

    # -- what is trained on what -------------------------------------------------------------

    @classmethod
    def proposal(cls, name: str) -> Proposal:
        return qsm_proposal(name)

    def data(self) -> Splits:
        return self._splits

    @cached_property
    def _splits(self) -> Splits:
        data = self.config.data
        maps = (data.name, data.size, data.voxel_mm, data.train, data.validation, data.seed)
        splits = open_qsm(*maps, data.acquisition, tuple(data.voxels_mm))
        if data.form == "volume":
            return splits
        bands = self.config.model.precondition
        train, held_out = (SpectrumSource(s, bands) for s in (splits.train, splits.validation))
        return Splits(train, held_out, splits.notes)

    @property
    def _volumes(self) -> VolumeSource:
        """Held-out volumes, whatever the training looks at."""
        held_out = self._splits.validation
        return held_out.volumes if isinstance(held_out, SpectrumSource) else held_out

    def _grid(self, voxel_mm: float) -> Grid:
        """Of a held-out or training map, all of one shape."""
        if voxel_mm not in self._grids:
            geometry = Geometry.aligned((voxel_mm,) * 3)
            self._grids[voxel_mm] = self.GRID(self._volumes.shape, geometry)
        return self._grids[voxel_mm]

    @cached_property
    def _grids(self) -> dict[float, Grid]:
        return {}

    def build(self) -> nn.Module:
        model = self.config.model
        net: AdaptiveNdi | Ndi
        if model.learn == "adaptive":
            net = AdaptiveNdi(model.steps, tau=model.tau)
        else:
            net = Ndi(
                model.steps,
                form=model.learn,
                momentum=model.momentum,
                start=model.start,
                tau=model.tau,
                precondition=model.precondition,
            )
        # the corner of the half spectrum: Nyquist along all three axes
        net.reach_per_mm = 3**0.5 / 2 / self.config.data.voxel_range_mm[0]
        return net

    def example(self, model: nn.Module) -> tuple[Tensor, ...]:
        """A phase BZYX of the voxels of training, the kernel and all that the net may look at."""
        side = (EXAMPLE,) * 3
        grid = Grid(side, Geometry.aligned((float(self.config.data.voxel_mm),) * 3))
        phase = made_up(1, *grid.sizes) - 0.5
        d_ZH, k_ZH = grid.kernels(torch.device("cpu"))
        return phase, d_ZH, torch.ones_like(phase), torch.full((1,), TYPICAL_RHO), k_ZH

    # -- loss and scores ---------------------------------------------------------------------

    def _invert(self, model: nn.Module, batch: Batch) -> Tensor:
        """chi_BZYX ppm with mean 0 in the mask, and 0 outside."""
        weight = None if self.config.data.weights == "none" else batch["weight"]
        groups, parts = [(float(self.config.data.voxel_mm), slice(None))], []
        if self.config.data.voxels_mm:  # a kernel belongs to a voxel size; waits for the device
            sides = batch["voxel_mm"].tolist()
            groups = [(side, slice(i, i + 1)) for i, side in enumerate(sides)]
        for side, group in groups:
            mine = None if weight is None else weight[group]
            grid = self._grid(side)
            parts.append(grid.run(model, batch["phase"][group], mine, batch["rho"][group]))
        ppm = torch.cat(parts) / batch["rad_per_ppm"].to(parts[0])[:, None, None, None]
        return referenced(ppm, batch["mask"])

    def _spectrum(self, batch: Batch) -> Spectrum:
        return self._splits.validation.spectrum(batch)

    def _errors(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """(error B, power B) a voxel in ppm^2: their quotient is relative."""
        if "a" in batch:
            s = self._spectrum(batch)
            f = _net(model).filter(s.d_K, batch["rho"], s.k_K)
            return s.loss(f), s.c
        chi, truth, mask = self._invert(model, batch), batch["chi"], batch["mask"]
        inside = mask.flatten(1).sum(1)
        error = ((chi - truth) * mask).square().flatten(1).sum(1)
        return error / inside, (truth * mask).square().flatten(1).sum(1) / inside

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        error, power = self._errors(model, batch)
        total = (error / power if self.config.loss.error == "relative" else error).mean()
        return {"total": total.float()}

    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        """Means over samples; for volumes the published scores; always what the steps amount to."""
        rows: list[dict[str, float]] = []
        for batch in batches:
            if "a" in batch:
                error, power = self._errors(model, batch)
                for e, p in zip(error.tolist(), power.tolist(), strict=True):
                    loss = e / p if self.config.loss.error == "relative" else e
                    rows.append({"loss": loss, "nrmse_whole": 100 * (e / p) ** 0.5})
            else:
                chi = self._invert(model, batch)
                rows += [self._judged(chi[i], batch, i) for i in range(len(chi))]
        if not rows:
            raise DataError("expected at least one held-out map, received none")
        # a mean over the maps that did not diverge would praise a net for diverging
        names = [n for n in rows[0] if all(np.isfinite(r[n]) or n == "loss" for r in rows)]
        return {n: float(np.mean([r[n] for r in rows])) for n in names} | self._summed_up(model)

    def _judged(self, chi_ZYX: Tensor, batch: Batch, i: int) -> dict[str, float]:
        x, truth, mask = (
            v.detach().float().cpu().numpy() for v in (chi_ZYX, batch["chi"][i], batch["mask"][i])
        )
        inside = mask > 0
        error, power = (((x - truth)[inside]) ** 2).mean(), (truth[inside] ** 2).mean()
        row = {"loss": float(error / power if self.config.loss.error == "relative" else error)}
        if not np.isfinite(x).all():
            return row | {name: float("nan") for name in (*map_scores.SCORES, "grey_matter_slope")}
        row |= {name: score(x, truth, mask) for name, score in map_scores.SCORES.items()}
        labels = batch["labels"][i].cpu().numpy()
        return row | {"grey_matter_slope": map_scores.region_slope(x, truth, labels, GREY_MATTER)}

    def _summed_up(self, model: nn.Module) -> dict[str, float]:
        what = self.summary(model)
        return {
            "total_step": what.total,
            "half_power_d": what.half_power,
            "tikhonov_alpha": what.tikhonov_alpha,
            "step_spread": what.spread,
            # an infinite score could not be stored
            "growth": min(what.growth, 1e300),
        }

    @torch.no_grad()
    def summary(self, model: nn.Module) -> Amount:
        """What the steps amount to; where they follow the noise or |k|, at typical values."""
        rho = torch.tensor([TYPICAL_RHO], dtype=torch.float64)
        device = next(model.parameters()).device
        net = _net(model)
        tau, beta = net.schedule(rho.to(device))

        def p(d: Tensor) -> Tensor:
            k = torch.full_like(d, TYPICAL_K)
            return net.preconditioner(d.to(device), k.to(device), rho.to(device))[0].cpu()

        conditioned = self.config.model.conditioned
        return amount(tau[0], None if beta is None else beta[0], p if conditioned else None)

    def self_tests(self, model: nn.Module, batch: Batch) -> Iterable[SelfTest]:
        """The operator: its own adjoint, along B0, and does it make the phase of the truth?"""
        v = self._volumes
        seeds = validation_seeds(np.arange(len(v)))
        snrs = (v.acquisition.scan(i, int(seed)).snr for i, seed in enumerate(seeds))
        # The sample with least noise: noise is what no map explains.
        quiet = int(np.argmax([snr or np.inf for snr in snrs]))
        sample = v.gather(np.array([quiet]), seeds[quiet : quiet + 1])
        grid = self._grid(float(sample["voxel_mm"][0]))

        def operator(chi_BZYX: Tensor) -> Tensor:
            kernel, _ = grid.kernels(chi_BZYX.device)
            return cropped(apply_kernel(padded(chi_BZYX, grid.sizes), kernel), v.shape)

        parts = (sample[n] for n in ("phase", "chi", "mask"))
        for verdict in verdicts(operator, v.shape, grid.geometry, *parts):
            yield SelfTest(*verdict)

    # -- what nothing learned scores -----------------------------------------------------------

    def floors(self, data: Splits) -> dict[str, Floor]:
        if isinstance(data.validation, SpectrumSource):
            return self._floors_of_filters(data.validation)
        power, rows = [], []
        for i in range(len(data.validation)):
            # the noise of validation: a range may give the same map another one
            batch = data.validation.gather(np.array([i]), validation_seeds(np.array([i])))
            truth, mask = batch["chi"][0].numpy(), batch["mask"][0].numpy()
            power.append(float((truth[mask > 0] ** 2).mean()))
            maps = self._baselines(batch)
            judged = ("nrmse", "xsim_uniform")
            rows.append(
                {
                    (n, s): map_scores.SCORES[s](m, truth, mask)
                    for n, m in maps.items()
                    for s in judged
                }
            )
        zero = 1.0 if self.config.loss.error == "relative" else float(np.mean(power))
        floors = {
            "zero image": Floor("loss", zero, "zero image"),
            "zero image, nrmse": Floor("nrmse", 100.0, "zero image"),
        }
        for name, score in rows[0]:
            value = float(np.mean([r[name, score] for r in rows]))
            floors[f"{name}, {score}"] = Floor(score, value, name)
        return floors

    def _baselines(self, batch: Batch) -> dict[str, np.ndarray]:
        """Maps ZYX ppm of the first sample by methods that have learned nothing."""
        phase, mask, rho = batch["phase"][:1], batch["mask"][:1], float(batch["rho"][0])
        weight = None if self.config.data.weights == "none" else batch["weight"][:1]
        maps = baselines.maps(phase, weight, rho, self._grid(float(batch["voxel_mm"][0])))
        q = float(batch["rad_per_ppm"][0])
        return {n: _array(referenced(m / q, mask)[0]) for n, m in maps.items()}

    def _floors_of_filters(self, held_out: SpectrumSource) -> dict[str, Floor]:
        batch = held_out.gather(np.arange(len(held_out)), np.zeros(len(held_out), np.uint64))
        s = held_out.spectrum(batch)
        if self.config.loss.error == "relative":
            s = Spectrum(s.d_K, s.a_K / s.c[:, None], s.b_K / s.c[:, None], s.c / s.c, s.k_K)
        filters = baselines.filters(s)
        best = filters.pop(baselines.BEST)
        floors = {n: Floor("loss", float(s.loss(f).mean()), n) for n, f in filters.items()}
        if self.config.model.learn in (
            "free",
            "total",
        ):  # others may beat a filter that is one for all
            bound = float(s.loss(best).mean())
            floors[baselines.BEST] = Floor("loss", bound, "best possible")
        return floors

    # -- to look at, and to use ------------------------------------------------------------------

    def pictures(self, model: nn.Module, fixed: Batch) -> dict[str, Picture]:
        caption = self.summary(model).sentence
        place = next(model.parameters()).device
        with torch.no_grad():
            d = torch.linspace(0.0, 2 / 3, 400, dtype=torch.float64, device=place)
            rho = torch.tensor([TYPICAL_RHO], dtype=torch.float64, device=place)
            f = _net(model).filter(d, rho, torch.full_like(d, TYPICAL_K))
            tau, beta = (None if v is None else _array(v[0]) for v in _net(model).schedule(rho))
        drawn = drawn_filter(_array(d), _array(f[0]), self.summary(model))
        pictures = {
            "steps": Picture({"steps": drawn_steps(tau, beta)}, caption),
            "filter": Picture({"filter over |d|": drawn}, caption),
        }
        if "a" in fixed:  # trained on spectra: still shown on a volume
            fixed = self._volumes.gather(np.zeros(1, np.int64), np.zeros(1, np.uint64))
        batch = {n: v[:1].to(place) for n, v in fixed.items()}
        learned = self._invert(model, batch)[0]
        maps = {"truth": _array(batch["chi"][0]), "learned": _array(learned)}
        maps |= self._baselines(batch)
        rows = {name: three_slices(m, -WINDOW_PPM, WINDOW_PPM) for name, m in maps.items()}
        rows = {"phase": three_slices(_array(batch["phase"][0]), -np.pi, np.pi), **rows}
        window = f"Maps in -{WINDOW_PPM} to {WINDOW_PPM} ppm, phase in -pi to pi."
        grid = self._grid(float(batch["voxel_mm"][0]))
        kernel = full_kernel(grid.kernels(place)[0].cpu(), grid.sizes[2]).numpy()
        slices = kernel_slices(kernel, self._volumes.geometry.b0_zyx)
        pictures["maps"] = Picture(rows, window)
        pictures["kernel"] = Picture({"axial, coronal, sagittal": slices}, "B0 is the red line.")
        return pictures

    def apply(self, model: nn.Module, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        """A map in ppm of a person's own phase; options as in `tasks.qsm.input_files`."""
        if "method" in options:  # to compare: the same scan by a method that has learned nothing
            rest = {n: v for n, v in options.items() if n != "method"}
            return self.apply_method(str(options["method"]), inputs, out, rest)
        data = self.config.data
        run = self._inversion(model)
        te_s = data.te_ms * 1e-3
        invert_file(run, inputs, out, options, data.weights, te_s=te_s, estimate=data.noise)

    @torch.no_grad()
    def use(self, model: nn.Module, inputs: Tensor, options: Mapping[str, Any]) -> Tensor:
        """chi in ppm of a field ZYX, or of several BZYX of one geometry. Options as of a file:
        `units` (rad, hz, ppm), `echo_time` (s), `field_strength` (T), `b0_dir` (x, y, z), `mask`,
        `magnitude` (ZYX); and `voxel_zyx_mm`, which is required."""
        if inputs.ndim == 4:
            return torch.stack([self.use(model, one, options) for one in inputs])
        data = self.config.data
        found = scan_of_array(inputs.cpu().numpy(), options, data.te_ms * 1e-3)
        run, weights = self._inversion(model), data.weights
        return torch.from_numpy(inverted(run, found, weights, estimate=data.noise)[0])

    def _inversion(self, model: nn.Module) -> Inversion:
        net, place, data = _net(model), next(model.parameters()).device, self.config.data

        def run(found: Scanned, phase: Tensor, weight: Tensor | None, rho: Tensor) -> Inverted:
            unlike = unlike_training(found, data, net.reach_per_mm)
            for line in unlike:
                note(line)
            grid = Grid(found.phase_rad.shape, found.geometry)
            weight = None if weight is None else weight.to(place)
            chi = grid.run(net, phase.to(place), weight, rho.to(place)).cpu()
            tau, beta = net.schedule(rho.to(place))
            how = {"Method": "NDI with learned steps", "Steps": _array(tau[0]).tolist()}
            how |= {} if beta is None else {"Momentum": _array(beta[0]).tolist()}
            how |= {"UnlikeTraining": unlike} if unlike else {}
            return chi, how | {"Summary": self.summary(model).sentence}

        return run

    @classmethod
    def apply_method(cls, method: str, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        """The same without a trained run: `tkd`, `tikhonov`, `ndi`, or `field` of many echoes."""
        if method not in METHODS:
            raise ConfigError(f"--method: {suggestion(method, (*METHODS, *SHIPPED))}")
        if method == "field":
            return field_file(inputs, out, options)
        rest = dict(options)
        # taken out: what is left must be options of the scan
        own = {n: positive(n, rest.pop(n)) for n in baselines.PARAMETERS[method] if n in rest}

        def run(found: Scanned, phase: Tensor, weight: Tensor | None, rho: Tensor) -> Inverted:
            grid = Grid(found.phase_rad.shape, found.geometry)
            return baselines.invert(method, phase, weight, float(rho[0]), grid, own)

        # sin and cos understand a wrap, a division in k-space does not
        linear = method != "ndi"
        use = "none" if linear else "either"
        try:
            invert_file(run, inputs, out, rest, use, linear=linear)
        except ValueError as error:
            raise ConfigError(f"--method {method}: {error}") from None


def _net(model: nn.Module) -> Ndi | AdaptiveNdi:
    return cast("Ndi | AdaptiveNdi", model)


def _array(values: Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy()

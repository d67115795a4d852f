"""Nonlinear dipole inversion: an iteration, learned steps, closed-form training, memory."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks.reference_ndi import dipole_kernel_zyx, ndi, ndi_step
from benchmarks.timing import interleaved, ratio
from famulus.feed.data_folder import data_folder
from famulus.feed.streams import stream_seed
from famulus.launch.trained import open_trained
from famulus.tasks.qsm import descent
from famulus.tasks.qsm.baselines import invert
from famulus.tasks.qsm.dipole import Geometry, dipole_kernel, fast_sizes, frequency, padded
from famulus.tasks.qsm.map_scores import SCORES
from famulus.tasks.qsm.ndi import Grid, Ndi, referenced
from famulus.tasks.qsm.phantoms import Scan, Truth, brain, scan, shapes
from famulus.tasks.qsm.qsm import SHIPPED
from famulus.tasks.qsm.rho import Estimate, rho_in, sane
from famulus.tasks.qsm.spectrum import Bins, Spectrum, noise_ratio

SNRS = (10.0, 30.0, 100.0)
UNIT = Geometry.aligned((1.0, 1.0, 1.0))
SHOWN = ("nrmse", "hfen", "xsim_uniform")


class Scores(NamedTuple):
    """Ordered by the first: a lower NRMSE is the better map."""

    nrmse: float
    hfen: float
    xsim: float

    def __str__(self) -> str:
        return f"{self.nrmse:.1f} / {self.hfen:.1f} / {self.xsim:.3f}"


def problem(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Phase and weight of n^3 voxels, and the kernel."""
    random = torch.Generator().manual_seed(0)
    phase = 0.5 * torch.randn(1, n, n, n, generator=random)
    weight = torch.rand(1, n, n, n, generator=random)
    return phase, weight, dipole_kernel((n, n, n), UNIT)


def iteration(n: int, blocks: int) -> dict[str, float]:
    phase, weight, d = problem(n)
    kernel = dipole_kernel_zyx(n)
    taus = [2.0] * 12
    ours = descent.descend(phase, d, torch.tensor(taus), None, weight)[0]
    theirs = ndi(phase[0], weight[0], kernel, taus)
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    del ours
    work = descent.Problem(phase, weight.square(), descent._gain_pairs(d, None))
    state = descent._begin(phase, d, None, None)
    axes, sizes = (1, 2, 3), (n, n, n)

    def one() -> None:
        descent._forward(work, state, [1.0], None)

    def four() -> None:
        ndi_step(theirs, phase[0], weight[0], kernel, 1.0)

    def two() -> None:
        torch.fft.irfftn(torch.fft.rfftn(phase, dim=axes), s=sizes, dim=axes)

    one(), four(), two()  # first calls plan the transforms
    slow, fast = interleaved(four, one, blocks)
    over, upper = ratio(*interleaved(one, two, max(30, blocks)))
    return {
        "speedup_over_4fft": float(np.median(slow / fast)),
        "over_two_ffts": over,
        "over_two_ffts_upper95": upper,
        "max_relative_difference": difference,
        "iteration_ms": 1e3 * float(np.median(fast)),
    }


def truths(quick: bool) -> tuple[list[Truth], list[Truth], str]:
    """Maps to train on and maps held out: the brain atlas where it is, else shapes."""
    folder = data_folder() / "brain-atlas"
    held_out, train = (1, 6) if quick else (3, 12)

    def make(part: int, count: int) -> list[Truth]:
        seeds = [stream_seed(part, i) for i in range(count)]
        if folder.is_dir():
            return [brain(folder, s, 2) for s in seeds]
        return [shapes((64,) * 3, s) for s in seeds]

    return make(1, train), make(2, held_out), "brain-atlas" if folder.is_dir() else "shapes"


def spectra(maps: list[Truth]) -> tuple[Spectrum, torch.Tensor]:
    """Of each map at five SNRs around those that are judged, with the noise seen in each."""
    sizes, geometry = fast_sizes(maps[0].mask.shape), maps[0].geometry
    bins = Bins.of(dipole_kernel(sizes, geometry), sizes[2], frequency(sizes, geometry))
    rows, rhos = [], []
    for i, truth in enumerate(maps):
        for j, snr in enumerate((8.0, 15.0, 30.0, 60.0, 120.0)):
            how = Scan(snr=snr)
            found = scan(truth, how, stream_seed(9, i, j))
            phase, chi = (
                torch.from_numpy(found["phase_whole"])[None],
                torch.from_numpy(truth.chi_ppm),
            )
            field = padded(phase / how.rad_per_ppm, sizes)
            rows.append(bins.spectrum(field, padded(chi[None], sizes)))
            rhos.append(noise_ratio(torch.from_numpy(found["phase"])[None], geometry))
    a, b, c = (torch.cat([getattr(r, n) for r in rows]) for n in ("a_K", "b_K", "c"))
    return Spectrum(bins.d_K, a, b, c, bins.k_K), torch.cat(rhos).double()


def trained(maps: list[Truth], epochs: int, precondition: bool) -> Ndi:
    """8 steps with momentum that follow the noise, in closed form."""
    spectrum, rho = spectra(maps)
    torch.manual_seed(0)
    net = Ndi(8, form="noise", momentum=True, precondition=precondition).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        f = net.filter(spectrum.d_K, rho, spectrum.k_K)
        loss = (spectrum.loss(f) / spectrum.c).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    return net.float().eval()


class Judge:
    """NRMSE, HFEN and XSIM of a method on held-out maps at one SNR, means over the maps."""

    def __init__(self, held_out: list[Truth], snr: float, grid: Grid) -> None:
        self.how, self.grid, self.cases = Scan(snr=snr), grid, []
        for i, truth in enumerate(held_out):
            phase = torch.from_numpy(scan(truth, self.how, i)["phase"])[None]
            self.cases.append((truth, phase, torch.from_numpy(truth.mask)[None]))
        self.rho = float(noise_ratio(self.cases[0][1], grid.geometry)[0])

    @torch.no_grad()
    def scores(self, make: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Scores:
        rows = []
        for truth, phase, mask in self.cases:
            chi = referenced(make(phase, mask) / self.how.rad_per_ppm, mask)[0].numpy()
            rows.append([SCORES[name](chi, truth.chi_ppm, truth.mask) for name in SHOWN])
        return Scores(*np.mean(rows, 0).tolist())

    def uniform(self, total: float) -> Scores:
        return self.scores(lambda phase, m: self.grid.descend(phase, m, [200], total / 200)[0])

    def untrained(self, method: str, key: str, value: float) -> Scores:
        return self.scores(lambda p, m: invert(method, p, m, 1.0, self.grid, {key: value})[0])

    def net(self, net: nn.Module, estimate: Estimate) -> Scores:
        geometry = self.grid.geometry

        def make(phase: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            rho = rho_in(estimate, phase, mask, geometry)
            return self.grid.run(net, phase, mask, rho if estimate == "field" else sane(rho))

        return self.scores(make)


def learned(quick: bool) -> dict[str, float | str]:
    """Scores on held-out maps at three SNRs, against rivals tuned on those very maps."""
    train, held_out, name = truths(quick)
    epochs = 150 if quick else 400
    nets = {"learned": trained(train, epochs, True), "learned_plain": trained(train, epochs, False)}
    shipped = open_trained(SHIPPED["learned"]).module
    grid = Grid(held_out[0].mask.shape, held_out[0].geometry)
    around = np.geomspace(0.4, 2.5, 7 if quick else 13)
    rows: dict[str, list[Scores]] = {
        n: [] for n in ("uniform", "tikhonov", "tkd", *nets, "shipped")
    }
    for snr in SNRS:
        judge = Judge(held_out, snr, grid)
        rows["uniform"].append(min(judge.uniform(0.6 * judge.rho * r) for r in around))
        alphas, thresholds = around / judge.rho, 2.3 / judge.rho**0.5 * around
        rows["tikhonov"].append(min(judge.untrained("tikhonov", "alpha", a) for a in alphas))
        usable = [min(t, 0.62) for t in thresholds]
        rows["tkd"].append(min(judge.untrained("tkd", "threshold", t) for t in usable))
        for kind, net in nets.items():
            rows[kind].append(judge.net(net, "field"))
        rows["shipped"].append(judge.net(shipped, "signal"))
    nrmse = {n: np.array([one.nrmse for one in values]) for n, values in rows.items()}
    best = np.min([nrmse["uniform"], nrmse["tikhonov"], nrmse["tkd"]], 0)
    told = {}
    for i, snr in enumerate(SNRS):
        first = min(rows, key=lambda n: rows[n][i])
        told[f"best_at_snr_{snr:g}"] = f"{first}; " + ", ".join(
            f"{n} {values[i]}" for n, values in rows.items()
        )
    return {
        "learned_nrmse_over_uniform": float(np.max(nrmse["learned"] / nrmse["uniform"])),
        "learned_nrmse_over_best_of_three": float(np.max(nrmse["learned"] / best)),
        "shipped_nrmse_over_best_of_three": float(np.max(nrmse["shipped"] / best)),
        **told,
        "scores_are": "NRMSE / HFEN in per cent / XSIM (uniform window), the best of each rival",
        "nrmse_at": f"SNR {' '.join(f'{s:g}' for s in SNRS)}, {len(held_out)} held-out {name} maps",
    }


@torch.no_grad()
def learned_speed(n: int, blocks: int) -> dict[str, float]:
    """Seconds of 200 equal steps over those of 8 learned ones, with all that they need."""
    phase, weight, _ = problem(n)
    grid = Grid((n, n, n), UNIT)
    grid.kernels(phase.device)
    net = Ndi(8, form="noise", momentum=True, precondition=True)
    grid.run(net, phase, weight, grid.noise_ratio(phase))
    slow, fast = interleaved(
        lambda: grid.descend(phase, weight, [200], 1.0),
        lambda: grid.run(net, phase, weight, grid.noise_ratio(phase)),
        blocks,
    )
    return {"learned_speedup": float(np.median(slow / fast))}


def closed_form() -> dict[str, float]:
    """An epoch of 200 learned steps on spectra of 48^3 voxels, forward, backward and Adam."""
    maps = [shapes((48,) * 3, s) for s in range(4)]
    bins = Bins.of(dipole_kernel((48,) * 3, UNIT), 48)
    rows = [
        bins.spectrum(torch.from_numpy(t.field_ppm)[None], torch.from_numpy(t.chi_ppm)[None])
        for t in maps
    ]
    mean = Spectrum(
        bins.d_K, *(torch.cat([getattr(r, n) for r in rows]) for n in ("a_K", "b_K", "c"))
    ).mean()
    net = Ndi(200).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    times = []
    for _ in range(15):
        start = time.perf_counter()
        optimizer.zero_grad()
        mean.loss(net.filter(mean.d_K)).mean().backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return {"closed_form_ms_per_epoch": 1e3 * float(np.median(times))}


def train_once(n: int) -> None:
    """One step of training 200 steps on n^3 voxels; prints its peak above the start, in volumes."""
    phase, weight, d = problem(n)
    net = Ndi(200, tau=0.3)
    small, small_d = torch.zeros(1, 32, 32, 32), dipole_kernel((32, 32, 32), UNIT)
    net(small, small_d).sum().backward()  # what torch itself takes
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    net(phase, d, weight).square().mean().backward()
    print((_resident("VmHWM") - before) / (4 * n**3))


def _resident(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024


def memory(n: int) -> dict[str, float | str | None]:
    if not Path("/proc/self/clear_refs").exists():
        return {"training_volumes_of_memory": None, "why": "peak memory is read from Linux's /proc"}
    code = f"import torch; torch.set_num_threads({torch.get_num_threads()});"
    code += f"from benchmarks.ndi import train_once; train_once({n})"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {"training_volumes_of_memory": float(out.stdout), "training_size": f"{n}^3, 200 steps"}


def measure(quick: bool) -> dict[str, float | str | None]:
    return {
        **iteration(160, 7 if quick else 30),
        **learned_speed(96 if quick else 160, 3 if quick else 5),
        **learned(quick),
        **closed_form(),
        **memory(96 if quick else 128),
        "threads": str(torch.get_num_threads()),
    }

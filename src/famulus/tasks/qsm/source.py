"""Pairs of phase and susceptibility as samples: volumes, or their spectra over d.

Shapes: B batch, Z Y X voxels, K bins of a spectrum. Units: rad, ppm.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from famulus.feed.source import Source
from famulus.feed.streams import stream_seed
from famulus.images.cache import ByteCache
from famulus.tasks.qsm.dipole import Geometry, Sizes, dipole_kernel, fast_sizes, frequency, padded
from famulus.tasks.qsm.kept import kept_columns
from famulus.tasks.qsm.phantoms import Scan, Truth, scan
from famulus.tasks.qsm.rho import Estimate, rho_in, sane
from famulus.tasks.qsm.spectrum import Bins, Spectrum

Weights = Literal["none", "mask", "magnitude", "either"]
_SCAN = 3  # stream of a seed
_TRUTHS = ByteCache(2 << 30)  # maps and their fields; noise is drawn anew


@dataclass(frozen=True)
class Acquisition:
    """How samples are made of maps: sample i has the SNR number i mod len(snr); what has a range is
    drawn from it, by the sample's seed."""

    b0_t: float = 3.0
    te_ms: float = 25.0
    snr: tuple[float | None, ...] = (50.0,)
    weights: Weights = "mask"
    fresh_noise: bool = True  # new noise in every epoch, or the same one
    noise: Estimate = "field"  # how rho is seen
    snr_range: tuple[float, float] | None = None
    te_range_ms: tuple[float, float] | None = None

    def scan(self, index: int, seed: int = 0) -> Scan:
        snr, te_ms = self.snr[index % len(self.snr)], self.te_ms
        random = np.random.default_rng(stream_seed(seed, _SCAN))
        shares = random.random(2)
        if self.snr_range is not None:
            snr = _between(self.snr_range, shares[0])
        if self.te_range_ms is not None:
            te_ms = _between(self.te_range_ms, shares[1])
        return Scan(self.b0_t, te_ms, snr)

    def weight(self, index: int) -> str:
        """none, mask or magnitude."""
        return ("mask", "magnitude")[index % 2] if self.weights == "either" else self.weights


def _between(limits: tuple[float, float], share: float) -> float:
    low, high = limits
    return float(low * (high / low) ** share)


class VolumeSource(Source):
    """`phase` rad, `weight`, `mask`, `chi` ppm: float32 BZYX, and of each sample, B: `rho`,
    `voxel_mm` and `rad_per_ppm`."""

    # a map is drawn, and its field computed: seconds
    slow = True

    def __init__(
        self,
        make: Callable[[int], Truth],
        seeds: list[int],
        acquisition: Acquisition,
        identity: str,
    ) -> None:
        """`make` is a function of a seed; `identity` says which, and of what files."""
        self.make, self.seeds, self.acquisition, self.identity = make, seeds, acquisition, identity

    @cached_property
    def fingerprint(self) -> str:
        recipe = asdict(self.acquisition)
        # newer than the first release: data as they were keep their fingerprint
        for key, old in (("noise", "field"), ("snr_range", None), ("te_range_ms", None)):
            if recipe[key] == old:
                del recipe[key]
        form = {"of": self.identity, "seeds": self.seeds, "recipe": recipe}
        return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.seeds)

    def truth(self, index: int) -> Truth:
        # shared by all sources of a process: cells of a matrix draw the same maps
        key = (self.identity, self.seeds[index])
        truth = _TRUTHS.get(key)
        if truth is None:
            truth = self.make(self.seeds[index])
            _TRUTHS.put(
                key, truth, sum(v.nbytes for v in vars(truth).values() if hasattr(v, "nbytes"))
            )
        return truth

    @cached_property
    def geometry(self) -> Geometry:
        """Of the first map; `varied` has several."""
        return self.truth(0).geometry

    @cached_property
    def shape(self) -> Sizes:
        return self.truth(0).mask.shape

    def sample(self, index: int, seed: int) -> dict[str, np.ndarray]:
        truth, fixed = self.truth(index), stream_seed(self.seeds[index], 2)
        noise = seed if self.acquisition.fresh_noise else fixed
        how = self.acquisition.scan(index, noise)
        scanned = scan(truth, how, noise)
        use = self.acquisition.weight(index)
        if use != "magnitude":
            scanned["weight"] = truth.mask if use == "mask" else np.ones_like(truth.mask)
        # a batch has the same keys for all samples
        labels = truth.labels if truth.labels is not None else np.zeros(truth.mask.shape, np.uint8)
        rest = {"mask": truth.mask, "chi": truth.chi_ppm, "labels": labels}
        sizes = {"voxel_mm": truth.voxel_mm, "rad_per_ppm": how.rad_per_ppm}
        return {**scanned, **rest, **{n: np.asarray(v) for n, v in sizes.items()}}

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        rows = [self.sample(int(i), int(s)) for i, s in zip(indices, seeds, strict=True)]
        batch = {name: torch.from_numpy(np.stack([r[name] for r in rows])) for name in rows[0]}
        # from the phase alone, as it will be of a person's scan: the true noise is not known there
        batch["rho"] = self.rho(batch)
        return batch

    def rho(self, batch: dict[str, Tensor]) -> Tensor:
        """B: of `phase`, `mask`, `voxel_mm` and, where a magnitude may be W, `weight`."""
        how, rows = self.acquisition, []
        for i, side in enumerate(batch["voxel_mm"].tolist()):
            one = slice(i, i + 1)
            weight = batch["weight"][one] if how.weights in ("magnitude", "either") else None
            geometry = Geometry.aligned((side,) * 3)
            phase, mask = batch["phase"][one], batch["mask"][one]
            rows.append(rho_in(how.noise, phase, mask, geometry, weight))
        rho = torch.cat(rows)
        return rho if how.noise == "field" else sane(rho)

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        return batch

    def to(self, device: torch.device) -> "VolumeSource":
        return self


class SpectrumSource(Source):
    """The same samples for filters: `a`, `b` BK, `c`, `rho` B in float64; W = 1, small phase.

    `b0` and `te` fall out: spectra are those of the field in ppm. Noise is drawn once.
    """

    fingerprint: str

    # after the first time: a few thousand numbers a sample
    slow = False

    def __init__(self, volumes: VolumeSource, bands: bool) -> None:
        """`bands`: bins of d and |k|, for a preconditioned net; else the distinct d."""
        self.volumes, self.bands = volumes, bands
        self.fingerprint = f"{volumes.fingerprint}-{'dk' if bands else 'd'}"

    def __len__(self) -> int:
        return len(self.volumes)

    @cached_property
    def bins(self) -> Bins:
        sizes = fast_sizes(self.volumes.shape)
        kernel = dipole_kernel(sizes, self.volumes.geometry)
        k = frequency(sizes, self.volumes.geometry) if self.bands else None
        return Bins.of(kernel, sizes[2], k)

    @cached_property
    def _columns(self) -> dict[str, Tensor]:
        # drawing whole heads of 1 mm takes minutes, training on their spectra seconds
        return kept_columns(self.fingerprint, len(self), self._made)

    def _made(self) -> dict[str, Tensor]:
        rows: list[tuple[Spectrum, Tensor]] = []
        sizes = fast_sizes(self.volumes.shape)
        for index in range(len(self)):
            sample = self.volumes.sample(index, stream_seed(self.volumes.seeds[index], 3))
            q = float(sample["rad_per_ppm"])
            # Unwrapped: a spectrum is of a linear field, which has no wraps.
            phase, chi = (torch.from_numpy(sample[n])[None] for n in ("phase_whole", "chi"))
            pair = padded(phase / q, sizes), padded(chi, sizes)
            seen = ("phase", "mask", "voxel_mm")
            rho = self.volumes.rho({n: torch.as_tensor(sample[n])[None] for n in seen})
            rows.append((self.bins.spectrum(*pair), rho))
        return {
            "a": torch.cat([s.a_K for s, _ in rows]),
            "b": torch.cat([s.b_K for s, _ in rows]),
            "c": torch.cat([s.c for s, _ in rows]),
            "rho": torch.cat([rho for _, rho in rows]).double(),
        }

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        index = torch.from_numpy(np.asarray(indices, np.int64)).to(self._columns["a"].device)
        return {name: column.index_select(0, index) for name, column in self._columns.items()}

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        return batch

    def to(self, device: torch.device) -> Self:
        return self

    def spectrum(self, batch: dict[str, Tensor]) -> Spectrum:
        d, k = self.bins.d_K.to(batch["a"]), self.bins.k_K
        return Spectrum(d, batch["a"], batch["b"], batch["c"], None if k is None else k.to(d))

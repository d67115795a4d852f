"""The sections of a `qsm` experiment: which maps, what of the steps is learned, which error."""

from typing import Literal, Self

from pydantic import Field, model_validator

from famulus.config.schema import Strict, added
from famulus.tasks.qsm.datasets import VARIED
from famulus.tasks.qsm.rho import Estimate
from famulus.tasks.qsm.source import Acquisition
from famulus.units import rad_from_ppm


class QsmData(Strict):
    """Which maps, and how a scan of them is simulated."""

    name: str = Field(
        "shapes",
        description="shapes, brain-atlas, varied (heads and solids in voxels of many sizes), or a"
        " folder of .npz records",
    )
    form: Literal["volume", "spectrum"] = Field(
        "volume", description="train on volumes, or on spectra over d (W = 1, small phase: exact)"
    )
    size: int = Field(48, ge=8, le=256, description="shapes: side in voxels")
    voxel_mm: int = Field(1, ge=1, le=4, description="voxel size; brain-atlas: voxels averaged")
    train: int = Field(64, ge=1, description="maps to train on")
    validation: int = Field(8, ge=1, description="maps held out")
    snr: list[float | None] = Field(
        [None], min_length=1, description="magnitude over noise, sample by sample; null: no noise"
    )
    b0_t: float = Field(3.0, gt=0, le=30, description="field strength, tesla")
    te_ms: float = Field(25.0, gt=0, le=1000, description="echo time, ms")
    weights: Literal["none", "mask", "magnitude", "either"] = Field(
        "mask", description="W of NDI; either: mask and magnitude by turns, in use what there is"
    )
    noise: Estimate = added(
        "field", "how rho is seen: in the field, or in the complex signal (wraps, offsets, W)"
    )
    fresh_noise: bool = Field(True, description="volume: new noise in every epoch")
    seed: int = Field(0, ge=0, description="which maps")
    voxels_mm: list[float] = added([], "varied: voxel sizes, mm", max_length=20)
    snr_range: tuple[float, float] | None = added(
        None, "instead of snr: drawn anew for each sample, its logarithm uniform"
    )
    te_range_ms: tuple[float, float] | None = added(None, "likewise, instead of te_ms")

    @property
    def acquisition(self) -> Acquisition:
        return Acquisition(
            self.b0_t,
            self.te_ms,
            tuple(self.snr),
            self.weights,
            self.fresh_noise,
            self.noise,
            self.snr_range,
            self.te_range_ms,
        )

    @property
    def rad_per_ppm_range(self) -> tuple[float, float]:
        """The phase that 1 ppm makes, from the shortest to the longest echo time."""
        low, high = self.te_range_ms or (self.te_ms, self.te_ms)
        return rad_from_ppm(1.0, self.b0_t, low), rad_from_ppm(1.0, self.b0_t, high)

    @property
    def voxel_range_mm(self) -> tuple[float, float]:
        """The smallest and the largest voxel."""
        sides = self.voxels_mm or [float(self.voxel_mm)]
        return min(sides), max(sides)


class QsmModel(Strict):
    """N gradient steps and what of them is learned."""

    steps: int = Field(200, ge=1, le=2000, description="gradient steps, two transforms each")
    learn: Literal["free", "total", "noise", "adaptive"] = Field(
        "free",
        description="each step; sum and shares; each as a function of the noise; adaptive: of the"
        " noise, the scan's own spectrum, its voxels and its mask",
    )
    momentum: bool = Field(False, description="learn a momentum a step, too")
    precondition: bool = Field(False, description="learn Wiener's lambda over |k|, too")
    start: Literal["equal", "random", "chebyshev"] = Field("equal", description="of the steps")
    tau: float = Field(2.0, gt=0, description="first step (equal), largest (random) or mean")

    @property
    def conditioned(self) -> bool:
        """Whether steps are divided by d^2 + lambda."""
        return self.precondition or self.learn == "adaptive"


class QsmLoss(Strict):
    error: Literal["relative", "l2"] = Field("relative", description="over |truth|^2, or ppm^2")


class QsmConfig(Strict):
    data: QsmData = QsmData()
    model: QsmModel = QsmModel()
    loss: QsmLoss = QsmLoss()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        data, model = self.data, self.model
        for snr in (*data.snr, *(data.snr_range or ())):
            if snr is not None and not 1 <= snr <= 1e6:
                raise ValueError(f"data.snr: expected 1 to 1e6 or null, received {snr}")
        for name in ("snr_range", "te_range_ms"):
            limits = getattr(data, name)
            if limits and not 0 < limits[0] < limits[1]:
                raise ValueError(f"data.{name}: expected 0 < low < high, received {limits}")
        if data.form == "spectrum" and data.weights in ("magnitude", "either"):
            raise ValueError("data.form spectrum is for W = 1: expected weights none or mask")
        if (data.name == VARIED) != bool(data.voxels_mm):
            raise ValueError(f"data.voxels_mm: expected with data.name {VARIED}, and only there")
        for side in data.voxels_mm:
            if not 0.1 <= side <= 10:
                raise ValueError(f"data.voxels_mm: expected 0.1 to 10 mm, received {side}")
        if model.learn == "adaptive":
            if data.form == "spectrum" or data.weights == "none":
                raise ValueError(
                    "model.learn adaptive keeps to the mask: expected data.form volume and"
                    " data.weights mask, magnitude or either"
                )
            if model.momentum or model.precondition or model.start != "equal":
                raise ValueError(
                    "model.learn adaptive has its own momentum, preconditioner and start: leave"
                    " them out"
                )
        elif data.form == "spectrum" and (data.name == VARIED or data.te_range_ms):
            raise ValueError("data.form spectrum is for one voxel size and one echo time")
        return self

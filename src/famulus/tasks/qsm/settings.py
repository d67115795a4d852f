"""The sections of a `qsm` experiment: which maps, what of the steps is learned, which error."""

from typing import Literal, Self

from pydantic import Field, model_validator

from famulus.config.schema import Strict, added
from famulus.tasks.qsm.rho import Estimate
from famulus.tasks.qsm.source import Acquisition


class QsmData(Strict):
    """Which maps, and how a scan of them is simulated."""

    name: str = Field("shapes", description="shapes, brain-atlas, or a folder of .npz records")
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
    weights: Literal["none", "mask", "magnitude"] = Field("mask", description="W of NDI")
    noise: Estimate = added(
        "field", "how rho is seen: in the field, or in the complex signal (wraps, offsets, W)"
    )
    fresh_noise: bool = Field(True, description="volume: new noise in every epoch")
    seed: int = Field(0, ge=0, description="which maps")

    @property
    def acquisition(self) -> Acquisition:
        return Acquisition(
            self.b0_t, self.te_ms, tuple(self.snr), self.weights, self.fresh_noise, self.noise
        )


class QsmModel(Strict):
    """N gradient steps and what of them is learned."""

    steps: int = Field(200, ge=1, le=2000, description="gradient steps, two transforms each")
    learn: Literal["free", "total", "noise"] = Field(
        "free", description="each step; sum and shares; each as a function of the noise"
    )
    momentum: bool = Field(False, description="learn a momentum a step, too")
    precondition: bool = Field(False, description="learn Wiener's lambda over |k|, too")
    start: Literal["equal", "random", "chebyshev"] = Field("equal", description="of the steps")
    tau: float = Field(2.0, gt=0, description="first step (equal), largest (random) or mean")


class QsmLoss(Strict):
    error: Literal["relative", "l2"] = Field("relative", description="over |truth|^2, or ppm^2")


class QsmConfig(Strict):
    data: QsmData = QsmData()
    model: QsmModel = QsmModel()
    loss: QsmLoss = QsmLoss()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for snr in self.data.snr:
            if snr is not None and not 1 <= snr <= 1e6:
                raise ValueError(f"data.snr: expected 1 to 1e6 or null, received {snr}")
        if self.data.form == "spectrum" and self.data.weights == "magnitude":
            raise ValueError("data.form spectrum is for W = 1: expected weights none or mask")
        return self

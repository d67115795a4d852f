"""The energy of an NVIDIA GPU, by NVML through the module `pynvml` (extra `nvidia`).

Its counter holds millijoules since the driver was loaded (Volta and newer). Where it is not
supported, the power in milliwatts is integrated over samples. Both are calls of the host's driver:
no stream is waited for. Source: NVML API reference, device queries.
"""

import contextlib
import importlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

SAMPLE_S = 1.0  # of power; newer drivers give the mean of that long


class GpuCounter:
    """Energy counted by the GPU."""

    of, every_s = "GPU", None

    def __init__(self, nvml: Any, handle: Any) -> None:
        self.nvml, self.handle = nvml, handle
        # asked once here: a GPU without the counter raises now, and power is sampled instead
        self.zero_mj = nvml.nvmlDeviceGetTotalEnergyConsumption(handle)

    def joules(self) -> float:
        return (self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle) - self.zero_mj) / 1000

    def close(self) -> None:
        self.nvml.nvmlShutdown()


class GpuPower:
    """Power, integrated by trapezoids between readings: an estimate, and it says so."""

    of, every_s = "GPU (sampled)", SAMPLE_S

    def __init__(self, nvml: Any, handle: Any, now: Callable[[], float] = time.monotonic) -> None:
        self.nvml, self.handle, self.now = nvml, handle, now
        self.sum_j = 0.0
        self.at, self.watts = now(), self._watts()

    def _watts(self) -> float:
        return self.nvml.nvmlDeviceGetPowerUsage(self.handle) / 1000

    def joules(self) -> float:
        at, watts = self.now(), self._watts()
        self.sum_j += (at - self.at) * (watts + self.watts) / 2
        self.at, self.watts = at, watts
        return self.sum_j

    def close(self) -> None:
        self.nvml.nvmlShutdown()


def open_device(device: torch.device, nvml: Any = None) -> GpuCounter | GpuPower | None:
    """The energy of `device`; None without `pynvml`, a driver, a counter or a whole GPU."""
    if nvml is None:
        try:
            nvml = importlib.import_module("pynvml")  # an extra, and a driver's own library
        except ImportError:
            return None
    try:
        nvml.nvmlInit()
    except Exception:  # no library, no driver, no permission: all the same to a run
        return None
    try:
        handle = find(nvml, device.index or 0, _uuid(device), os.environ)
        # a counter that others share would charge this run with their work
        if handle is not None and not _shared_out(nvml, handle):
            return _source(nvml, handle)
    except Exception:
        handle = None
    with contextlib.suppress(Exception):
        nvml.nvmlShutdown()
    return None


def find(nvml: Any, index: int, uuid: str | None, environ: Mapping[str, str]) -> Any:
    """NVML's handle of torch's device `index`, or None: rather none than another GPU's.

    Torch counts the visible devices in CUDA's order, NVML all of them in that of the PCI bus. So
    the UUID decides. Without one CUDA_VISIBLE_DEVICES does, whose numbers mean NVML's only where
    the orders agree: one GPU, or CUDA_DEVICE_ORDER=PCI_BUS_ID.
    """
    if uuid is not None:
        return nvml.nvmlDeviceGetHandleByUUID(uuid)
    count = nvml.nvmlDeviceGetCount()
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(n) for n in range(count)]
    if index >= len(names):
        return None
    name = names[index].strip()
    if name.isdecimal():
        agree = count == 1 or environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
        return nvml.nvmlDeviceGetHandleByIndex(int(name)) if agree else None
    handles = [nvml.nvmlDeviceGetHandleByIndex(n) for n in range(count)]
    # The beginning of a UUID may stand there. A MIG device's is found nowhere here.
    matching = [h for h in handles if name and _text(nvml.nvmlDeviceGetUUID(h)).startswith(name)]
    return matching[0] if len(matching) == 1 else None


def _uuid(device: torch.device) -> str | None:
    """As NVML writes it; torch leaves the prefix out."""
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return None if uuid is None else f"GPU-{str(uuid).removeprefix('GPU-')}"


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _shared_out(nvml: Any, handle: Any) -> bool:
    """Is the GPU cut into MIG instances? Its counter is theirs together."""
    try:
        return nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE
    except nvml.NVMLError_NotSupported:
        return False


def _source(nvml: Any, handle: Any) -> GpuCounter | GpuPower:
    try:
        return GpuCounter(nvml, handle)
    except nvml.NVMLError_NotSupported:
        return GpuPower(nvml, handle)

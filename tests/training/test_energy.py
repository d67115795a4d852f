"""Meters against counters whose every reading is known; attempts against their sum."""

import contextlib
import itertools
import json
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from famulus.launch import cell as launching
from famulus.launch.board import describe
from famulus.launch.cell import Machine, Watcher, execute
from famulus.launch.session import Session
from famulus.store.store import Store
from famulus.training import energy, nvml, rapl
from famulus.training.energy import Meter
from famulus.training.precision import Precision
from tests.training.toy import Toy, ready, training

CPU = torch.device("cpu")
A, B = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "GPU-89aa0000-0000-4106-c12f-20bd9faed9f6"


class NotSupported(Exception):
    """NVMLError_NotSupported of the fake."""


class FakeNvml:
    """Two GPUs; `energy`: readings in mJ or an error, `power` in mW."""

    NVMLError_NotSupported = NotSupported
    NVML_DEVICE_MIG_ENABLE = 1

    def __init__(self, energy=(), power=(), mig=None, uuids=(A, B)):
        self.energy, self.power, self.mig, self.uuids = iter(energy), iter(power), mig, uuids
        self.held = 0

    def nvmlInit(self):
        self.held += 1

    def nvmlShutdown(self):
        self.held -= 1

    def nvmlDeviceGetCount(self):
        return len(self.uuids)

    def nvmlDeviceGetHandleByIndex(self, index):
        return self.uuids[index]

    def nvmlDeviceGetHandleByUUID(self, uuid):
        if uuid not in self.uuids:
            raise RuntimeError("Not Found")
        return uuid

    def nvmlDeviceGetUUID(self, handle):
        return handle.encode()  # as old versions of the module do

    def nvmlDeviceGetMigMode(self, handle):
        if self.mig is None:
            raise NotSupported
        return [self.mig, self.mig]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        return self._next(self.energy)

    def nvmlDeviceGetPowerUsage(self, handle):
        return self._next(self.power)

    @staticmethod
    def _next(readings):
        value = next(readings, NotSupported())
        if isinstance(value, Exception):
            raise value
        return value


@pytest.fixture
def gpu(monkeypatch):
    """torch's device 0 is the GPU that NVML counts as 1."""
    properties = SimpleNamespace(uuid=B.removeprefix("GPU-"))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    return torch.device("cuda", 0)


# -- sources -------------------------------------------------------------------------------


def test_the_counter_of_the_gpu_in_use(gpu):
    fake = FakeNvml(energy=[9_000_000_000_000, 9_000_000_001_500, 9_000_000_004_000])
    source = nvml.open_device(gpu, fake)
    assert (source.of, source.handle) == ("GPU", B)
    assert [source.joules(), source.joules()] == [1.5, 4.0]
    source.close()
    assert fake.held == 0


def test_power_is_integrated_where_there_is_no_counter():
    clock = iter([0.0, 1.0, 3.0])
    fake = FakeNvml(power=[100_000, 200_000, 0])
    source = nvml.GpuPower(fake, A, now=lambda: next(clock))
    assert source.joules() == 150.0  # the mean of 100 and 200 W, for 1 s
    assert source.joules() == 150.0 + 200.0  # and of 200 and 0 W, for 2 s
    assert "sampled" in source.of


def test_what_a_driver_does_not_support_is_not_shown(gpu):
    power_only = FakeNvml(power=[1000, 1000])
    assert isinstance(nvml.open_device(gpu, power_only), nvml.GpuPower)
    neither = FakeNvml()
    assert nvml.open_device(gpu, neither) is None
    assert neither.held == 0
    broken = SimpleNamespace(nvmlInit=lambda: 1 / 0)  # no driver
    assert nvml.open_device(gpu, broken) is None


def test_a_gpu_that_is_cut_into_instances_has_no_counter_of_ours(gpu):
    cut, whole = (FakeNvml(energy=[0, 1], mig=mig) for mig in (1, 0))
    assert nvml.open_device(gpu, cut) is None
    assert cut.held == 0
    assert nvml.open_device(gpu, whole) is not None


@pytest.mark.parametrize(
    ("index", "uuid", "environ", "handle"),
    [
        (0, B, {"CUDA_VISIBLE_DEVICES": "0"}, B),  # the UUID decides
        (0, None, {"CUDA_VISIBLE_DEVICES": "1,0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, B),
        (1, None, {"CUDA_VISIBLE_DEVICES": "1,0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, A),
        (0, None, {"CUDA_VISIBLE_DEVICES": "1"}, None),  # in an order that NVML may not share
        (0, None, {"CUDA_VISIBLE_DEVICES": "GPU-89aa"}, B),
        (0, None, {"CUDA_VISIBLE_DEVICES": "GPU-89"}, None),  # either
        (0, None, {"CUDA_VISIBLE_DEVICES": f"MIG-{B}/1/0"}, None),
        (1, None, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, B),
        (0, None, {}, None),
        (2, None, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, None),
    ],
)
def test_torchs_device_is_found_among_nvmls(index, uuid, environ, handle):
    assert nvml.find(FakeNvml(), index, uuid, environ) == handle


def test_the_index_of_the_only_gpu_is_sure():
    assert nvml.find(FakeNvml(uuids=(A,)), 0, None, {}) == A


def zone(root, name, says, energy_uj, most_uj=262_143_328_850):
    folder = root / name
    folder.mkdir(exist_ok=True)
    for file, value in (("name", says), ("energy_uj", energy_uj), ("max_energy_range_uj", most_uj)):
        (folder / file).write_text(f"{value}\n")
    return folder


def test_packages_are_added_and_wrap_around(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 262_143_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 5)
    zone(tmp_path, "intel-rapl:2", "psys", 0)
    zone(tmp_path, "intel-rapl:0:0", "package-0", 0)  # a part, whatever it calls itself
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0)  # the first one, seen from elsewhere
    source = rapl.open_packages(tmp_path)
    zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)  # 328,850 + 1,000,000 further
    zone(tmp_path, "intel-rapl:1", "package-1", 2_000_005)
    for other in ("intel-rapl:2", "intel-rapl:0:0", "intel-rapl-mmio:0"):
        zone(tmp_path, other, "core", 77_000_000)
    assert source.joules() == pytest.approx(0.328850 + 1.0 + 2.0, abs=1e-9)
    assert source.joules() == pytest.approx(3.328850, abs=1e-9)  # no time, no energy
    assert 0 < source.every_s <= 262  # soon enough to see each wrap of 262 kJ at a kilowatt


@pytest.mark.parametrize(("joules", "every_s"), [(30_000, 30.0), (262_143, 60.0)])
def test_a_counter_is_read_before_a_kilowatt_could_wrap_it_and_once_a_minute(
    tmp_path, joules, every_s
):
    zone(tmp_path, "intel-rapl:0", "package-0", 0, joules * 1_000_000)
    assert rapl.open_packages(tmp_path).every_s == pytest.approx(every_s)


def test_without_readable_packages_there_is_no_meter(tmp_path):
    assert rapl.open_packages(tmp_path / "none") is None
    zone(tmp_path, "intel-rapl:0", "psys", 1)
    assert rapl.open_packages(tmp_path) is None
    counter = zone(tmp_path, "intel-rapl:1", "package-0", 1) / "energy_uj"
    assert rapl.open_packages(tmp_path) is not None
    counter.unlink()
    counter.mkdir()  # as unreadable as a file of root's
    assert rapl.open_packages(tmp_path) is None
    with energy.metering(torch.device("meta")) as meter:
        assert meter is None


# -- meter and loop ------------------------------------------------------------------------


class Counted:
    """Each reading is `each` joules more than the last one; the `broken`-th raises."""

    of, every_s = "GPU", None

    def __init__(self, each=1.0, broken=None, value=None):
        self.each, self.broken, self.value = each, broken, value
        self.read = 0
        self.closed = False

    def joules(self):
        self.read += 1
        if self.read == self.broken:
            if self.value is None:
                raise OSError("GPU is lost")
            return self.value
        return self.read * self.each

    def close(self):
        self.closed = True


class Ticking:
    """A clock: each look is `step_s` later."""

    def __init__(self, step_s):
        self.step_s, self.at = step_s, 0.0

    def __call__(self):
        self.at += self.step_s
        return self.at


def test_watts_are_means_between_looks_at_least_a_second_apart():
    source = Counted(each=50.0)
    meter = Meter(source, now=Ticking(0.4))
    meter.start(None, 0.0)
    assert [meter.watts() for _ in range(3)] == [None, None, pytest.approx(50 / 1.2)]
    assert source.read == 2  # a look more often than that costs no reading
    assert [meter.watts() for _ in range(2)] == [pytest.approx(50 / 1.2)] * 2


def test_a_thread_reads_counters_that_must_not_be_missed():
    source = Counted()
    source.every_s = 0.01
    with Meter(source) as meter:
        meter.start(None, 0.0)
        until = time.monotonic() + 10
        while source.read < 3 and time.monotonic() < until:
            time.sleep(0.01)
    assert source.read >= 3
    assert source.closed
    assert meter.total() is not None
    for thread in threading.enumerate():
        if thread.name == "energy":
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def store():
    return Store.open(f"memory://energy-{time.monotonic_ns()}")


def train(store, monkeypatch, source, interrupted=lambda: None, id_="e" * 12, task=None, **more):
    """(outcome, done.json, train events, statuses) of the toy cell with `source` as its counter."""
    monkeypatch.setattr(energy, "open_counter", lambda device: source)
    machine, seen = Machine(CPU, Precision("fp32"), 1), []
    watcher = Watcher(interrupted=interrupted, status=lambda s: seen.append(s.watts))
    outcome = execute(Session(store), ready(task or Toy(), training(**more), id_), machine, watcher)
    run = store.run("toy", "cell", id_)
    events = [e for e in run.events() if e["kind"] == "train"]
    return outcome, run.done() or {}, events, seen


def after(steps):
    counter = itertools.count(1)
    return lambda: "SIGINT" if next(counter) >= steps else None


def joules(state):
    return state["progress"]["energy"]["joules"]


def newest_state(store, id_="e" * 12):
    run = store.run("toy", "cell", id_)
    return run.open_checkpoint(run.checkpoints()[-1]).state


def test_an_interrupted_attempts_energy_counts(store, monkeypatch):
    """Each attempt's share is what its own counter went up by, from its first reading on."""
    first, second = Counted(each=3600.0), Counted(each=1800.0)
    outcome, done, *_ = train(store, monkeypatch, first, after(11))
    assert (outcome.status, done) == ("interrupted", {})
    before = (first.read - 1) * 3600.0
    assert joules(newest_state(store)) == before
    outcome, done, *_ = train(store, monkeypatch, second)
    assert outcome.status == "finished"
    total = before + (second.read - 1) * 1800.0
    assert done["energy_wh"] == pytest.approx(total / 3600, rel=1e-12)
    assert done["energy_of"] == "GPU"
    assert done["watts"] == pytest.approx(total / done["seconds"], rel=0.05)  # rounded seconds
    assert first.closed
    assert second.closed


def test_a_meter_that_forgets_what_was_before_is_seen(store, monkeypatch):  # the broken twin
    class Forgetful(Meter):
        def start(self, before, seconds):
            super().start(None, 0.0)

    train(store, monkeypatch, Counted(each=3600.0), after(11))
    kept = joules(newest_state(store))
    monkeypatch.setattr(energy, "Meter", Forgetful)
    second = Counted(each=1800.0)
    _, done, *_ = train(store, monkeypatch, second)
    assert kept > 0
    assert done["energy_wh"] == pytest.approx((second.read - 1) * 0.5)


def test_a_sum_with_an_unmeasured_attempt_is_not_known(store, monkeypatch):
    train(store, monkeypatch, None, after(11))
    _, done, *_ = train(store, monkeypatch, Counted())
    assert "energy_wh" not in done
    train(store, monkeypatch, Counted(), after(11), id_="f" * 12)
    _, done, *_ = train(store, monkeypatch, None, id_="f" * 12)
    assert "energy_wh" not in done


def test_two_devices_are_named(store, monkeypatch):
    train(store, monkeypatch, Counted(), after(11))
    other = Counted()
    other.of = "CPU package"
    _, done, *_ = train(store, monkeypatch, other)
    assert done["energy_of"] == "GPU and CPU package"


@pytest.mark.parametrize("value", [None, -1.0, float("nan"), "no number"])
def test_a_meter_that_breaks_ends_no_run(store, monkeypatch, value):
    outcome, done, *_ = train(store, monkeypatch, Counted(broken=3, value=value))
    assert outcome.status == "finished"
    assert "energy_wh" not in done
    assert done["energy_lost"]
    json.dumps(done, allow_nan=False)


def test_a_run_that_fails_tells_what_it_took(store, monkeypatch):
    task = Toy(poison=lambda step: float("nan") if step == 13 else 1.0)
    source = Counted(each=3600.0)
    outcome, done, *_ = train(store, monkeypatch, source, task=task)
    assert outcome.status == "failed"
    assert done["energy_wh"] == source.read - 1


def test_nothing_is_read_in_a_step_and_nothing_shown_without_a_meter(store, monkeypatch):
    monkeypatch.setattr(energy, "LAP_S", float("inf"))
    source = Counted()
    quiet = {"validate_every": None, "checkpoint_every": None, "pictures_every": None}
    train(store, monkeypatch, source, log_every={"steps": 1}, **quiet)
    assert source.read == 2  # at the start and with the last checkpoint, of 40 logs
    _, done, events, seen = train(store, monkeypatch, None, id_="f" * 12)
    assert not {"energy_wh", "energy_of", "watts", "energy_lost"} & set(done)
    assert not any("watts" in event for event in events)
    assert set(seen) == {None}


def test_watts_are_on_the_line_where_they_are_known(store, monkeypatch):
    monkeypatch.setattr(energy, "LAP_S", 0.0)
    _, _, events, seen = train(store, monkeypatch, Counted())
    assert all(watts > 0 for watts in seen)
    assert [event["watts"] for event in events] == seen
    status = SimpleNamespace(
        progress=SimpleNamespace(inputs=64, scores={}),
        **{"budget": 640, "values": {}, "rate": 1.0, "wait": 0.0, "left_s": 1.0, "watts": 311.7},
    )
    assert describe(status)["power"] == "312 W"
    status.watts = None
    assert "power" not in describe(status)


def test_a_run_opens_the_meter_of_its_device(store, monkeypatch):
    asked, none = [], contextlib.nullcontext
    monkeypatch.setattr(launching, "metering", lambda device: asked.append(device) or none())
    machine = Machine(CPU, Precision("fp32"), 1)
    execute(Session(store), ready(Toy(), training(), "e" * 12), machine, Watcher())
    assert asked == [CPU]

"""Probes in a plain loop: figures against float64 NumPy, and training that does not notice them."""

import copy
import io

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_module

from famulus.diagnosis.probes import layers as probe_layers
from famulus.diagnosis.probes import outputs as probe_outputs
from famulus.diagnosis.probes import tensors as probe_tensors
from famulus.diagnosis.probes.probe import Probe, due


class Small(nn.Module):
    """Two convolutions and a Linear; functions and modules as activations."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 4, 3)
        self.drop = nn.Dropout(0.3)
        self.hidden = nn.Linear(64, 5)
        self.act = nn.Tanh()
        self.last = nn.Linear(5, 2)

    def forward(self, x):
        x = F.relu(self.norm(self.first(x)))
        x = self.drop(F.relu(self.second(x)).flatten(1))
        return self.last(self.act(self.hidden(x)))


def made(seed=0):
    torch.manual_seed(seed)
    return Small(), torch.randn(10, 1, 8, 8), torch.randn(10, 2)


def step(model, optimizer, x, y, probe=None, number=0, clip=None):
    if probe:
        probe.begin(number, number * len(x))
    out = model(x)
    loss = (out - y).square().mean()
    loss.backward()
    if probe:
        probe.gradients()
    if clip:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    optimizer.zero_grad()
    if probe:
        probe.batch({"inputs": x, "outputs": out, "targets": y})


def probed(model, optimizer, x, y, **more):
    probe = Probe(model, optimizer)
    step(model, optimizer, x, y, probe, **more)
    (event,) = probe.take()
    return event, {layer["name"]: layer for layer in event["layers"]}


def rms(*tensors):
    flat = np.concatenate([t.detach().double().numpy().ravel() for t in tensors])
    return np.sqrt((flat**2).mean())


def close(value):
    return pytest.approx(value, rel=1e-3)  # events hold four digits


def test_powers_of_two_then_a_grid_that_grows_coarser():
    steps = [s for s in range(100_000) if due(s)]
    assert steps[:11] == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 384]
    assert all(s * 2 in steps for s in steps if s * 2 < 100_000 and s)  # on every scale alike
    gaps = np.diff(steps[steps.index(2048) :])
    assert gaps.min() == 128
    assert (gaps <= np.array(steps[steps.index(2048) : -1]) / 16).all()
    assert [s for s in range(50) if due(s, 10)] == [0, 1, 2, 4, 8, 10, 20, 30, 40]
    assert not any(due(s, 0) for s in range(300))


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_weights_gradients_and_updates_are_those_of_float64(name):
    model, x, y = made()
    twin = copy.deepcopy(model)
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.05)
    torch.manual_seed(1)
    event, layers = probed(model, optimizer, x, y, clip=1e-3)
    torch.manual_seed(1)
    (twin(x) - y).square().mean().backward()  # what was there before clipping
    for key in ("first", "norm", "second", "hidden", "last"):
        before, after = (getattr(net, key).parameters() for net in (twin, model))
        before, after = list(before), list(after)
        assert layers[key]["weight"] == close(rms(*before))
        assert layers[key]["grad"] == close(rms(*(p.grad for p in before)))
        pairs = zip(after, before, strict=True)
        assert layers[key]["update"] == close(rms(*(a - b for a, b in pairs)))
        assert layers[key]["moved"]
        assert layers[key]["numbers"] == sum(p.numel() for p in before)
    assert (event["kind"], event["step"], event["inputs"]) == ("probe", 0, 0)


def test_activations_are_those_of_numpy():
    model, x, y = made()
    with torch.no_grad():
        model.second.bias[1] = -100.0  # one of four channels never fires
        model.hidden.weight *= 30
    twin = copy.deepcopy(model)
    torch.manual_seed(1)
    _, layers = probed(model, torch.optim.SGD(model.parameters(), lr=0.1), x, y)
    torch.manual_seed(1)
    with torch.no_grad():
        second = twin.second(F.relu(twin.norm(twin.first(x)))).double()
        rectified = second.relu()
        tanh = twin.act(twin.hidden(twin.drop(rectified.float().flatten(1)))).double()
    assert layers["second"]["mean"] == close(float(second.mean()))
    assert layers["second"]["std"] == close(float(second.std(correction=0)))
    assert layers["second"]["dead"] == 0
    assert "second > relu" not in layers  # dropout stands between it and the next layer
    assert layers["norm > relu"]["zeros"] == pytest.approx(0.5, abs=0.1)
    assert layers["act"]["saturated"] == close(float((tanh.abs() > 0.97).double().mean()))
    assert layers["act"]["saturated"] > 0.05
    assert layers["first"]["saturated"] is None


def test_a_unit_that_never_fires_is_dead_also_behind_a_function_and_a_reshape():
    torch.manual_seed(0)
    model = nn.ModuleDict({"conv": nn.Conv2d(1, 4, 3), "line": nn.Linear(144, 2)})
    with torch.no_grad():
        model["conv"].bias[2] = -100.0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = Probe(model, optimizer)
    zeros = []
    for layout in (torch.contiguous_format, torch.channels_last):
        probe.begin(0)
        hidden = F.relu(model["conv"](torch.randn(7, 1, 8, 8).contiguous(memory_format=layout)))
        zeros.append(float((hidden == 0).double().mean()))
        model["line"](hidden.flatten(1)).sum().backward()
        optimizer.step()
    for event, share in zip(probe.take(), zeros, strict=True):
        layers = {layer["name"]: layer for layer in event["layers"]}
        assert layers["conv > relu"]["dead"] == 0.25
        assert layers["conv > relu"]["zeros"] == close(share)
        assert layers["conv"]["dead"] == 0  # before the function it still varies


@pytest.mark.parametrize("shape", [(6, 12), (5, 12, 3), (4, 12, 8, 8), (3, 12, 4, 4, 4)])
@pytest.mark.parametrize("axis", [1, -1])
def test_extremes_of_units_are_those_of_a_loop(shape, axis):
    torch.manual_seed(0)
    value = torch.randn(shape)
    laid = [value]
    if len(shape) == 4:
        laid += [value.contiguous(memory_format=torch.channels_last), value.transpose(2, 3)]
    for tensor in laid:
        low, high = probe_tensors.unit_extremes(tensor, axis)
        units = tensor.movedim(axis, 0)
        assert low.tolist() == [float(u.min()) for u in units]
        assert high.tolist() == [float(u.max()) for u in units]


@pytest.mark.parametrize(("scale", "apart"), [(1.0, 0.0), (1e-12, 0.0), (3.0, 1e3), (1e10, 0.0)])
def test_moments_are_those_of_float64(scale, apart):
    torch.manual_seed(0)
    values = scale * torch.randn(16_384) + apart
    mean, variance = probe_tensors.moments(values)
    exact = values.double().numpy()
    assert float(mean) == pytest.approx(exact.mean(), abs=1e-5 * scale + 1e-6 * apart)
    assert float(variance) == pytest.approx(exact.var(), rel=1e-4, abs=0)
    assert float(variance) != pytest.approx(exact.var() + (apart or scale) ** 2, rel=0.1, abs=0)
    same = torch.full((999,), 0.1)
    assert float(probe_tensors.moments(same)[1]) < 1e-12


def test_the_largest_change_is_seen_where_its_square_is_0():
    changes = [torch.tensor([0.0, -1e-30]), torch.zeros(3), torch.tensor([3 - 4j, 0j])]
    largest = probe_tensors.largest_of(changes).tolist()
    assert largest[:2] == [pytest.approx(1e-30), 0.0]
    assert largest[2] > 0
    assert float(probe_tensors.norms([torch.tensor([0.0, -1e-30])])) == 0.0


def test_a_sample_is_even_on_every_axis():
    value = torch.arange(32 * 6 * 24 * 24.0).reshape(32, 6, 24, 24)
    picked = probe_tensors.sampled(value).long()
    assert 8_000 < len(picked) <= probe_tensors.SAMPLE
    for size, step_ in ((24, 1), (24, 24), (6, 576), (32, 3456)):
        counts = torch.bincount(picked // step_ % size, minlength=size)
        assert counts.min() > 0.9 * counts.float().mean()


def test_what_does_not_move_is_told_apart():
    model, x, y = made()
    model.first.requires_grad_(False)
    held = [*model.norm.parameters(), *model.hidden.parameters(), *model.last.parameters()]
    optimizer = torch.optim.SGD([{"params": held}], lr=0.1)
    optimizer.add_param_group({"params": list(model.first.parameters())})
    _, layers = probed(model, optimizer, x, y)
    told = {k: (v["trainable"], v["held"], v["moved"]) for k, v in layers.items() if v["numbers"]}
    assert told["first"] == (False, True, False)
    assert told["second"] == (True, False, False)
    assert told["hidden"] == (True, True, True)
    assert layers["first"]["grad"] is None
    assert layers["second"]["grad"] > 0


def test_an_update_too_small_to_change_a_bit_has_moved_nothing():
    model, x, y = made()
    _, layers = probed(model, torch.optim.SGD(model.parameters(), lr=1e-30), x, y)
    # biases of the normalisation start at 0, where any step is one
    assert [layers[k]["moved"] for k in ("first", "second", "norm")] == [False, False, True]
    assert layers["first"]["grad"] > 0
    assert layers["first"]["update"] == 0


def test_rank_of_the_narrowest_layer_is_that_of_its_singular_values():
    model, x, y = made()
    model.drop.p = 0.0
    seen = []
    model.hidden.register_forward_hook(lambda *call: seen.append(call[2].detach()))
    event, _ = probed(model, torch.optim.SGD(model.parameters(), lr=0.1), x, y)
    features = seen[0].double().numpy()
    values = np.linalg.svd(features - features.mean(0), compute_uv=False)
    share = values / values.sum()
    expected = pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=2e-3)
    assert event["rank"] == {"layer": "hidden", "of": 5, "effective": expected}
    with torch.no_grad():  # two directions only, far from the origin
        model.hidden.weight.copy_(torch.randn(5, 2) @ torch.randn(2, 64))
        model.hidden.bias.add_(50)
    event, _ = probed(model, torch.optim.SGD(model.parameters(), lr=0.0), x, y)
    assert 1 <= event["rank"]["effective"] <= 2.01


def test_a_batch_is_described():
    model, x, y = made()
    x[3, 0, 0, 0] = torch.inf
    same = x[:1].expand(10, -1, -1, -1)
    probe = Probe(model, None)
    probe.begin(0)
    tensors = {"inputs": x, "targets": y, "same": same, "ids": torch.arange(4), "name": "text"}
    probe.batch(tensors)
    (event,) = probe.take()
    batch = event["batch"]
    assert list(batch) == ["inputs", "targets", "same", "ids"]
    assert [batch[k]["finite"] for k in batch] == [False, True, True, True]
    assert batch["targets"]["mean"] == close(float(y.double().mean()))
    spread = float(y.double().var(0, correction=0).mean().sqrt() / y.double().std(correction=0))
    assert batch["targets"]["spread"] == close(spread)
    assert batch["same"]["spread"] < 1e-6
    assert (batch["ids"]["min"], batch["ids"]["max"], batch["ids"]["mean"]) == (0, 3, 1.5)
    assert batch["ids"]["std"] == close(1.25**0.5)  # of all four, not of a sample of them


@pytest.mark.parametrize(
    ("kind", "values", "share"),
    [
        ("Tanh", (-0.98, -0.96, 0.96, 0.98), 0.5),
        ("Sigmoid", (0.019, 0.021, 0.979, 0.981), 0.5),
        ("Hardtanh", (-1.0, -0.99, 0.99, 1.0), 0.5),
        ("ReLU", (0.0, 5.0), None),
    ],
)
def test_the_flat_part_of_an_activation_begins_where_its_slope_ends(kind, values, share):
    part = probe_outputs.flat_part(kind, torch.tensor(values))
    assert (None if part is None else float(part)) == share


class Odd(nn.Module):
    """Shared weights, a parameter of its own, a layer called twice, outputs that are no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.left, self.right = nn.Linear(3, 3), nn.Linear(3, 3)
        self.right.weight = self.left.weight
        self.flat = Flat()
        self.wrapped = Wrapped()

    def encode(self, x):
        return self.left(self.left(x))

    def forward(self, x):
        return self.wrapped(self.flat(self.right(self.encode(x)))) * self.scale


class Flat(nn.Module):
    """Neither weights nor an activation: no line."""

    def forward(self, x):
        return x.view(-1, 3)


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.GRU(3, 4, batch_first=True)
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return (self.inner(x[:, None])[0][:, 0] * self.weight).sum()


def test_odd_modules():
    torch.manual_seed(0)
    model = Odd()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = Probe(model, optimizer)
    probe.begin(0)
    model(torch.randn(5, 3)).backward()
    optimizer.step()
    (event,) = probe.take()
    layers = {layer["name"]: layer for layer in event["layers"]}
    assert list(layers) == ["left", "right", "wrapped.inner", "wrapped", "Odd"]  # as they end
    assert [v["numbers"] for v in layers.values()] == [12, 3, 108, 4, 1]
    assert [v["calls"] for v in layers.values()] == [2, 1, 1, 1, 1]
    assert sum(v["numbers"] for v in layers.values()) == sum(p.numel() for p in model.parameters())


def test_what_can_not_be_read_is_left_out():
    """Inside of torch.func tensors have other insides; a quantised weight has no gradient."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    model[1].codes = nn.Parameter(torch.ones(4, dtype=torch.int8), requires_grad=False)
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    probe = Probe(model, optimizer)
    probe.begin(0)
    torch.func.vmap(model)(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    first, second = probe.take()[0]["layers"]
    assert (first["calls"], first["mean"]) == (1, None)
    assert first["moved"]
    assert second["numbers"] == 4


def test_parts_that_are_compiled_get_no_hook():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    model[0] = torch.compile(model[0], backend="eager")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = Probe(torch.compile(model, backend="eager"), optimizer)
    probe.begin(0)
    assert not torch_module._global_forward_hooks
    assert [layer["name"] for layer in probe.take()[0]["layers"]] == ["0", "1"]


def test_layers_come_as_they_are_called():
    model = nn.ModuleDict({name: nn.Linear(2, 2) for name in ("a", "unused", "b", "c")})
    probe = Probe(model, None)
    probe.begin(0)
    model["c"](model["a"](model["b"](torch.randn(3, 2))))
    names = [layer["name"] for layer in probe.take()[0]["layers"]]
    assert names == ["b", "a", "unused", "c"]


def test_of_many_layers_some_are_named_and_the_others_counted():
    deep = nn.Sequential(*(m for _ in range(100) for m in (nn.Linear(2, 2), nn.ReLU())))
    probe = Probe(deep, None)
    probe.begin(0)
    (event,) = probe.take()
    names = [layer["name"] for layer in event["layers"]]
    assert (len(names), event["more"]) == (probe_layers.MOST, 200 - 64)
    assert (names[0], names[-1]) == ("0", "198")
    assert all(layer["calls"] == 0 and layer["moved"] is None for layer in event["layers"])


def trained(watch, autocast=False, steps=6):
    model, x, y = made()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=True)
    probe = Probe(model, optimizer) if watch else None
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        for number in range(steps):
            step(model, optimizer, x, y, probe, number)
    return model.state_dict(), probe.take() if probe else []


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in b)


@pytest.mark.parametrize("autocast", [False, True])
def test_training_is_the_same_bit_for_bit(autocast):
    watched, events = trained(True, autocast)
    assert same(watched, trained(False, autocast)[0])
    assert [event["step"] for event in events] == [0, 1, 2, 4]


def test_a_frozen_transformer_keeps_its_fast_path(monkeypatch):
    """torch computes it otherwise while there are hooks in it."""
    body = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    model = nn.Sequential(body, nn.Linear(8, 1))
    fast, quick = [], torch._transformer_encoder_layer_fwd
    monkeypatch.setattr(
        torch, "_transformer_encoder_layer_fwd", lambda *a: (fast.append(1), quick(*a))[1]
    )
    probe = Probe(model, None)
    with torch.no_grad():
        probe.begin(0)
        model(torch.randn(3, 4, 8))
        (event,) = probe.take()
        assert len(fast) == 1
        body.linear1.register_forward_hook(lambda *call: None)
        model(torch.randn(3, 4, 8))
    assert len(fast) == 1
    assert event["layers"][-1]["calls"] == 1


def test_a_probe_that_draws_is_seen(monkeypatch):
    """Negative control of the test above: one random number, and dropout differs."""
    dead = probe_outputs.put_dead
    monkeypatch.setattr(probe_outputs, "put_dead", lambda *a: (torch.rand(1), dead(*a))[1])
    assert not same(trained(True)[0], trained(False)[0])


def hooks(optimizer):
    found = torch_module._global_forward_hooks, torch_module._global_forward_pre_hooks
    return any(found) or bool(optimizer._optimizer_step_pre_hooks)


def test_hooks_are_there_in_sampled_steps_only():
    model, x, y = made()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = Probe(model, optimizer)
    for number in range(4):
        probe.begin(number)
        assert hooks(optimizer) == (number != 3)
        step(model, optimizer, x, y)
        assert not hooks(optimizer)
    probe.begin(4)
    probe.close()  # as where a loop ends by an error
    assert not hooks(optimizer)
    assert probe.take() == []


def test_a_step_that_the_optimizer_skipped_has_no_update():
    model, x, y = made()
    probe = Probe(model, torch.optim.SGD(model.parameters(), lr=0.1))
    probe.begin(0)
    (model(x) - y).square().mean().backward()
    probe.begin(1)
    (event,) = probe.take()[:1]
    assert [layer["update"] for layer in event["layers"]] == [None] * len(event["layers"])
    assert event["layers"][0]["moved"] is None
    assert event["layers"][0]["grad"] > 0


def gan_step(w, a, real, noise, lr):
    """(discriminator, generator): each (root mean square gradient, new weights), by hand.

    Both are lines, w[0] x + w[1] and a[0] z + a[1]; the discriminator is updated first.
    """
    fake = a[0] * noise + a[1]
    of_real, of_fake = 2 * (w[0] * real + w[1] - 1), 2 * (w[0] * fake + w[1])
    dw = np.array([(of_real * real + of_fake * fake).mean(), (of_real + of_fake).mean()])
    w = w - lr * dw
    of_fake = 2 * (w[0] * fake + w[1] - 1) * w[0]
    da = np.array([(of_fake * noise).mean(), of_fake.mean()])
    return (np.sqrt((dw**2).mean()), w), (np.sqrt((da**2).mean()), a - lr * da)


@pytest.mark.parametrize("order", [("g", "d"), ("d", "g")])
def test_each_optimizer_is_read_at_its_own_update(order):
    """As in a GAN: what lies in `grad` at the other's update is no gradient of its loss."""
    torch.manual_seed(0)
    net = nn.ModuleDict({k: nn.Linear(1, 1, dtype=torch.float64) for k in "gd"})
    net["frozen"] = nn.Linear(1, 1)
    for parameter in net["frozen"].parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    optimizers = {k: torch.optim.SGD(net[k].parameters(), lr=0.02) for k in order}
    probe = Probe(net, [optimizers[k] for k in order])
    line = {k: np.array([float(p.detach()) for p in net[k].parameters()]) for k in order}
    for number in range(3):
        real, noise = torch.randn(2, 16, 1, dtype=torch.float64)
        probe.begin(number)
        fake = net["g"](noise)
        optimizers["d"].zero_grad()
        loss = (net["d"](real) - 1).square().mean() + net["d"](fake).square().mean()
        loss.backward(retain_graph=True)
        optimizers["d"].step()
        optimizers["g"].zero_grad()
        (net["d"](net["g"](noise)) - 1).square().mean().backward()
        optimizers["g"].step()
        event = probe.take()[-1]
        layers = {layer["name"]: layer for layer in event["layers"]}
        of_d, of_g = gan_step(line["d"], line["g"], real.numpy(), noise.numpy(), 0.02)
        for key, (grad, after) in (("d", of_d), ("g", of_g)):
            assert layers[key]["grad"] == close(grad)
            assert layers[key]["update"] == close(0.02 * grad)
            assert layers[key]["weight"] == close(np.sqrt((line[key] ** 2).mean()))
            assert layers[key]["moved"]
            line[key] = after
        assert layers["frozen"]["grad"] == 3.0
        assert not layers["frozen"]["moved"]
        assert layers["d"]["calls"] == 3
    assert not hooks(optimizers["g"])


@pytest.mark.parametrize("fused", [False, True])
def test_gradients_are_those_of_the_loss_also_under_a_scaler(fused):
    """A fused optimizer undoes the scale itself: what lies in `grad` is scaled still."""
    model, x, y = made()
    model.drop.p = 0.0
    twin = copy.deepcopy(model)
    (twin(x) - y).square().mean().backward()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=fused)
    scaler, probe = torch.amp.GradScaler("cpu", init_scale=2.0**10), Probe(model, optimizer)
    probe.begin(0)
    scaler.scale((model(x) - y).square().mean()).backward()
    scaler.step(optimizer)
    layers = {layer["name"]: layer for layer in probe.take()[0]["layers"]}
    for key in ("first", "last"):
        expected = rms(*(p.grad for p in getattr(twin, key).parameters()))
        assert layers[key]["grad"] == close(expected)


def test_a_closure_says_when_its_gradients_are_there():
    """Before an LBFGS step `grad` is still that of the step before."""
    model, x, y = made()
    model.drop.p = 0.0
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    probe, twin = Probe(model, optimizer), copy.deepcopy(model)
    (twin(x) - y).square().mean().backward()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e3)

    def closure():
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        probe.before_update()
        return loss

    probe.begin(0)
    optimizer.step(closure)
    (event,) = probe.take()
    layer = next(v for v in event["layers"] if v["name"] == "last")
    assert layer["grad"] == close(rms(*(p.grad for p in twin.last.parameters())))
    pairs = zip(model.last.parameters(), twin.last.parameters(), strict=True)
    assert layer["update"] == close(rms(*(a - b for a, b in pairs)))


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((None,), {}), ((), {"closure": None})])
def test_no_closure_may_be_said_in_several_ways(args, kwargs):
    """accelerate and those that build on it hand on a None as the first argument."""
    model, x, y = made()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = Probe(model, optimizer)
    probe.begin(0)
    (model(x) - y).square().mean().backward()
    optimizer.step(*args, **kwargs)
    layer = next(v for v in probe.take()[0]["layers"] if v["name"] == "last")
    assert layer["update"] == close(0.1 * layer["grad"])


def test_copies_and_pickles_hold_nothing_of_ours():
    _, x, y = made()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe, copies = Probe(model, optimizer), []

    def saved():
        for thing in (model, optimizer):
            file = io.BytesIO()
            torch.save(thing, file)
            assert b"famulus" not in file.getvalue()
        copies.append(copy.deepcopy(model))
        copy.deepcopy(optimizer)
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in copies[-1].modules())

    for number in range(3):
        probe.begin(number)
        saved()
        out = model(x)
        saved()
        copies[-1](x)
        (out - y).square().mean().backward()
        saved()
        optimizer.step()
        saved()
    event = probe.take()[0]
    assert [v["calls"] for v in event["layers"]] == [1, 1, 1]


def test_a_fault_of_a_hook_does_not_end_a_step_that_is_guarded(monkeypatch):
    model, x, y = made()
    monkeypatch.setattr(probe_outputs, "put_dead", lambda *a: 1 / 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    faults = []

    def guard(work):
        try:
            work()
        except ZeroDivisionError as error:
            faults.append(error)

    step(model, optimizer, x, y, Probe(model, optimizer, guard=guard))
    assert faults
    with pytest.raises(ZeroDivisionError):
        step(model, optimizer, x, y, Probe(model, optimizer))
    for handles in (torch_module._global_forward_hooks, torch_module._global_forward_pre_hooks):
        handles.clear()

"""Encoders and heads: shapes, weights by name, freezing, causes of the journal's failure."""

import sys
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from famulus import tasks
from famulus.config.errors import ConfigError
from famulus.config.experiment import read
from famulus.config.identity import run_id
from famulus.tasks.pretext.encoder_settings import EncoderSettings
from famulus.tasks.pretext.encoders import build_encoder, load_by_name
from famulus.tasks.pretext.freezing import frozen_parts
from famulus.tasks.pretext.heads import (
    COMPARING,
    class_head,
    comparing_head,
    inverse_sigmoid,
    start_at_prior,
)
from famulus.tasks.pretext.net import PretextNet
from famulus.tasks.pretext.settings import PretextConfig
from famulus.tasks.pretext.transfer_net import TransferNet


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def small(act="relu", norm="batch"):
    torch.manual_seed(0)
    return build_encoder("residual", 3, (16, 16), channels=[8, 16], norm=norm, act=act)


@pytest.mark.parametrize("act", ["relu", "leaky_relu", "mish"])
@pytest.mark.parametrize("kind", ["conv", "residual"])
def test_shapes_also_for_a_batch_of_one(kind, act):
    encoder = build_encoder(kind, 1, (9, 12), channels=[4, 6], act=act)
    for count in (1, 3):
        out = encoder.eval()(images(count, 1, 9, 12))
        assert out.shape[:2] == (count, 6)
        assert out.ndim == 4


def test_resnet18_has_torchvisions_names_and_number_of_weights():
    """11,689,512 in torchvision's documentation, less 513,000 of its classifier."""
    encoder = build_encoder("resnet", 3, (64, 64), name="resnet18")
    assert sum(p.numel() for p in encoder.parameters()) == 11_689_512 - 513_000
    names = set(encoder.state_dict())
    assert {"conv1.weight", "bn1.running_mean", "layer2.0.downsample.0.weight"} <= names
    assert "layer4.1.bn2.num_batches_tracked" in names
    assert encoder.eval()(images(1, 1, 64, 64)).shape == (1, 512, 2, 2)  # grey is repeated


def test_weights_load_by_name_and_the_rest_is_told(tmp_path):
    source, target = small(), small()
    for p in source.parameters():
        nn.init.normal_(p)
    state = {f"encoder.{k}": v for k, v in source.state_dict().items()}
    state["head.weight"] = torch.zeros(2)
    state["encoder.stages.0.0.weight"] = torch.zeros(1)  # another shape
    done = load_by_name(target, state)
    assert done.left_out == ["encoder.stages.0.0.weight", "head.weight"]
    assert done.missing == ["stages.0.0.weight"]
    other, own = source.state_dict(), target.state_dict()
    assert all(torch.equal(own[name], other[name]) for name in done.loaded)
    with pytest.raises(ValueError, match="no weight fits"):
        load_by_name(target, {"x": torch.zeros(1)})
    file = tmp_path / "w.safetensors"
    save_file(source.state_dict(), file)
    settings = EncoderSettings(channels=[8, 16], weights=str(file))
    loaded, report = settings.build(3, (16, 16))
    assert report.missing == []
    assert torch.equal(loaded.stages[0][0].weight, source.stages[0][0].weight)


def test_other_weights_in_the_same_file_are_another_run(tmp_path):
    def id_():
        text = f"why: x\ntask: pretext\nmodel: {{encoder: {{weights: {file}}}}}\n"
        text += "training: {epochs: 1}\n"
        cell = read(text, (), tasks.load).cells[0]
        return run_id(cell.config, PretextConfig, "data"), cell.config["model"]["encoder"]

    file = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(2)}, file)
    first, stored = id_()
    file.touch()
    assert id_() == (first, stored)  # the same bytes, looked at again
    save_file({"a": torch.ones(2)}, file)
    assert id_()[0] != first
    settings = EncoderSettings.model_validate(stored)  # as the store holds it
    assert settings.weights_sha256 == stored["weights_sha256"]
    with pytest.raises(ConfigError, match="has changed: expected sha256"):
        settings.build(3, (8, 8))
    plain = EncoderSettings().model_dump()
    assert plain["weights_sha256"] is None
    file.unlink()
    assert EncoderSettings.model_validate(stored) == settings  # reading a stored run needs no file


def test_wrong_settings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="encoder resnet has no option channels"):
        EncoderSettings(kind="resnet", name="resnet18", channels=[4])
    with pytest.raises(ValueError, match="expected the name"):
        EncoderSettings(kind="timm")
    with pytest.raises(ConfigError, match=r"expected an existing \.safetensors"):
        EncoderSettings(weights=str(tmp_path / "w.pt")).build(3, (8, 8))
    (tmp_path / "w.safetensors").write_bytes(b"no")
    with pytest.raises(ConfigError, match="cannot be read"):
        EncoderSettings(weights=str(tmp_path / "w.safetensors")).build(3, (8, 8))


def test_a_missing_timm_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"expected the extra timm .*famulus\[timm\]"):
        EncoderSettings(kind="timm", name="resnet18").build(3, (32, 32))


@pytest.mark.parametrize("form", ["map", "channels last", "tokens", "vector"])
def test_timms_forms_of_output_become_maps(monkeypatch, form):
    """A stand-in with timm's interface; the library itself is tested where it is installed."""

    class Net(nn.Module):
        num_features = 5

        def __init__(self):
            super().__init__()
            self.one = nn.Conv2d(3, 5, 1)

        def forward_features(self, x):
            y = self.one(x)
            if form == "channels last":
                return y.permute(0, 2, 3, 1)
            if form == "tokens":
                return y.flatten(2).transpose(1, 2)
            return y.mean((2, 3)) if form == "vector" else y

    fake = ModuleType("timm")
    fake.list_models = lambda: ["net"]
    fake.create_model = lambda name, **options: Net()
    monkeypatch.setitem(sys.modules, "timm", fake)
    encoder = build_encoder("timm", 3, (4, 6), name="net")
    assert encoder(images(2, 3, 4, 6)).shape[:2] == (2, 5)
    assert len(list(encoder.stages)) == 1
    with pytest.raises(ValueError, match="timm has no model 'nett'"):
        build_encoder("timm", 3, (4, 6), name="nett")


# -- heads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", COMPARING)
def test_comparing_heads_treat_slots_alike(kind):
    torch.manual_seed(0)
    head = comparing_head(kind, 8, embedding=6, hidden=10).double()
    image, sources = torch.randn(5, 8, 3, 3).double(), torch.randn(5, 4, 8, 3, 3).double()
    order = torch.tensor([2, 0, 3, 1])
    for mode in (True, False):
        head.train(mode)
        straight, turned = head(image, sources), head(image, sources[:, order])
        assert straight.shape == (5, 4)
        assert torch.allclose(straight[:, order], turned, rtol=1e-12, atol=1e-12)


def test_a_norm_for_each_slot_is_seen():  # proof that the test above can fail
    norm = nn.BatchNorm1d(4)  # over (B, N, D): one statistic for each slot, as the journal's head
    x = torch.randn(5, 4, 8) * torch.arange(1, 5)[None, :, None] + torch.arange(4)[None, :, None]
    order = torch.tensor([2, 0, 3, 1])
    norm.train()
    with torch.no_grad():
        norm.weight.copy_(torch.arange(1.0, 5.0))
    assert not torch.allclose(norm(x)[:, order], norm(x[:, order]))


@pytest.mark.parametrize("kind", ["mlp", "cosine", "pair", "local"])
def test_an_untrained_head_may_answer_the_base_rate(kind):
    assert inverse_sigmoid(2 / 3) == pytest.approx(0.6931, abs=1e-4)
    head = comparing_head(kind, 8, prior=2 / 3)
    last = head.bias if kind == "cosine" else head.mlp[-1].bias
    # the bias itself is kept in float32
    assert float(last.detach().double().sigmoid().mean()) == pytest.approx(2 / 3, rel=1e-7)
    with pytest.raises(ValueError, match="between 0 and 1"):
        start_at_prior(nn.Linear(2, 1), 1.0)


def within(head, module, image, sources):
    """(what enters `module`, what leaves it, what the head answers)."""
    seen = []

    def note(_, inputs, output):
        seen.extend((inputs[0], output))

    handle = module.register_forward_hook(note)
    answer = head(image, sources)
    handle.remove()
    return *seen, answer


def maps():
    torch.manual_seed(0)
    return torch.randn(5, 8, 3, 3).double(), 0.7 + torch.randn(5, 4, 8, 3, 3).double()


def test_the_pair_head_compares_centred_features():
    """Slot by slot: m s, |m - s|, and both less the mean of all slots."""
    head, (image, sources) = comparing_head("pair", 8, embedding=6, hidden=10).double(), maps()
    _, z, _ = within(head, head.project, image, sources)
    pair, _, _ = within(head, head.mlp, image, sources)
    for b in range(5):
        m, slots = z[b, 0], z[b, 1:]
        mean = sum(slots) / 4
        assert mean.abs().max() > 0.05
        for n, s in enumerate(slots):
            own = torch.cat([m * s, (m - s).abs(), s - mean, m - mean])
            assert torch.allclose(pair[b, n], own, rtol=1e-12, atol=1e-12)


def test_the_local_head_compares_centred_features_before_it_pools():
    head, (image, sources) = comparing_head("local", 8, embedding=6, hidden=10).double(), maps()
    _, z, _ = within(head, head.reduce, image, sources)
    pair, _, _ = within(head, head.mlp, image, sources)
    z = z.view(5, 5, 6, 3, 3)
    for b in range(5):
        m, slots = z[b, 0], z[b, 1:]
        mean = sum(slots) / 4
        for n, s in enumerate(slots):
            own = [m * s, (m - s).abs(), (m - mean) * (s - mean), (s - mean) ** 2]
            places = torch.cat([part.flatten(1).sum(1) / 9 for part in own])
            assert torch.allclose(pair[b, n], places, rtol=1e-12, atol=1e-12)
    pooled = z.mean((-2, -1))
    assert (pair[:, 0, :6] - pooled[:, 0] * pooled[:, 1]).abs().max() > 0.01


@pytest.mark.parametrize("kind", ["cosine", "distance"])
@torch.no_grad()
def test_angles_and_distances_are_those_of_centred_projections(kind):
    """Of features that have mean 0 and deviation 1 over all pictures and slots of the batch."""
    head, (image, sources) = comparing_head(kind, 8, embedding=6, prior=0.3).double(), maps()
    features, _, answer = within(head, head.project, image, sources)
    pooled = torch.cat([image[:, None], sources], 1).flatten(3).sum(3).div(9)
    flat = pooled.flatten(0, 1)
    unit = (pooled - flat.mean(0)) / (flat.var(0, correction=0) + 1e-5).sqrt()
    assert torch.allclose(features, unit, rtol=1e-10, atol=1e-10)
    z = unit @ head.project.weight.T + head.project.bias
    for b in range(5):
        for n in range(4):
            m, s = z[b, 0], z[b, n + 1]
            if kind == "cosine":
                cosine = float(m @ s / m.norm() / s.norm())
                expected = 5 * cosine + inverse_sigmoid(0.3)
            else:
                expected = -float((m - s).norm()) / 6**0.5
            assert answer[b, n].item() == pytest.approx(expected, rel=1e-6)


def test_products_are_those_of_means_and_maxima():
    image, sources = maps()
    dot = comparing_head("dot", 8)(image, sources)
    expected = torch.einsum("bd,bnd->bn", image.mean((2, 3)), sources.mean((3, 4)))
    assert torch.allclose(dot, expected, rtol=1e-12)
    head = comparing_head("mlp", 8, hidden=10, norm=False).double()
    product, _, _ = within(head, head.mlp, image, sources)
    assert torch.allclose(product[..., :8], image.mean((2, 3))[:, None] * sources.mean((3, 4)))
    assert torch.allclose(product[..., 8:], image.amax((2, 3))[:, None] * sources.amax((3, 4)))


def test_class_heads_and_unknown_ones():
    assert class_head("concat_pool", 6, 4)(torch.randn(3, 6, 2, 2)).shape == (3, 4)
    assert class_head("linear", 6, 4)(torch.randn(1, 6, 2, 2)).shape == (1, 4)
    for build, args in ((class_head, ("pair", 6, 4)), (comparing_head, ("linear", 6))):
        with pytest.raises(ValueError, match="expected a head of"):
            build(*args)


def test_one_call_keeps_a_copy_a_copy():
    """With a call for each slot, batch norm moves a true copy away from its original."""
    image, other = images(6, 3, 16, 16).double(), images(6, 3, 16, 16, seed=1).double() * 0.3
    slot = torch.arange(6) % 2  # the copy lies in either slot, so a slot's batch holds others too
    first = torch.where(slot[:, None, None, None] == 0, image, other)
    sources = torch.stack([first, torch.where(first == image, other, image)], 1)
    apart = {}
    for shared in (True, False):
        with torch.no_grad():
            net = PretextNet(small().double(), nn.Identity(), shared).train()
            m, s = net.maps(image, sources)
        apart[shared] = float((m - s[torch.arange(6), slot]).norm() / m.norm())
    assert apart[True] < 1e-13
    assert apart[False] > 0.05


# -- freezing ------------------------------------------------------------------------------------


def buffers(net):
    return {k: v.clone() for k, v in net.encoder.state_dict().items()}


def test_frozen_means_statistics_too():
    net = TransferNet(small(), class_head("linear", 16, 3), frozen=99).train()
    before = buffers(net)
    net(images(4, 3, 16, 16)).sum().backward()
    assert all(torch.equal(before[k], v) for k, v in net.encoder.state_dict().items())
    assert all(p.grad is None for p in net.encoder.parameters())
    assert net.head.last.weight.grad is not None


def test_requires_grad_alone_leaves_statistics_moving():  # proof that the test above can fail
    encoder = small().train().requires_grad_(False)
    before = encoder.stages[0][1].running_mean.clone()
    encoder(images(4, 3, 16, 16))
    assert not torch.equal(before, encoder.stages[0][1].running_mean)


def test_thawing_goes_from_the_head_down():
    net = TransferNet(small(), class_head("linear", 16, 3), frozen=3).train()
    assert [frozen_parts(3, inputs, 3, 100) for inputs in (0, 99, 100, 250, 900)] == [3, 3, 2, 1, 0]
    assert frozen_parts(3, 900, 2, None) == 2
    net.thaw(2)
    net.train()
    trained = [any(p.requires_grad for p in stage.parameters()) for stage in net.stages]
    assert trained == [False, False, True]
    assert [stage.training for stage in net.stages] == [False, False, True]
    net.thaw(0)
    assert all(stage.training for stage in net.stages)

"""Encoders of the library timm, where the extra is installed (docs/pretext.md, "timm")."""

import pytest
import torch

from famulus.tasks.pretext.encoder_settings import EncoderSettings
from famulus.tasks.pretext.heads import class_head
from famulus.tasks.pretext.transfer_net import TransferNet

pytest.importorskip("timm", reason="needs the extra timm, in an environment of its own")


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenetv3_small_050", "convnext_atto", "vit_tiny_patch16_224"]
)
def test_a_timm_model_is_an_encoder(name):
    side = 224 if "224" in name else 64
    encoder, _ = EncoderSettings(kind="timm", name=name).build(3, (side, side))
    net = TransferNet(encoder, class_head("linear", encoder.width, 4), frozen=1)
    image = torch.rand(2, 3, side, side)
    assert net(image).shape == (2, 4)
    net(image).sum().backward()
    assert net.head.last.weight.grad.abs().sum() > 0
    assert len(net.stages) >= 3


def test_its_weights_load_by_name(tmp_path):
    import timm
    from safetensors.torch import save_file

    model = timm.create_model("resnet18", pretrained=False)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    for kind in ("timm", "resnet"):  # ours has the same names
        settings = EncoderSettings(
            kind=kind, name="resnet18", weights=str(tmp_path / "w.safetensors")
        )
        _, report = settings.build(3, (64, 64))
        assert report.missing == []
        assert set(report.left_out) == {"fc.weight", "fc.bias"}


def test_ours_computes_what_theirs_does(tmp_path):
    import timm

    torch.manual_seed(0)
    theirs = timm.create_model("resnet18", pretrained=False, num_classes=0, global_pool="").eval()
    ours, _ = EncoderSettings(kind="resnet", name="resnet18").build(3, (64, 64))
    ours.load_state_dict(theirs.state_dict())
    ours, theirs = ours.eval().double(), theirs.double()
    x = torch.rand(2, 3, 64, 64).double()
    expected = theirs((x - ours.mean) / ours.std)
    assert torch.allclose(ours(x), expected, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(theirs(x), expected, atol=1e-3)  # not without the normalisation

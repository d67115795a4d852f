"""One training step of the journal's 3D VAE, batch 16 of 32^3: ours with `auto` against plain."""

import torch

from benchmarks import reference_conv3d
from benchmarks.timing import interleaved, ratio
from famulus.config.schema import Optimizer
from famulus.nets.layers import parameters
from famulus.tasks.scroll.cubes_net import CubeAutoencoder
from famulus.training.optim import build_optimizer
from famulus.training.precision import Precision, choose


def measure(quick: bool) -> dict[str, float | str | None]:
    torch.manual_seed(0)
    device = torch.device("cpu")
    image = torch.randn(16, 1, 32, 32, 32)
    plain_net, net = reference_conv3d.PlainVAE(32), CubeAutoencoder((1, 32, 32, 32))

    def forward(model, batch, candidate: Precision) -> torch.Tensor:
        with candidate.autocast(device):
            out = model(batch["image"])
            return (out.raw.float() - batch["image"]).square().mean()

    def trial(model, batch, candidate: Precision) -> None:
        forward(model, batch, candidate).backward()
        model.zero_grad(set_to_none=True)

    chosen = choose("auto", net, {"image": image}, trial, device)
    net, batch = chosen.place_model(net), chosen.place_batch({"image": image})
    groups = [{"params": list(net.parameters())}]
    optimizer = build_optimizer(Optimizer(name="adam", lr=3e-4), groups, device)

    def ours() -> None:
        forward(net, batch, chosen).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    plain = reference_conv3d.plain_step(plain_net, image)
    plain(), ours()
    times = interleaved(plain, ours, 5 if quick else 30)
    speedup, upper = ratio(*times)
    return {
        "speedup_over_plain": speedup,
        "speedup_over_plain_upper95": upper,
        "chosen": f"{chosen.name}{', channels last' if chosen.channels_last else ''}",
        "parameters": float(parameters(net)),
        "plain_s": float(times[0].min()),
        "threads": float(torch.get_num_threads()),
    }

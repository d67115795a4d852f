"""Noise on what a net is given and expected to give, and the price on its code."""

import math

import pytest
import torch

from famulus.feed.feeder import validation_batches
from famulus.nets.autoencoder import Reconstruction
from famulus.tasks.base import Position
from famulus.tasks.tiles.tiles import Tiles, TilesConfig

AT = Position(step=0, inputs=0, epoch=0, seed=0)
SD = 0.2
OF_NOISE = {"l1": SD * math.sqrt(2 / math.pi), "l2": SD**2}  # E |N(0, sd)| and E N(0, sd)^2


def task_of(**loss):
    model = {"kind": "autoencoder", "channels": [4], "code": 5}
    config = TilesConfig(data={"subset": 600, "validation": 101}, model=model, loss=loss)
    return Tiles(config, {})


def batches(task, size=600):
    splits = task.data()
    return list(validation_batches(splits.train, size, "cpu"))


def answering(answer):
    """A net that answers with a picture made of the one it is given."""
    return lambda image: Reconstruction(answer(image), torch.zeros(len(image), 5))


@pytest.mark.parametrize("name", ["l1", "l2"])
@pytest.mark.parametrize("target", [False, True])
def test_noise_alone_costs_what_the_normal_law_says(name, target):
    task = task_of(reconstruction=name, input_noise={"sd": SD, "target": target})
    batch = batches(task)[0]  # 600 x 64 numbers: 1 % is three standard errors
    torch.manual_seed(0)
    copied = task.loss(answering(lambda given: given), batch, AT)["recon"].item()
    cleaned = task.loss(answering(lambda given: batch["image"]), batch, AT)["recon"].item()
    right, wrong = (copied, cleaned) if target else (cleaned, copied)
    assert right == 0
    assert wrong == pytest.approx(OF_NOISE[name], rel=0.01)


def test_validation_sees_no_noise():
    noisy = task_of(reconstruction="l2", input_noise={"sd": SD, "target": True})
    perfect = answering(lambda image: image)
    assert noisy.scores(perfect, batches(noisy))["loss"] == 0
    model = noisy.build().eval()
    clean = task_of(reconstruction="l2")
    assert noisy.scores(model, batches(noisy)) == clean.scores(model, batches(clean))


def test_noise_is_new_in_each_step_and_follows_the_random_state():
    task = task_of(reconstruction="l1", input_noise={"sd": SD})
    batch, copy = batches(task)[0], answering(lambda given: given)
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(task.loss(copy, batch, AT)["recon"].item())
    assert values[0] == values[1] != values[2]


def test_the_price_of_the_code_in_training_and_in_validation():
    task = task_of(reconstruction="l2", code={"weight": 0.3, "sd": 0.7, "mean": 0.1})
    model = task.build().eval()
    batch = batches(task)[0]
    code = model.encode(batch["image"]).detach().double().numpy()
    price = abs(0.7 - code.std(axis=0).mean()) + abs(0.1 - code.mean())
    parts = task.loss(model, batch, AT)
    assert parts["code"].item() == pytest.approx(price, rel=1e-5)
    assert parts["total"].item() == pytest.approx(parts["recon"].item() + 0.3 * price, rel=1e-5)
    scores = task.scores(model, batches(task, 7))  # whole set, whatever the batches
    assert scores["loss"] == pytest.approx(scores["recon"] + 0.3 * price, rel=1e-5)
    assert scores["code_sd"] == pytest.approx(code.std(axis=0).mean(), rel=1e-5)
    assert scores["code_mean"] == pytest.approx(code.mean(), rel=1e-4)
    floor = task.floors(task.data())["initial loss"].value
    plain = task_of(reconstruction="l2").floors(task.data())["initial loss"].value
    assert floor - plain == pytest.approx(0.3 * (0.7 + 0.1))


def test_both_are_said_beside_the_results():
    facts = (
        task_of(reconstruction="l2", code={"weight": 1e-4}, input_noise={"sd": SD, "target": True})
        .facts()
        .json()
    )
    assert facts["loss"] == "mean L2 + 0.0001 * (|0.5 - sd| + |0 - mean|) of the code"
    assert facts["input_noise"] == "sd 0.2 on input and target, in training only"
    assert facts["noisy_targets"]
    assert "noisy_targets" not in task_of(input_noise={"sd": SD}).facts().json()

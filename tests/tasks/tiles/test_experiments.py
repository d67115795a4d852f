"""The shipped experiments of tiles ask what their text says: which cells, and which layers when."""

import math
from pathlib import Path

from famulus import tasks
from famulus.config.experiment import read
from famulus.tasks.tiles.stacked_net import active_for

ROOT = Path(__file__).parents[3] / "experiments/tiles"


def plan(name):
    return read(ROOT / name, (), tasks.load)


def test_the_comparison_is_the_journals_matrix():
    """3 sets x 2 filters x 3 sizes x 2 rates; where nothing is resized, two seeds of one cell."""
    cells = plan("compare-datasets.yaml").cells
    assert len(cells) == 36
    assert {c.axes["set"] for c in cells} == {"mnist", "fashion-mnist", "crawl-tiles"}
    assert {c.axes["size"] for c in cells} == {20, 28, 32}
    assert {c.axes["filter"] for c in cells} == {"bilinear", "nearest"}
    assert all(c.config["training"]["optimizer"]["lr"] == c.axes["lr"] for c in cells)
    again = {(c.axes["set"], c.axes["size"]) for c in cells if c.config["training"]["seed"] == 1}
    assert again == {("mnist", 28), ("fashion-mnist", 28), ("crawl-tiles", 32)}


def test_the_growing_nets_grow_as_the_journals():
    """Examples until the Linear, the last of 26 layers, joins; cyan's layers at 475,790 inputs."""
    cells = {c.axes["name"]: c.config for c in plan("stacked.yaml").cells}

    def every(name):
        grow = cells[name]["model"]["grow"]
        return grow["inputs"] or grow["epochs"] * cells[name]["data"]["count"], grow["layers"]

    inputs, together = every("cyan")
    assert inputs * math.ceil(25 / together) == 1_237_054
    assert active_for(475_790 - 64, inputs, together) == 9
    inputs, together = every("yellow")
    assert inputs * math.ceil(25 / together) == 200_000


def test_the_small_ones_grow_as_their_file_says():
    """13 layers; the last step starts a batch before the end."""
    cells = {c.axes["name"]: c.config for c in plan("stacked-small.yaml").cells}
    grows = {name: cells[name]["model"]["grow"] for name in ("cyan", "yellow", "purple")}
    last = {n: active_for(12_000 - 32, g["inputs"], g["layers"]) for n, g in grows.items()}
    assert last["cyan"] == 5
    for name in ("yellow", "purple"):
        assert last[name] >= 13 > active_for(5_999, grows[name]["inputs"])


def test_first_light_is_four_cells_without_a_download():
    cells = plan("first-light.yaml").cells
    assert len(cells) == 4
    assert {c.axes["kind"] for c in cells} == {"autoencoder", "vae"}
    assert {c.config["data"]["name"] for c in cells} == {"digits"}

"""The line of YAML that `famulus data info` proposes opens the volume that it was asked about."""

import pytest
import tifffile

from famulus.config.yaml import parse_value
from famulus.tasks.scroll.data import ScrollData, open_scroll
from famulus.volumes.describe import info
from tests.volumes.contents import numbers
from tests.volumes.test_info import ARRAY, KINDS


@pytest.mark.parametrize("make", KINDS)
def test_its_line_of_yaml_opens_the_volume(tmp_path, make):
    settings = parse_value("{" + info(make(tmp_path))["yaml"] + "}")["data"]
    opened = open_scroll(ScrollData(**settings, cube=[4, 8, 8], block=8, gap=2), inked=False)
    assert opened.train.volume.shape == ARRAY.shape


def test_several_channels_and_negative_numbers_bring_their_keys(tmp_path):
    five = numbers("int16", (4, 3, 40, 48), low=-1000, high=3000)  # Z C Y X
    path = tmp_path / "v.ome.tif"
    tifffile.imwrite(path, five, ome=True, metadata={"axes": "ZCYX"})
    row = info(path)
    low, high = five[:, 0].min(), five[:, 0].max()
    assert f"channel: 0, range: [{low}, {high}]" in row["yaml"]
    settings = parse_value("{" + row["yaml"] + "}")["data"]
    opened = open_scroll(ScrollData(**settings, cube=[4, 8, 8], block=8, gap=2), inked=False)
    assert opened.train.window == (low, high)

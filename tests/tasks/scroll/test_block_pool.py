"""Blocks in memory: the cubes of the volume, as often as without blocks, and again on resuming."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.feed.feeder import Feeder
from famulus.tasks.scroll import cube_field, cubes
from famulus.tasks.scroll.block_pool import SPARE, BlockOrder, BlockPool, Blocks
from famulus.volumes.bricks import ArrayVolume
from famulus.volumes.open import Fragment, open_volume
from famulus.volumes.reader import Windows

SHAPE, SIZE = (9, 70, 90), (4, 8, 8)
BLOCKS = Blocks(count=3, side=24, draws=5)


@pytest.fixture
def fragment():
    volume = np.random.default_rng(0).integers(0, 60_000, SHAPE).astype(np.uint16)
    mask = np.ones(SHAPE[1:], bool)
    mask[:30, :50] = False
    labels = np.zeros(SHAPE[1:], np.uint8)
    labels[40:60, 60:80] = 1
    return Fragment("f", ArrayVolume(volume, "f"), mask, labels)


def pool_of(fragment, blocks=BLOCKS, edges=0.0):
    field = cube_field.make_field(fragment, fragment.mask, SIZE, edges=edges)
    return BlockPool(fragment.volume, field, blocks)


def source(fragment, blocks=BLOCKS):
    field = cube_field.make_field(fragment, fragment.mask, SIZE)
    return cubes.CubeSource(fragment, field, cubes.Scale(0, 1), 64, blocks=blocks)


@pytest.mark.parametrize("edges", [0.0, 0.5])
def test_corners_come_as_often_as_without_blocks(fragment, edges):
    pool = pool_of(fragment, Blocks(64, 24, 1), edges)  # a block a cube: nothing is correlated
    keys, seeds = BlockOrder(1, pool.blocks).batch(0, 6000)
    got = pool.places(keys, seeds)
    want = pool.corners.draw(seeds)
    for axis in range(3):
        assert got[:, axis].mean() == pytest.approx(want[:, axis].mean(), abs=0.05 * SHAPE[axis])
        assert got[:, axis].std() == pytest.approx(want[:, axis].std(), abs=0.05 * SHAPE[axis])
    cell = got[:, 1] // 24 * 4 + got[:, 2] // 24
    share = np.bincount(cell, minlength=12) / len(cell)
    mass = np.diff(pool._mass, prepend=0.0) / pool._mass[-1]
    assert np.abs(share - mass).max() < 0.03
    assert mass.max() > 2 * mass[mass > 0].min()  # equal chances for all blocks would be seen


def test_cubes_are_those_of_the_volume(fragment):
    s = source(fragment)
    index, seeds = s.order(7).batch(0, 40)
    corners = s.places(index, seeds)
    batch = s.gather(index, seeds)
    for voxels, label, (z, y, x) in zip(batch["voxels"], batch["label"], corners, strict=True):
        place = (slice(y, y + 8), slice(x, x + 8))
        assert np.array_equal(voxels, fragment.volume.array[z : z + 4, *place])
        assert np.array_equal(label, fragment.labels[place])
        assert fragment.mask[place].all()


def test_few_blocks_are_held_and_each_is_used(fragment):
    s = source(fragment)
    order, inputs = s.order(7), 400
    for start in range(0, inputs, 8):
        s.gather(*order.batch(start, 8))
        assert len(s.blocks._held) <= BLOCKS.count + SPARE
    assert s.blocks.read_blocks == pytest.approx(inputs / BLOCKS.draws, rel=0.2)


def test_position_alone_decides(fragment):
    order, again = BlockOrder(7, BLOCKS), BlockOrder(7, BLOCKS)
    whole = order.batch(0, 60)
    part = again.batch(37, 23)
    assert np.array_equal(whole[0][37:], part[0])
    assert np.array_equal(whole[1][37:], part[1])
    assert not np.array_equal(BlockOrder(8, BLOCKS).batch(0, 60)[0], whole[0])
    shared = [len(set(whole[0][i : i + 5])) for i in range(0, 60, 5)]
    assert min(shared) < 5  # cubes that are near in time do share blocks


def test_threads_change_nothing(fragment):
    alone, threaded = source(fragment), source(fragment)
    picks = [alone.order(3).batch(p, 4) for p in range(0, 80, 4)]
    want = [alone.gather(*pick)["voxels"] for pick in picks]
    with ThreadPoolExecutor(4) as threads:
        got = list(threads.map(lambda pick: threaded.gather(*pick)["voxels"], picks))
    assert all(a.equal(b) for a, b in zip(want, got, strict=True))
    with Feeder(source(fragment), 4, 3, "cpu", 8, workers=2) as fed:  # as resumed at input 8
        assert next(fed)["image"].shape == (4, 1, *SIZE)


def test_rehearsals_share_the_blocks(fragment):
    """Plain indices, as floors and pictures ask for them, don't read a block each."""
    s = source(fragment)
    s.gather(np.arange(200), np.arange(200).astype(np.uint64))
    assert s.blocks.read_blocks <= BLOCKS.count


def test_a_mapped_file_is_not_read(tmp_path, fragment):
    np.save(tmp_path / "v.npy", fragment.volume.array)
    opened = open_volume(tmp_path / "v.npy", windows=True)
    assert isinstance(opened.volume.array, np.memmap)
    s = source(opened)
    index, seeds = s.order(0).batch(0, 8)
    z, y, x = s.places(index, seeds)[3]
    cube = s.gather(index, seeds)["voxels"][3]
    assert np.array_equal(cube, fragment.volume.array[z : z + 4, y : y + 8, x : x + 8])


def test_blocks_are_read_from_zarr_without_the_rest(tmp_path, fragment):
    zarr = pytest.importorskip("zarr", reason="needs the extra zarr")
    group = zarr.open_group(str(tmp_path / "v.zarr"), mode="w", zarr_format=2)
    array = group.create_array("0", shape=SHAPE, chunks=(4, 16, 16), dtype="uint16")
    array[:] = fragment.volume.array
    group.attrs["multiscales"] = [{"datasets": [{"path": "0"}]}]
    opened = open_volume(tmp_path / "v.zarr", windows=True)
    assert isinstance(opened.volume, Windows)
    s = source(opened, Blocks(2, 16, 4))
    index, seeds = s.order(0).batch(0, 20)
    corners = s.places(index, seeds)
    for (z, y, x), cube in zip(corners, s.gather(index, seeds)["voxels"], strict=True):
        assert np.array_equal(cube, fragment.volume.array[z : z + 4, y : y + 8, x : x + 8])


def test_what_cannot_work_is_said(tmp_path, fragment):
    huge = ArrayVolume(np.broadcast_to(np.uint16(0), (512, 9000, 9000)), "h")
    corners = pool_of(fragment).corners
    with pytest.raises(DataError, match=r"GB: fewer or smaller blocks"):
        BlockPool(huge, corners, Blocks(4000, 512, 64))
    volume = fragment.volume.array.astype(np.float32)
    volume[:, 35:, :] = np.nan
    holed = Fragment("h", ArrayVolume(volume, "h"), fragment.mask)
    s = source(holed)
    picks = s.order(0).batch(0, 40)
    with pytest.raises(DataError, match="NaN or infinite"):
        s.gather(*picks)

"""Where cubes lie and what they weigh: brute force, single marked pixels, a fragment not square."""

import numpy as np
import pytest

from famulus.config.errors import ConfigError, DataError
from famulus.feed.feeder import Feeder, fixed_batch
from famulus.feed.streams import sample_seeds
from famulus.tasks.scroll import cube_field, cubes, regions
from famulus.volumes.bricks import ArrayVolume
from famulus.volumes.open import Fragment

SHAPE = (6, 40, 64)


def fragment(labels=None, mask=None):
    volume = np.random.default_rng(0).integers(0, 65_535, SHAPE).astype(np.uint16)
    mask = np.ones(SHAPE[1:], bool) if mask is None else mask
    return Fragment("test", ArrayVolume(volume, "f"), mask, labels)


def seeds(n, seed=0):
    return sample_seeds(seed, 0, np.arange(n))


def test_no_cube_leaves_the_region_or_the_volume():
    mask = np.zeros(SHAPE[1:], bool)
    mask[5:30, 20:60] = True
    mask[12, 40] = False  # a hole
    field = cube_field.make_field(fragment(mask=mask), mask, (4, 8, 10))
    corners = field.draw(seeds(3000))
    for z, y, x in corners:
        assert 0 <= z <= 2
        assert mask[y : y + 8, x : x + 10].all()
    assert {z for z, _, _ in corners} == {0, 1, 2}
    with pytest.raises(DataError, match="no cube"):
        cube_field.make_field(fragment(mask=mask), mask, (4, 26, 10))


def test_cubes_and_labels_are_those_of_their_place():
    labels = np.zeros(SHAPE[1:], np.uint8)
    labels[11, 47] = 1  # y 11, x 47: swapped axes would lose it
    f = fragment(labels)
    field = cube_field.make_field(f, f.mask, (3, 8, 8))
    source = cubes.CubeSource(f, field, cubes.Scale(100.0, 2.0), 9)
    index = np.arange(500)
    batch = source.finish(source.gather(index, seeds(500)), seeds(500))
    places = source.places(index, seeds(500))
    found = 0
    for image, label, (z, y, x) in zip(batch["image"], batch["label"], places, strict=True):
        want = (f.volume.array[z : z + 3, y : y + 8, x : x + 8].astype(np.float32) - 100) / 2
        assert np.array_equal(image[0].numpy(), want)
        inside = y <= 11 < y + 8 and x <= 47 < x + 8
        assert float(label.sum()) == inside
        found += inside
        if inside:
            assert label[11 - y, 47 - x] == 1
    assert found > 5


def test_edges_are_found_inside_and_never_at_the_picture_border():
    labels = np.ones((10, 12), np.uint8)
    assert not cube_field.edges_of(labels).any()
    labels[4, 7] = 0
    assert np.argwhere(cube_field.edges_of(labels)).tolist() == [[3, 7], [4, 6], [4, 7]]


@pytest.mark.parametrize("edges", [0.3, 0.8])
def test_weights_make_the_edge_sampler_unbiased(edges):
    """E[sum w l] over cubes equals what uniform cubes give, summed over every corner exactly."""
    labels = np.zeros(SHAPE[1:], np.uint8)
    labels[10:22, 30:41] = 1
    f = fragment(labels)
    size = (6, 8, 10)
    loss = np.random.default_rng(1).random(SHAPE[1:]) + 5 * cube_field.edges_of(labels)
    fair = cube_field.make_field(f, f.mask, size)
    skewed = cube_field.make_field(f, f.mask, size, edges=edges)
    raw = cube_field.make_field(f, f.mask, size, edges=edges, weighted=False)

    def expectation(field):
        share = np.diff(field.cumulative, prepend=0) / field.cumulative[-1]
        total = 0.0
        for p, place in zip(share, field.places, strict=True):
            y, x = divmod(int(place), SHAPE[2])
            window = (slice(y, y + size[1]), slice(x, x + size[2]))
            total += p * (field.weight_YX[window] * loss[window]).sum()
        return total

    assert expectation(skewed) == pytest.approx(expectation(fair), rel=1e-5)
    assert abs(expectation(raw) / expectation(fair) - 1) > 0.02  # without weights it is biased
    assert skewed.weight_YX.max() <= 1 / (1 - edges) + 1e-6
    assert fair.effective == pytest.approx(1)
    assert 0.2 < skewed.effective < 1


def test_every_edge_that_has_room_is_the_centre_of_a_cube():
    """Corners of edges alone, to the last row and column that hold one."""
    labels = (np.random.default_rng(5).random(SHAPE[1:]) < 0.5).astype(np.uint8)
    f = fragment(labels)
    field = cube_field.make_field(f, f.mask, (6, 8, 10), edges=1.0, weighted=False)
    edge = cube_field.edges_of(labels)
    corners = [
        (y, x)
        for y in range(SHAPE[1] - 8 + 1)
        for x in range(SHAPE[2] - 10 + 1)
        if edge[y + 4, x + 5]
    ]
    assert [divmod(int(place), SHAPE[2]) for place in field.places] == corners
    assert max(y for y, _ in corners) == SHAPE[1] - 8
    assert max(x for _, x in corners) == SHAPE[2] - 10


def test_draws_follow_the_density():
    labels = np.zeros(SHAPE[1:], np.uint8)
    labels[10:22, 30:41] = 1
    f = fragment(labels)
    field = cube_field.make_field(f, f.mask, (6, 8, 8), edges=1.0, weighted=False)
    edge = cube_field.edges_of(labels)
    drawn = field.draw(seeds(400))
    assert all(edge[y + 4, x + 4] for _, y, x in drawn)
    with pytest.raises(ConfigError, match="no labels"):
        cube_field.make_field(fragment(), f.mask, (6, 8, 8), edges=0.5)
    with pytest.raises(ConfigError, match=r"edges below 1, or data\.weighted: false"):
        cube_field.make_field(f, f.mask, (6, 8, 8), edges=1.0)  # pixels far off are never seen


@pytest.mark.parametrize("seed", range(4))
def test_blocks_stay_apart_by_the_gap(seed):
    mask = np.ones((80, 120), bool)
    train, blocks = regions.split_blocks(mask, 0.2, gap=9, block=20, seed=seed)
    held = np.zeros_like(mask)
    for y0, x0, y1, x1 in blocks:
        held[y0:y1, x0:x1] = True
    assert 0.15 < held.mean() < 0.3
    a, b = np.argwhere(train), np.argwhere(held)
    nearest = min(np.abs(a - p).max(1).min() for p in b[:: max(1, len(b) // 200)])
    assert nearest > 9
    with pytest.raises(DataError, match="blocked split"):
        regions.split_blocks(mask, 0.2, gap=100, seed=seed)


def test_a_pool_is_the_same_until_it_is_reloaded():
    order = cubes.CubeOrder(3, pool=4, reload=12)
    index, seed = order.batch(0, 24)
    first, second = index[:12], index[12:]
    assert sorted(first[:4]) == sorted(first[4:8]) == sorted(first[8:]) == [0, 1, 2, 3]
    assert sorted(set(second)) == [4, 5, 6, 7]
    places = dict(zip(index.tolist(), seed.tolist(), strict=True))
    assert [places[i] for i in index.tolist()] == seed.tolist()  # one seed a slot
    pieces = [cubes.CubeOrder(3, pool=4, reload=12).batch(p, 5) for p in range(0, 20, 5)]
    assert np.concatenate([p[0] for p in pieces]).tolist() == index[:20].tolist()
    endless, _ = cubes.CubeOrder(3).batch(0, 100)
    assert len(set(endless)) == 100


def test_the_feeder_resumes_random_cubes_at_any_position():
    f = fragment()
    field = cube_field.make_field(f, f.mask, (4, 8, 8))
    source = cubes.CubeSource(f, field, cubes.Scale(0, 1), 16, augment=True)
    feeder = Feeder(source, 4, 7, "cpu")
    batches = [next(feeder) for _ in range(9)]
    again = next(Feeder(source, 4, 7, "cpu", start_inputs=28))
    assert again["image"].equal(batches[7]["image"])
    assert not again["image"].equal(batches[3]["image"])
    assert fixed_batch(source, np.arange(2), "cpu")["image"].shape == (2, 1, 4, 8, 8)


def test_turns_move_image_and_label_alike():
    labels = (np.random.default_rng(2).random(SHAPE[1:]) < 0.5).astype(np.uint8)
    f = fragment(labels)
    f.volume.array[:] = labels[None]  # the picture is its label
    field = cube_field.make_field(f, f.mask, (4, 8, 8))
    source = cubes.CubeSource(f, field, cubes.Scale(0, 1), 16, augment=True)
    s = seeds(64)
    batch = source.finish(source.gather(np.arange(64), s), s)
    assert batch["image"][:, 0, 1].equal(batch["label"])
    plain = source.gather(np.arange(64), s)["label"].float()
    same = (batch["label"] == plain).flatten(1).all(1)
    assert 1 <= int(same.sum()) < 24  # about one in eight


def test_boxes_and_grids():
    mask = np.ones((40, 64), bool)
    boxed = regions.box_mask(mask, (4, 10, 20, 50))
    assert boxed.sum() == 16 * 40
    with pytest.raises(DataError, match=r"data\.box"):
        regions.box_mask(mask, (4, 10, 20, 80))
    grid = cube_field.grid_corners(boxed, (4, 8, 8), 6, cover=1.0)
    assert all(boxed[y : y + 8, x : x + 8].all() and z == 1 for z, y, x in grid)
    deep = cube_field.grid_corners(boxed, (4, 8, 8), 18, cover=1.0, depths=9)
    layers = {z: {(y, x) for at, y, x in deep if at == z} for z in deep[:, 0]}
    assert [int(z) for z in layers] == [0, 4, 9, 14]  # whole ones, from the top to the bottom
    assert all(one == {(y, x) for _, y, x in grid} for one in layers.values())
    with pytest.raises(DataError, match="larger than the fragment"):
        cube_field.allowed_corners(mask, (1, 41, 8), 1.0)
    with pytest.raises(DataError, match="cube of 7 planes"):
        cube_field.make_field(fragment(), mask, (7, 8, 8))

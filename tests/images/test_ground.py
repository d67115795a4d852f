"""Transparency: what pictures are laid on, and what vanishes there."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from famulus.config.errors import ConfigError, DataError
from famulus.images.decoding import GROUNDS, decode
from famulus.images.look import look
from famulus.images.open import open_images
from famulus.images.picture import Recipe
from tests.images.picture_files import write

SEED = np.random.default_rng(3)


def file(pixels, form="PNG"):
    out = io.BytesIO()
    if form == "PNG":
        Image.fromarray(pixels).save(out, form)
    else:
        tifffile.imwrite(out, pixels, photometric="rgb", extrasamples=["unassalpha"])
    return out.getvalue()


def ink(seed, colour):
    """A disc of one colour on nothing, RGBA."""
    y, x = np.mgrid[:16, :16]
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[..., :3] = colour
    pixels[..., 3] = 255 * ((y - 8) ** 2 + (x - 4 - seed % 8) ** 2 < 20)
    return file(pixels)


@pytest.fixture
def drawings(tmp_path):
    """Of 40 pictures 4 in black ink, one of them held out or not, and one in white."""
    files = {f"{i}.png": ink(i, SEED.integers(60, 200, 3)) for i in range(35)}
    files |= {f"black{i}.png": ink(i, 0) for i in range(4)} | {"white.png": ink(0, 255)}
    return write(tmp_path / "drawings", files)


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("depth", [8, 16])
def test_colours_are_laid_on_the_ground(ground, depth):
    most = (1 << depth) - 1
    pixels = SEED.integers(0, most + 1, (5, 7, 4)).astype(f"uint{depth}")
    decoded = decode(file(pixels, "PNG" if depth == 8 else "TIFF"), ground=ground)
    share = pixels[..., 3:] / most
    expected = share * pixels[..., :3] + (1 - share) * (most if ground == "white" else 0)
    assert decoded.dtype == pixels.dtype
    assert np.abs(decoded - expected).max() <= 1
    other = share * pixels[..., :3] + (1 - share) * (0 if ground == "white" else most)
    assert np.abs(decoded - other).max() > 0.2 * most


def test_white_below_numbers_without_a_full_scale_is_refused():
    raw = file(SEED.random((4, 4, 4)).astype(np.float32), "TIFF")
    decode(raw)
    with pytest.raises(DataError, match="on white: expected 8 or 16 bits, received float32"):
        decode(raw, ground="white")


def test_what_vanishes_is_counted_and_the_other_ground_shows_it(drawings):
    def vanished(ground):
        splits = open_images(drawings, channels=3, background=ground)
        lines = [n for n in splits.notes if "nothing to be seen" in n]
        return sum(int(n.split(": ")[1].split(" of ")[0]) for n in lines), lines, splits

    count, lines, black = vanished("black")
    assert count == 4
    assert "laid on black (data.background: white" in lines[0]
    assert "black0.png" in " ".join(lines)
    count, lines, white = vanished("white")
    assert count == 1
    assert "laid on white (data.background: black" in lines[0]
    assert "white.png" in lines[0]
    assert black.fingerprint != white.fingerprint
    alike = black.train.names == white.train.names
    corners = [np.unique(s.train.images[..., 0, 0]).tolist() for s in (black, white)]
    assert alike
    assert corners == [[0], [255]]


def test_the_ground_that_shows_more_is_proposed(drawings, tmp_path):
    assert look(drawings).settings["background"] == "white"
    coloured = {f"{i}.png": ink(i, SEED.integers(60, 200, 3)) for i in range(20)}
    assert "background" not in look(write(tmp_path / "coloured", coloured)).settings


def test_what_is_shown_and_said_is_of_the_ground_that_is_proposed(drawings):
    """As a training reads them: tiles are the pictures on white, notes and identity those of it."""
    seen = look(drawings)
    trained = open_images(drawings, channels=3, background="white")
    tiles = [t[:: len(t) // 16, :: len(t) // 16] for row in seen.rows.values() for t in row]
    assert len(tiles) == 24
    pictures = trained.train.images.transpose(0, 2, 3, 1)
    assert all(any(np.array_equal(t, p) for p in pictures) for t in tiles)
    on_black = open_images(drawings, channels=3).train.images.transpose(0, 2, 3, 1)
    assert not any(np.array_equal(t, p) for t in tiles for p in on_black)  # control
    assert seen.notes == trained.notes
    assert any("laid on white" in note for note in seen.notes)
    assert seen.fingerprint == trained.fingerprint
    assert dict(seen.facts())["background"] == (
        "white; pictures of which nothing is to be seen: 4 on black, 1 here"
    )


def test_white_is_proposed_where_it_shows_more_and_refuses_nothing(tmp_path):
    files = {f"{i}.png": ink(i, SEED.integers(60, 200, 3)) for i in range(30)}
    empty = {f"empty{i}.png": file(np.zeros((16, 16, 4), np.uint8)) for i in range(4)}
    seen = look(write(tmp_path / "empty", files | empty))  # on any ground
    assert (seen.background, "background" in seen.settings) == ("black", False)
    assert any("laid on black" in note for note in seen.notes)
    assert "background" not in dict(seen.facts())
    deep = {"deep.tif": file(SEED.random((16, 16, 4)).astype(np.float32), "TIFF")}
    black = {f"black{i}.png": ink(i, 0) for i in range(4)}
    seen = look(write(tmp_path / "deep", files | black | deep))
    assert seen.background == "black"
    assert any("4 of" in note and "nothing to be seen" in note for note in seen.notes)
    assert look(write(tmp_path / "black", files | black)).background == "white"  # control


def test_a_picture_of_one_level_is_counted(tmp_path):
    files = {f"{i}.png": file(SEED.integers(0, 256, (8, 8, 3), np.uint8)) for i in range(20)}
    files["empty.png"] = file(np.full((8, 8, 3), 90, np.uint8))
    notes = open_images(write(tmp_path / "set", files), channels=3).notes
    assert any("1 of" in n and "one grey level all over" in n and "empty.png" in n for n in notes)


def test_the_ground_goes_with_the_form_of_training():
    training = Recipe(None, "bilinear", 3, "stretch", ground="white")
    assert Recipe(None, "bilinear", 3, "stretch").scaled_by(training.scale).ground == "white"


def test_other_grounds_are_refused(drawings, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.background: expected black or white"):
        open_images(drawings, background="grey")
    images = SEED.integers(0, 256, (200, 6, 6, 4), np.uint8)
    np.savez(tmp_path / "set.npz", images=images)
    with pytest.raises(ConfigError, match="an array of RGBA is laid on black"):
        open_images(str(tmp_path / "set.npz"), background="white")

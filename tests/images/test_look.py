"""A look at data: what is counted is what was put there, and pictures may differ in shape."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from famulus.feed.source import OfForm
from famulus.images import look as looking
from famulus.images import parts, picture_sample
from famulus.images.contact_sheet import GAP, LABEL, MARGIN, row, sheet, tile
from famulus.images.duplicates import find_repeats
from famulus.images.look import look
from tests.launch.tiny import complains, famulus

RNG = np.random.default_rng(3)
COLOURS = {"cat": (200, 30, 30), "dog": (30, 200, 30), "eel": (30, 30, 200)}
SHAPES = [(40, 60), (60, 40), (40, 60), (50, 90)]  # height, width


def photographs(folder, each=8, shapes=SHAPES):
    """Class folders of JPEGs, each of a pattern of its own, with train and validation."""
    for role, count in (("train", each), ("validation", 2)):
        for colour, (label, rgb) in enumerate(COLOURS.items()):
            for n in range(count):
                high, wide = shapes[n % len(shapes)]
                rough = RNG.integers(0, 120, (5, 7, 3)) + np.array(rgb) // 2
                image = Image.fromarray(rough.astype(np.uint8)).resize((wide, high))
                place = folder / role / label
                place.mkdir(parents=True, exist_ok=True)
                image.save(place / f"{n:03d}{colour}.png")
    return folder


@pytest.fixture
def mixed(tmp_path):
    return photographs(tmp_path / "my photos")


def test_counts_sizes_and_classes_are_those_of_the_files(mixed):
    seen = look(str(mixed))
    assert (seen.train, seen.validation, seen.own_split) == (24, 6, True)
    assert seen.classes == dict.fromkeys(COLOURS, (8, 2))
    # 4 of 8 and 1 of 2 are the first shape and its repeat; per class and part
    assert seen.sizes == {(40, 60): 15, (60, 40): 9, (50, 90): 6}
    assert seen.measures == "60x40 (15), 40x60 (9), 90x50 (6); from 60x40 to 90x50"
    assert seen.shape is None  # a training needs a size first
    assert seen.differ
    assert seen.settings == {"name": str(mixed), "size": 64, "channels": 3}
    assert seen.notes == []


@pytest.mark.parametrize(("kind", "times"), [(OfForm, 0), (str, 2)])
def test_what_holds_for_a_size_is_told_of_one_that_was_named(mixed, monkeypatch, kind, times):
    """By the note's class, whatever its wording; a plain note of each part is told always."""
    monkeypatch.setattr(parts, "resized_notes", lambda *given: [kind("made smaller")])
    assert look(str(mixed)).notes.count("made smaller") == times
    assert look(str(mixed), 32).notes.count("made smaller") == 2


def test_of_a_large_set_copies_are_counted_in_the_sample(mixed, monkeypatch):
    """That a training would not look for them is of no interest here."""
    monkeypatch.setattr(looking, "PIXELS", 20_000)
    assert not [note for note in look(str(mixed)).notes if "not looked for" in note]
    assert [note for note in look(str(mixed), 32).notes if "not looked for" in note]


def test_what_is_left_out_is_said_once_and_with_its_reason(mixed):
    (mixed / "train" / "cat" / "broken.png").write_bytes(b"\x89PNG no")
    seen = look(str(mixed))
    assert seen.train == 24
    assert seen.files == 31
    assert [note for note in seen.notes if "broken.png" in note] == seen.notes
    assert len(seen.notes) == 1


def test_values_are_those_stored(tmp_path):
    arrays = RNG.integers(7, 120, (40, 9, 9), dtype=np.uint8)
    arrays[0, 0, 0], arrays[1, 0, 0] = 5, 131
    np.savez(tmp_path / "grey.npz", images=arrays)
    seen = look(str(tmp_path / "grey.npz"))
    assert (seen.low, seen.high, dict(seen.dtypes)) == (5, 131, {"uint8": 40})
    assert seen.colour == 0
    assert seen.settings["channels"] == 1
    assert seen.settings["size"] == 9
    assert seen.measures == "all 9x9"


def test_repeats_within_training_and_across(tmp_path):
    folder = photographs(tmp_path / "set")
    with Image.open(folder / "train" / "cat" / "0000.png") as first:
        first.resize((120, 80)).save(folder / "train" / "dog" / "again.png")
        first.save(folder / "validation" / "eel" / "again.png")
    seen = look(str(folder))
    assert (seen.repeats, seen.copies, seen.complete) == (1, 1, True)


def correlation(a, b):
    a, b = (x.astype(np.float64).ravel() - x.mean() for x in (a, b))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_repeats_agree_with_every_pair():
    """Of 40 pictures of 16x16, as correlation in float64 of each pair has them."""
    base = RNG.integers(0, 256, (30, 1, 16, 16))
    copies = base[[2, 5, 9]] * 0.8 + 20 + RNG.normal(0, 1, (3, 1, 16, 16))
    images = np.concatenate([base, copies, base[[7]]]).clip(0, 255).astype(np.uint8)
    alike = {
        later
        for later in range(len(images))
        for earlier in range(later)
        if correlation(images[earlier], images[later]) > 0.995
    }
    found = find_repeats(images)
    assert {v for _, v in found.pairs.tolist()} == alike == {30, 31, 32, 33}
    assert found.pairs.tolist() == [[2, 30], [5, 31], [7, 33], [9, 32]]
    assert (found.exact, found.near) == (1, 3)


def test_a_large_set_is_looked_at_in_part_and_says_so(mixed, monkeypatch):
    monkeypatch.setattr(looking, "PIXELS", 20_000)
    monkeypatch.setattr(picture_sample, "ACROSS", 2)  # whose pictures are always looked at
    seen = look(str(mixed))
    assert 0 < seen.decoded < 20
    assert f"({seen.decoded} of 30 looked at)" in seen.values
    assert not seen.complete
    assert "among the" in seen.doubles
    assert seen.sizes.total() == 30  # headers cost nothing
    assert (seen.train, seen.validation) == (24, 6)
    assert [tiles.shape for tiles in seen.rows["cat"]] == [t.shape for t in seen.rows["dog"]]


def test_nothing_is_decoded_that_was_not_asked_for(mixed, monkeypatch):
    monkeypatch.setattr(looking, "HEADERS", 20)
    seen = look(str(mixed))
    assert seen.sizes.total() <= 20 < seen.files
    assert f"({seen.sizes.total()} of 30 looked at)" in seen.measures
    assert any("not all of them were opened" in note for note in seen.notes)
    assert seen.fingerprint is None


# -- contact sheet -------------------------------------------------------------------------------


def test_a_small_picture_is_enlarged_pixel_by_pixel_and_a_large_one_keeps_its_shape():
    small = RNG.integers(0, 256, (8, 6), dtype=np.uint8)
    shown = tile(small)
    assert shown.shape == (96, 72, 3)
    assert np.array_equal(shown[::12, ::12, 0], small)
    assert tile(np.zeros((100, 400, 3), np.uint8)).shape == (24, 96, 3)
    assert tile(np.zeros((1, 4000), np.uint8)).shape == (1, 96, 3)


def test_the_sheet_has_every_row_in_its_place():
    reds = [np.full((96, 50, 3), (250, 0, 0), np.uint8)] * 2
    blues = [np.full((30, 96, 3), (0, 0, 250), np.uint8)]
    pixels = np.asarray(Image.open(io.BytesIO(sheet({"red": reds, "none": [], "blue": blues}))))
    assert pixels.shape == (MARGIN + 2 * (LABEL + MARGIN) + 96 + 30, 2 * MARGIN + 50 + GAP + 50, 3)
    assert np.array_equal(pixels[MARGIN + LABEL + 48, MARGIN + 25], (250, 0, 0))
    assert np.array_equal(pixels[-MARGIN - 15, MARGIN + 48], (0, 0, 250))
    assert row(reds)[0, 52].tolist() == [0, 0, 0, 0]  # between two tiles nothing is drawn


# -- the command ---------------------------------------------------------------------------------


def test_info_of_pictures_of_different_shape(mixed):
    row = famulus("data", "info", mixed, "--json").json()
    assert (row["train"], row["validation"], row["shape"]) == (24, 6, None)
    assert row["train_classes"] == dict.fromkeys(COLOURS, 8)
    assert row["sizes"][0] == {"width": 60, "height": 40, "count": 15}
    assert row["dtypes"] == {"uint8": 30}
    sized = famulus("data", "info", mixed, "--size", 16, "--json").json()
    assert sized["shape"] == [3, 16, 16]
    assert sized["resized"]
    assert any("30x20" in note or "resized" in note for note in sized["notes"])


def test_info_says_it_in_words(mixed):
    said = famulus("data", "info", mixed)
    assert said.code == 0
    for words in ("24 training and 6 validation", "60x40 (15)", "uint8", "cat", "8 + 2"):
        assert words in said.out
    assert f"data: {{name: {json.dumps(str(mixed))}, size: 64, channels: 3}}" in said.out


def test_sheet_and_page_are_whole_and_written_once(mixed, tmp_path):
    png, html = tmp_path / "out" / "sheet.png", tmp_path / "out" / "page.html"
    said = famulus("data", "info", mixed, "--sheet", png, "--html", html)
    assert said.code == 0, said
    with Image.open(png) as image:  # eight 90 wide: 90 pixels can't be doubled within 96
        assert image.width == 2 * MARGIN + 8 * (90 + GAP) - GAP
    text = html.read_text()
    assert text.count("data:image/png;base64,") == 3  # a row a class, in the page itself
    for outside in ('src="h', 'href="h', 'src="/', 'rel="stylesheet"', "@import"):
        assert outside not in text
    assert "60x40" in text
    assert "famulus new codes --data" in text
    complains(famulus("data", "info", mixed, "--sheet", png), 2, "sheet.png", "new .png")
    complains(famulus("data", "info", mixed, "--html", tmp_path / "x.txt"), 2, "new .html")


def test_what_a_folder_is_called_can_not_leave_the_page(tmp_path):
    evil = "<script>alert(1)</script>"
    folder = photographs(tmp_path / "set")
    (folder / "train" / "cat").rename(folder / "train" / evil.replace("/", "∕"))
    html = tmp_path / "page.html"
    assert famulus("data", "info", folder, "--html", html).code == 0
    assert "<script>alert" not in html.read_text()
    assert "&lt;script&gt;alert" in html.read_text()


def test_info_of_a_volume(tmp_path):
    voxels = RNG.integers(0, 4000, (12, 40, 50), dtype=np.uint16)
    voxels[6, 20, 25] = 4095
    np.save(tmp_path / "scan.npy", voxels)
    html, png = tmp_path / "scan.html", tmp_path / "scan.png"
    row = famulus("data", "info", tmp_path / "scan.npy", "--json", "--html", html).json()
    assert row["shape"] == [12, 40, 50]
    assert row["dtype"] == "uint16"
    assert row["range"] == [voxels.min(), 4095]
    assert row["looked at"] == "all"
    assert row["use"].endswith(", range: [0, 4095]}")
    assert html.read_text().count("data:image/png;base64,") == 3
    said = famulus("data", "info", tmp_path / "scan.npy", "--sheet", png)
    assert "12x40x50 (z, y, x), uint16" in said.out
    with Image.open(png) as image:  # 50 voxels, six pixels each, whichever the plane
        assert image.size == (2 * MARGIN + 300, MARGIN + 3 * (LABEL + MARGIN) + 240 + 72 + 72)


def test_a_full_scale_that_is_likely_is_proposed(tmp_path):
    """12 bits in 16: the line of YAML and every new experiment declare the camera's range."""
    for i in range(12):
        pixels = RNG.integers(5, 4000, (16, 16), dtype=np.uint16)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    row = famulus("data", "info", tmp_path, "--json").json()
    assert "range: [0, 4095]" in row["use"]
    assert any("data: {range: [0, 4095]}" in note for note in row["notes"])
    assert look(str(tmp_path)).at(size=16)["range"] == [0, 4095]

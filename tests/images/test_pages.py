"""Files of several pages, truncated files, and memory that is bounded before it is taken."""

import io
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tifffile
from PIL import Image

from famulus.config.errors import ConfigError, DataError
from famulus.images import decoding, tiff
from famulus.images.decoding import decode
from famulus.images.open import FileSource, open_images
from famulus.images.room import in_order

STACK = np.random.default_rng(0).integers(0, 60000, (7, 6, 8)).astype(np.uint16)


def tif(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="minisblack", **options)
    return file.getvalue()


def animation(format):
    """Five frames, each of one grey: 10, 60, 110, 160, 210."""
    frames = [Image.new("RGB", (8, 8), (10 + 50 * i,) * 3) for i in range(5)]
    file = io.BytesIO()
    options = {"lossless": True} if format == "WEBP" else {}
    frames[0].save(file, format, save_all=True, append_images=frames[1:], **options)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    for role in ("train", "validation"):
        for name in ("cat", "dog"):
            (tmp_path / role / name).mkdir(parents=True)
            (tmp_path / role / name / "stack.tif").write_bytes(tif(STACK))
            (tmp_path / role / name / "one.tif").write_bytes(tif(STACK[2]))
    return tmp_path


@pytest.mark.parametrize("resident", [1 << 30, 10])
def test_the_first_page_is_used_and_that_is_said(folder, resident):
    splits = open_images(str(folder), size=(6, 8), channels=1, resident_bytes=resident)
    assert isinstance(splits.train, FileSource) == (resident == 10)
    assert len(splits.train) == 4
    (note,) = [note for note in splits.train.notes if "pages" in note]
    assert "2 of 4 pictures: more pages than the one in use (data.pages" in note
    assert "train/cat/stack.tif" in note


def test_each_page_is_a_sample(folder):
    splits = open_images(str(folder), pages="all", channels=1, range=[0, 65535])
    assert len(splits.train) == 2 * (7 + 1)
    assert "train/cat/stack.tif#3" in splits.train.names
    assert "train/cat/one.tif" in splits.train.names
    third = splits.train.names.index("train/dog/stack.tif#3")
    assert np.abs(splits.train.images[third, 0] - STACK[2] / 65535.0).max() < 1e-7
    assert splits.train.classes[splits.train.labels[third]] == "dog"
    assert not [note for note in splits.train.notes if "pages" in note]


def test_the_middle_page(folder):
    splits = open_images(str(folder), pages="middle", channels=1, range=[0, 65535])
    place = splits.train.names.index("train/cat/stack.tif")
    assert np.abs(splits.train.images[place, 0] - STACK[3] / 65535.0).max() < 1e-7


def test_pages_name_another_set(folder):
    prints = {open_images(str(folder), pages=p).fingerprint for p in ("first", "middle", "all")}
    assert len(prints) == 3
    with pytest.raises(ConfigError, match=r"data\.pages: expected one of first, middle, all"):
        open_images(str(folder), pages="last")


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_frames_of_an_animation(format):
    raw = animation(format)
    greys = [round(float(decode(raw, page=page).mean())) for page in ("first", "middle", 0, 4)]
    assert np.abs(np.array(greys) - [10, 110, 10, 210]).max() <= 2
    with pytest.raises(DataError, match="page 6 of 5"):
        decode(raw, page=5)


def test_pages_unlike_the_first_are_named(tmp_path):
    with tifffile.TiffWriter(tmp_path / "odd.tif") as file:
        for page in (STACK[0], STACK[1], STACK[2].astype(np.int32), STACK[3, :4]):
            file.write(page, photometric="minisblack", contiguous=False)
    (tmp_path / "set/train").mkdir(parents=True)
    (tmp_path / "set/validation").mkdir()
    for role in ("train", "validation"):
        raw = (tmp_path / "odd.tif").read_bytes()
        (tmp_path / "set" / role / "odd.tif").write_bytes(raw)
    notes = open_images(str(tmp_path / "set"), pages="all", size=6).train.notes
    (note,) = [note for note in notes if "another size or type" in note]
    assert "2 of 4 pictures" in note
    assert "odd.tif#3, train/odd.tif#4" in note


# -- damage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"bigtiff": True}])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9])
def test_a_truncated_tiff_is_one_reason(options, share):
    whole = tif(STACK, **options)
    with pytest.raises(DataError) as caught:
        decode(whole[: int(len(whole) * share)])
    assert "0x" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pages_in_a_circle_are_refused():
    raw = bytearray(tif(STACK[0]))
    first = int.from_bytes(raw[4:8], "little")
    entries = int.from_bytes(raw[first : first + 2], "little")
    link = first + 2 + 12 * entries
    raw[link : link + 4] = first.to_bytes(4, "little")
    with pytest.raises(DataError, match="lead in a circle"):
        decode(bytes(raw))


def claimed(pixels):
    """A sound TIFF whose header says that it is a square of this side."""
    raw = bytearray(tif(STACK[0]))
    first = int.from_bytes(raw[4:8], "little")
    for i in range(int.from_bytes(raw[first : first + 2], "little")):
        at = first + 2 + 12 * i
        if int.from_bytes(raw[at : at + 2], "little") in (256, 257):
            raw[at + 2 : at + 12] = (
                (4).to_bytes(2, "little") + (1).to_bytes(4, "little") + pixels.to_bytes(4, "little")
            )
    return bytes(raw)


@pytest.mark.parametrize("side", [8_945, 49_152, 1 << 31])
def test_a_huge_claim_is_refused(side):
    with pytest.raises(DataError, match="pixels, limit 80000000"):
        decode(claimed(side))


def test_a_page_of_too_many_bytes_is_refused(monkeypatch):
    monkeypatch.setattr(tiff, "MAX_BYTES", STACK[0].nbytes - 1)
    with pytest.raises(DataError, match="96 bytes when decoded, limit 95"):
        decode(tif(STACK[0]))


# -- memory ----------------------------------------------------------------------------------------


def test_one_large_picture_at_a_time(monkeypatch):
    """Six pictures of a room's size by eight threads: two are never held at once."""
    monkeypatch.setattr("famulus.images.room.BYTES", 100)
    held, most = set(), [0]

    def work(name, take):
        take(90)
        held.add(name)
        most[0] = max(most[0], len(held))
        return name

    names = [str(i) for i in range(40)]
    for name, result in zip(names, in_order(work, names, 8), strict=True):
        assert name == result
        held.discard(name)
    # the one whose turn it is comes in beside one that was there before
    assert most[0] <= 2


def test_the_one_whose_turn_it_is_never_waits():
    names = [str(i) for i in range(200)]

    def work(name, take):
        take(1 << 40)
        return int(name)

    assert list(in_order(work, names, 8)) == list(range(200))
    started = in_order(work, names, 8)
    next(started)
    started.close()  # threads that wait are let go


def test_transparency_takes_no_second_copy(tmp_path):
    """Three RGBA of 2,000^2 (48 MB): 36 MB as a set, with at most 70 MB above it."""
    pixels = np.zeros((2000, 2000, 4), np.uint8)
    for i, (role, name) in enumerate((("train", "a"), ("train", "b"), ("validation", "c"))):
        (tmp_path / role).mkdir(exist_ok=True)
        pixels[:, :, :] = 40 * i + 10
        Image.fromarray(pixels).save(tmp_path / role / f"{name}.png", compress_level=1)
    code = """
        import resource, sys, warnings
        import famulus.images.parts as parts, famulus.images.room as room
        from famulus.images.open import open_images
        parts._pictures.limit = room.BYTES = 1 << 20
        splits = open_images(sys.argv[1])
        def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        before = peak()
        len(splits.train), len(splits.validation)
        print(peak() - before)
    """
    run = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    # a set of 36 MB, one picture of 16 MB in Pillow's hands and 12 MB beside it
    assert int(done.stdout) < 36 + 70
    assert decoding.MAX_PIXELS * 4 * 3 < 1 << 30

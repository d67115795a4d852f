"""TIFF stacks: axes as the file names them, every compression, damage named by its page."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile

from famulus.config.errors import DataError
from famulus.volumes import memory, tiff_pages
from famulus.volumes.open import Part, convert, open_volume
from tests.launch.tiny import complains, famulus
from tests.volumes.contents import SHAPE, content, numbers, voxels

FIVE = numbers(shape=(2, 4, 3, 37, 52))  # T Z C Y X


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(
    ("axes", "kind"),
    [("TZCYX", "ome"), ("TCZYX", "ome"), ("CZTYX", "ome"), ("TZCYX", "imagej")],
)
def test_axes_come_from_the_file(tmp_path, axes, kind, compression):
    """Whatever their order, data.channel and data.time name one volume ZYX."""
    path = tmp_path / "v.tif"
    array = FIVE.transpose(["TZCYX".index(a) for a in axes])
    tifffile.imwrite(path, array, metadata={"axes": axes}, compression=compression, **{kind: True})
    assert np.array_equal(voxels(path, channel=2, time=1), FIVE[1, :, 2])
    with pytest.raises(DataError, match=rf"axes {axes}.* 3 channels .* data: {{channel: 0}}"):
        open_volume(path)
    with pytest.raises(DataError, match=r"2 times .* data: {time: 0} .*--time 0"):
        open_volume(path, part=Part(channel=2))
    with pytest.raises(DataError, match=r"data\.channel: expected 0 to 2, received 3"):
        open_volume(path, part=Part(channel=3, time=0))
    convert(path, tmp_path / "v.bricks", part=Part(2, 1))
    assert np.array_equal(voxels(tmp_path / "v.bricks"), FIVE[1, :, 2])


@pytest.mark.parametrize("axes", ["ZCYX", "CZYX"])
def test_channels_never_become_depth(tmp_path, axes):
    array = FIVE[0] if axes == "ZCYX" else FIVE[0].swapaxes(0, 1)
    tifffile.imwrite(tmp_path / "v.ome.tif", array, ome=True, metadata={"axes": axes})
    for channel in range(3):
        assert np.array_equal(voxels(tmp_path / "v.ome.tif", channel=channel), FIVE[0, :, channel])


def test_a_volume_without_channels_has_none_to_name(tmp_path):
    array = numbers()
    tifffile.imwrite(tmp_path / "v.tif", array, imagej=True, metadata={"axes": "ZYX"})
    assert np.array_equal(voxels(tmp_path / "v.tif"), array)
    assert np.array_equal(voxels(tmp_path / "v.tif", channel=0), array)
    with pytest.raises(DataError, match=r"data\.channel: expected none, .*no channels"):
        open_volume(tmp_path / "v.tif", part=Part(channel=1))


@pytest.mark.parametrize(
    "how",
    [
        {"compression": "lzw"},
        {"compression": "zlib", "predictor": True},
        {"compression": "zstd"},
        {"compression": "packbits"},
        {"compression": "lzma"},
        {"compression": "zlib", "tile": (16, 16)},
        {"tile": (16, 32)},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"rowsperstrip": 5},
        {"compression": "lzw", "rowsperstrip": 7, "byteorder": ">"},
    ],
    ids=str,
)
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_every_layout_holds_the_same(tmp_path, monkeypatch, how, piece):
    """Bands of one row of strips, or of a whole page."""
    monkeypatch.setattr(memory, "PIECE", piece)
    array, path = numbers(), tmp_path / "v.tif"
    tifffile.imwrite(path, array, photometric="minisblack", **how)
    assert np.array_equal(voxels(path), array)
    np.save(tmp_path / "v.npy", array)
    same = [open_volume(tmp_path / name).volume.fingerprint for name in ("v.tif", "v.npy")]
    assert same[0] == same[1]


def test_jpeg_within_tiff_is_near(tmp_path):
    y, x = np.mgrid[:64, :48]
    array = np.stack([(y + x + 20 * z).astype(np.uint8) for z in range(3)])
    tifffile.imwrite(tmp_path / "v.tif", array, photometric="minisblack", compression="jpeg")
    assert np.abs(voxels(tmp_path / "v.tif").astype(int) - array).max() < 12


def test_without_imagecodecs_pillow_reads_or_the_extra_is_named(tmp_path, monkeypatch):
    array = numbers()
    monkeypatch.setattr(tiff_pages, "find_spec", lambda name: None)
    tifffile.imwrite(tmp_path / "l.tif", array, photometric="minisblack", compression="lzw")
    assert np.array_equal(voxels(tmp_path / "l.tif"), array)
    tifffile.imwrite(tmp_path / "j.tif", array, photometric="minisblack", compression="jpegxl")
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(DataError, match=r"JPEGXL.*imagecodecs: pip install 'famulus\[formats\]'"):
        open_volume(tmp_path / "j.tif")


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("without", [False, True])
def test_white_is_zero_is_inverted_in_8_and_16_bits(
    tmp_path, monkeypatch, compression, dtype, without
):
    if without:
        monkeypatch.setattr(tiff_pages, "find_spec", lambda name: None)
    array, path = numbers(dtype), tmp_path / "v.tif"
    tifffile.imwrite(path, array, photometric="miniswhite", compression=compression)
    want = np.iinfo(dtype).max - array
    assert np.array_equal(voxels(path), want)
    assert any("WhiteIsZero: inverted" in note for note in open_volume(path).notes)
    folder = tmp_path / "layers"
    folder.mkdir()
    for z, plane in enumerate(array):
        tifffile.imwrite(
            folder / f"{z:02d}.tif", plane, photometric="miniswhite", compression=compression
        )
    assert np.array_equal(voxels(folder), want)


def pages(path, planes, **how):
    with tifffile.TiffWriter(path) as file:
        for plane in planes:
            file.write(plane, contiguous=False, photometric="minisblack", **how)
    return path


@pytest.mark.parametrize("metadata", [None, {}])
@pytest.mark.parametrize("odd", ["uint8", "float32", "size"])
def test_one_page_unlike_the_rest_is_refused_by_both(tmp_path, odd, metadata):
    planes = list(numbers())
    planes[3] = planes[3][:-1] if odd == "size" else planes[3].astype(odd)
    path = pages(tmp_path / "v.tif", planes, metadata=metadata)
    with pytest.raises(DataError, match=r"page 3: expected .*uint16 as page 0"):
        open_volume(path)
    with pytest.raises(DataError, match=r"page 3: expected .*uint16 as page 0"):
        convert(path, tmp_path / "v.bricks")
    assert not (tmp_path / "v.bricks").exists()


@pytest.mark.parametrize("metadata", [None, {}])
def test_pages_one_by_one_are_planes(tmp_path, metadata):
    array = numbers()
    path = pages(tmp_path / "v.tif", array, metadata=metadata, compression="zlib")
    assert np.array_equal(voxels(path), array)


@pytest.mark.parametrize("share", [0.2, 0.45, 0.7, 0.95, 0.999])
@pytest.mark.parametrize("how", [{"metadata": None}, {"compression": "zlib", "metadata": None}])
def test_a_file_cut_short_is_named_with_its_page(tmp_path, share, how):
    """tifffile ends at the last whole page without an error."""
    path = pages(tmp_path / "v.tif", numbers(), **how)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    for read in (open_volume, lambda p: convert(p, tmp_path / "v.bricks")):
        with pytest.raises(DataError, match=r"v\.tif: (truncated: )?page \d|can't be read") as said:
            read(path)
        assert "\n" not in str(said.value)
    assert [p.name for p in tmp_path.iterdir()] == ["v.tif"]


def test_a_damaged_strip_leaves_nothing_behind(tmp_path):
    path = pages(tmp_path / "v.tif", numbers(), compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[3].dataoffsets[0], file.pages[3].databytecounts[0]
    raw = bytearray(path.read_bytes())
    raw[offset : offset + count] = b"\x01" * count
    path.write_bytes(raw)
    for read in (open_volume, lambda p: convert(p, tmp_path / "v.bricks")):
        with pytest.raises(DataError, match=r"v\.tif: page 3 can't be read"):
            read(path)
    assert not (tmp_path / "v.bricks").exists()


def test_colour_is_refused_by_name(tmp_path):
    tifffile.imwrite(tmp_path / "v.tif", numbers("uint8", (4, 20, 30, 3)), photometric="rgb")
    with pytest.raises(DataError, match=r"expected a grey slice .* received RGB"):
        open_volume(tmp_path / "v.tif")


def test_imagej_writes_all_planes_behind_one_header(tmp_path):
    array = numbers()
    # as ImageJ does above 4 GB: one page, its description says how many planes follow
    text = f"ImageJ=1.11a\nimages={len(array)}\nslices={len(array)}\n"
    tifffile.imwrite(
        tmp_path / "v.tif", array, description=text, metadata=None, photometric="minisblack"
    )
    raw = (tmp_path / "v.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "v.tif") as file:
        place = file.pages[0].offset  # of the first page's table, whose last word names the next
        last = place + 2 + 12 * len(file.pages[0].tags)
    (tmp_path / "v.tif").write_bytes(raw[:last] + bytes(4) + raw[last + 4 :])
    with tifffile.TiffFile(tmp_path / "v.tif") as file:
        assert len(file.pages) == 1
    assert np.array_equal(voxels(tmp_path / "v.tif"), array)
    convert(tmp_path / "v.tif", tmp_path / "v.bricks")
    assert np.array_equal(content(open_volume(tmp_path / "v.bricks").volume), array)


def test_strips_that_a_sparse_file_leaves_out_are_counted(tmp_path):
    array = numbers(shape=(2, 32, 32))
    array[1, :16] = 0

    def tiles():
        for z in range(2):
            for y in (0, 16):
                for x in (0, 16):
                    part = array[z, y : y + 16, x : x + 16]
                    yield part if part.any() else None

    tifffile.imwrite(
        tmp_path / "v.tif", tiles(), shape=array.shape, dtype="uint16", tile=(16, 16),
        compression="zlib", photometric="minisblack",
    )  # fmt: skip
    fragment = open_volume(tmp_path / "v.tif")
    assert np.array_equal(content(fragment.volume), array)
    assert any("2 strips or tiles are not there" in note for note in fragment.notes)


def test_shape_is_the_file_s(tmp_path):
    tifffile.imwrite(tmp_path / "v.tif", numbers())
    assert open_volume(tmp_path / "v.tif").volume.shape == SHAPE


def test_what_tifffile_logs_is_not_said_beside_the_one_line(tmp_path):
    """In a process of its own: pytest would catch what is logged."""
    path = pages(tmp_path / "v.tif", numbers(), metadata=None)
    path.write_bytes(path.read_bytes()[:9_000])
    complains(famulus("data", "convert", path, tmp_path / "v.bricks"), 3, "truncated: page")
    program = "import sys; from famulus.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, "data", "info", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1, done.stderr

"""A small good set of pictures in every format and layout that docs/data.md names.

Each maker takes an empty folder and gives the path that a person would name.
"""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

SIDES = 12, 10  # height, width
CLASSES = "even", "odd"
COUNT = 6  # of each class

Maker = Callable[[Path], Path]


def pixels(seed: int, mode: str = "RGB") -> np.ndarray:
    """A random picture: L, LA, RGB, RGBA of bytes, or a number type of HW."""
    random, channels = np.random.default_rng(seed), {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}
    if mode in channels:
        return random.integers(0, 256, SIDES + channels[mode], dtype=np.uint8)
    if np.dtype(mode).kind == "f":
        return random.random(SIDES).astype(mode)
    return random.integers(0, 1000, SIDES).astype(mode)


def encoded(form: str, seed: int, mode: str = "RGB", **how: Any) -> bytes:
    """The bytes of a file, by Pillow."""
    file, picture = io.BytesIO(), Image.fromarray(pixels(seed, mode))
    if how.pop("palette", False):
        picture = picture.convert("P")
    if how.pop("moving", False):
        how |= {"save_all": True, "append_images": [Image.fromarray(pixels(seed + 50, mode))]}
    if how.pop("turned", False):
        exif = Image.Exif()
        exif[0x0112] = 6
        how["exif"] = exif
    picture.save(file, form, **how)
    return file.getvalue()


def tiff(seed: int, mode: str = "RGB", pages: int = 1, **how: Any) -> bytes:
    file = io.BytesIO()
    stack = np.stack([pixels(seed + 50 * page, mode) for page in range(pages)])
    colours = "rgb" if mode.startswith("RGB") else "minisblack"
    tifffile.imwrite(file, stack if pages > 1 else stack[0], photometric=colours, **how)
    return file.getvalue()


def _of(form: str, mode: str = "RGB", **how: Any) -> Callable[[int], bytes]:
    return lambda seed: encoded(form, seed, mode, **how)


def _tiff(mode: str = "RGB", **how: Any) -> Callable[[int], bytes]:
    return lambda seed: tiff(seed, mode, **how)


def png16(seed: int) -> bytes:
    """RGB of 16 bits, which Pillow does not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    tall, wide = SIDES
    values = pixels(seed).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    head = struct.pack(">IIBBBBB", wide, tall, 16, 2, 0, 0, 0)
    ends = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + ends


# by suffix, each file of a set one of them in turn
FILES: dict[str, dict[str, list[Callable[[int], bytes]]]] = {
    "png": {
        "png": [
            *(_of("PNG", mode) for mode in ("L", "LA", "RGB", "RGBA")),
            _of("PNG", palette=True, transparency=3),
        ]
    },
    "deep png": {"png": [_of("PNG", "uint16"), png16]},
    "jpeg": {
        "jpg": [_of("JPEG"), _of("JPEG", "L"), _of("JPEG", progressive=True)],
        "jfif": [_of("JPEG", turned=True)],
    },
    "gif": {"gif": [_of("GIF"), _of("GIF", moving=True)]},
    "bmp": {"bmp": [_of("BMP"), _of("BMP", "L")], "dib": [_of("DIB")]},
    "webp": {"webp": [_of("WEBP"), _of("WEBP", "RGBA", lossless=True), _of("WEBP", moving=True)]},
    "avif": {"avif": [_of("AVIF")]},
    "jpeg 2000": {"jp2": [_of("JPEG2000")], "j2k": [_of("JPEG2000", "L")]},
    "tga": {"tga": [_of("TGA"), _of("TGA", "RGBA"), _of("TGA", compression="tga_rle")]},
    "pnm": {"ppm": [_of("PPM")], "pgm": [_of("PPM", "L")]},
    "tiff": {
        "tif": [
            *(_tiff(), _tiff("L"), _tiff("RGBA", extrasamples=["unassalpha"])),
            _tiff(compression="lzw"),
            *(_tiff("L", tile=(16, 16), compression="deflate"), _of("TIFF", compression="jpeg")),
        ],
        "tiff": [_of("TIFF", "L", compression="packbits"), _tiff(bigtiff=True)],
    },
    "deep tiff": {
        "tif": [
            *(_tiff("uint16"), _tiff("uint16", compression="lzw", predictor=2), _tiff("int32")),
            *(_tiff("uint32", compression="zstd"), _tiff("int16", byteorder=">")),
        ],
        "tiff": [_tiff("float32"), _tiff("float32", tile=(16, 16), compression="deflate")],
    },
}


def class_files(kind: str, folders: Iterable[str] = CLASSES) -> dict[str, bytes]:
    """Names and bytes of `COUNT` pictures in each folder."""
    makers = [(end, make) for end, several in FILES[kind].items() for make in several]
    files: dict[str, bytes] = {}
    for folder in folders:
        for _ in range(COUNT):
            end, make = makers[len(files) % len(makers)]
            files[f"{folder}/{len(files):02d}.{end}"] = make(len(files))
    return files


def written(top: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    return top


def folder_of(kind: str) -> Maker:
    return lambda top: written(top / "set", class_files(kind))


def pages(top: Path) -> Path:
    files = {f"{name}/{i}.tif": tiff(i, "uint16", pages=3) for i in range(3) for name in CLASSES}
    return written(top / "all", files)


def splits(top: Path) -> Path:
    roles = [f"{role}/{name}" for role in ("train", "val", "test") for name in CLASSES]
    made = written(top / "set", class_files("png", roles))
    os.symlink("../train/even", made / "train/more")
    (made / "train/README.txt").write_text("pictures")
    return made


def packed(method: int) -> Maker:
    def make(top: Path) -> Path:
        with zipfile.ZipFile(top / "set.zip", "w", method) as archive:
            for name, content in class_files("png").items():
                archive.writestr(name, content)
        return top / "set.zip"

    return make


MAKERS: dict[str, Maker] = {
    **{kind: folder_of(kind) for kind in FILES},
    "pages": pages,
    "splits": splits,
    "zip": packed(zipfile.ZIP_DEFLATED),
    "plain zip": packed(zipfile.ZIP_STORED),
}

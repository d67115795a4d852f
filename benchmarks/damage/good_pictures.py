"""A small good set of pictures in every format and layout that docs/data.md names.

Each maker takes an empty folder and gives the path that a person would name.
"""

import csv
import gzip
import io
import json
import os
import shutil
import struct
import zipfile
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
    import zlib

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


def _rows(top: Path) -> list[dict[str, str]]:
    names = list(class_files("png"))
    written(top / "set", class_files("png"))
    roles = ("train", "train", "val")
    return [
        {"path": name, "label": name.split("/")[0], "split": roles[i % 3]}
        for i, name in enumerate(names)
    ]


def table(end: str, separator: str) -> Maker:
    def make(top: Path) -> Path:
        rows, path = _rows(top), top / f"set/pictures{end}"
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0], delimiter=separator)
            writer.writeheader()
            writer.writerows(rows)
        return path

    return make


def json_lines(top: Path) -> Path:
    rows, path = _rows(top), top / "set/pictures.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def _idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def _idx_files(gzipped: bool) -> dict[str, bytes]:
    images = np.stack([pixels(i, "L") for i in range(2 * COUNT)])
    labels = (np.arange(2 * COUNT) % 2).astype(np.uint8)
    files = {}
    for role in ("train", "t10k"):
        files[f"{role}-images-idx3-ubyte"] = _idx(images)
        files[f"{role}-labels-idx1-ubyte"] = _idx(labels)
    if not gzipped:
        return files
    return {f"{name}.gz": gzip.compress(raw, mtime=0) for name, raw in files.items()}


def idx(gzipped: bool) -> Maker:
    return lambda top: written(top / "set", _idx_files(gzipped))


def idx_zip(top: Path) -> Path:
    with zipfile.ZipFile(top / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _idx_files(False).items():
            archive.writestr(name, content)
    return top / "set.zip"


def _arrays(mode: str) -> dict[str, np.ndarray]:
    stack = np.stack([pixels(i, mode) for i in range(2 * COUNT)])
    return {
        "x_train": stack,
        "y_train": np.array(CLASSES)[np.arange(len(stack)) % 2],
        "x_val": stack[:4],
        "y_val": np.array(CLASSES)[np.arange(4) % 2],
    }


def npz(mode: str, save: Callable[..., None]) -> Maker:
    def make(top: Path) -> Path:
        save(top / "set.npz", **_arrays(mode))
        return top / "set.npz"

    return make


def _parquet(path: Path, first: int) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    image = [
        {"bytes": encoded("PNG", first + i), "path": f"{first + i}.png"} for i in range(2 * COUNT)
    ]
    features = {"image": {"_type": "Image"}, "label": {"names": CLASSES, "_type": "ClassLabel"}}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.table({"image": pa.array(image, kind), "label": np.arange(2 * COUNT) % 2})
    info = json.dumps({"info": {"features": features}})
    parquet.write_table(rows.replace_schema_metadata({"huggingface": info}), path, row_group_size=5)


def parquet_file(top: Path) -> Path:
    _parquet(top / "set.parquet", 0)
    return top / "set.parquet"


def parquet_folder(top: Path) -> Path:
    (top / "set").mkdir()
    for i, name in enumerate(
        ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")
    ):
        _parquet(top / f"set/{name}.parquet", 20 * i)
    return top / "set"


MAKERS: dict[str, Maker] = {
    **{kind: folder_of(kind) for kind in FILES},
    "pages": pages,
    "splits": splits,
    "zip": packed(zipfile.ZIP_DEFLATED),
    "plain zip": packed(zipfile.ZIP_STORED),
    "csv": table(".csv", ","),
    "tsv": table(".tsv", "\t"),
    "jsonl": json_lines,
    "idx": idx(False),
    "idx gzipped": idx(True),
    "idx zip": idx_zip,
    "npz": npz("L", np.savez),
    "npz packed": npz("float32", np.savez_compressed),
    "parquet": parquet_file,
    "parquet folder": parquet_folder,
}


def index_csv(top: Path) -> Path:
    rows = [f"even/{i:02d}.png,a;b,10,12" for i in range(COUNT)]
    (top / "index.csv").write_text("\n".join(["file,tags,width,height", *rows]))
    return top / "index.csv"


def index_json(top: Path) -> Path:
    rows = [
        {"file": f"even/{i:02d}.png", "tags": ["a", "b"], "width": 10, "height": 12}
        for i in range(COUNT)
    ]
    (top / "index.json").write_text(json.dumps(rows))
    return top / "index.json"


def experiment(name: str) -> Maker:
    """One of the shipped experiments."""

    def make(top: Path) -> Path:
        source = Path(__file__).parents[2] / "experiments" / name
        return Path(shutil.copy(source, top / "mine.yaml"))

    return make


SETTINGS: dict[str, Maker] = {
    "tiles yaml": experiment("tiles/first-light.yaml"),
    "scroll yaml": experiment("scroll/batch.yaml"),
}
INDEXES: dict[str, Maker] = {"index csv": index_csv, "index json": index_json}

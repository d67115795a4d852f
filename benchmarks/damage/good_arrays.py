"""Small good sets as arrays: IDX, npz and parquet. Shapes: B H W."""

import gzip
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.damage.good_pictures import CLASSES, COUNT, Maker, encoded, pixels, written


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
    "idx": idx(False),
    "idx gzipped": idx(True),
    "idx zip": idx_zip,
    "npz": npz("L", np.savez),
    "npz packed": npz("float32", np.savez_compressed),
    "parquet": parquet_file,
    "parquet folder": parquet_folder,
}

"""A small good volume in every format and layout that docs/data.md names, and its neighbours.

Each maker takes an empty folder and gives the path that a person would name. Shapes: Z Y X.
"""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import tifffile
from PIL import Image

from benchmarks.damage.good_pictures import Maker

SHAPE = 4, 40, 48


def voxels(dtype: str = "uint16", shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    random = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return random.normal(size=shape).astype(dtype)
    return random.integers(0, min(60_000, np.iinfo(dtype).max), shape).astype(dtype)


def stack(dtype: str = "uint16", shape: tuple[int, ...] = SHAPE, **how: Any) -> Maker:
    def make(top: Path) -> Path:
        how.setdefault("photometric", "minisblack")
        tifffile.imwrite(top / "v.tif", voxels(dtype, shape), **how)
        return top / "v.tif"

    return make


def npy(dtype: str) -> Maker:
    def make(top: Path) -> Path:
        np.save(top / "v.npy", voxels(dtype))
        return top / "v.npy"

    return make


def nifti(end: str, dtype: str, slope: float = 1.0, kind: Any = nibabel.Nifti1Image) -> Maker:
    def make(top: Path) -> Path:
        image = kind(voxels(dtype).T, np.diag([1, 2, 3, 1]))
        image.header.set_slope_inter(slope, 0)
        nibabel.save(image, top / f"v{end}")
        (top / "v.json").write_text(json.dumps({"EchoTime": 0.02, "MagneticFieldStrength": 3}))
        return top / f"v{end}"

    return make


def nrrd(end: str, **how: Any) -> Maker:
    def make(top: Path) -> Path:
        import nrrd as library

        header = {"space directions": np.diag([1.0, 2, 3]), "space": "left-posterior-superior"}
        library.write(str(top / f"v{end}"), voxels().T, header | how)
        return top / f"v{end}"

    return make


def dicom(top: Path) -> Path:
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    (top / "d").mkdir()
    for z, plane in enumerate(voxels()):
        one = pydicom.dataset.Dataset()
        one.file_meta = pydicom.dataset.FileMetaDataset()
        one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = CTImageStorage
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = f"1.2.9.{z + 1}"
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SeriesInstanceUID, one.InstanceNumber = "1.2.3", z + 1
        one.Rows, one.Columns = plane.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, 0
        one.ImageOrientationPatient, one.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.5, 0.25]
        one.ImagePositionPatient = [3.0, -4.0, 2.0 * z]
        one.RescaleSlope, one.RescaleIntercept = 0.5, -3
        one.PixelData = plane.tobytes()
        one.save_as(top / f"d/{z}.dcm", enforce_file_format=True)
    return top / "d"


def ome_zarr(version: int) -> Maker:
    """0.4 in Zarr 2, 0.5 in Zarr 3; two levels."""

    def make(top: Path) -> Path:
        import zarr

        group = zarr.open_group(str(top / "v.zarr"), mode="w", zarr_format=version)
        for level, step in enumerate((1, 2)):
            data = voxels()[::step, ::step, ::step]
            array = group.create_array(
                str(level), shape=data.shape, chunks=(2, 16, 16), dtype=data.dtype
            )
            array[:] = data
        axes = [{"name": name, "type": "space"} for name in "zyx"]
        levels = [
            {
                "path": str(i),
                "coordinateTransformations": [{"type": "scale", "scale": [2.0**i] * 3}],
            }
            for i in range(2)
        ]
        scales = [{"version": "0.4", "axes": axes, "datasets": levels}]
        if version == 2:
            group.attrs["multiscales"] = scales
        else:
            del scales[0]["version"]
            group.attrs["ome"] = {"version": "0.5", "multiscales": scales}
        return top / "v.zarr"

    return make


def plain_zarr(version: int, **how: Any) -> Maker:
    def make(top: Path) -> Path:
        import zarr

        array = zarr.create_array(
            str(top / "v.zarr"), shape=SHAPE, dtype="uint16", zarr_format=version, **how
        )
        array[:] = voxels()
        return top / "v.zarr"

    return make


def slices(end: str) -> Maker:
    def make(top: Path) -> Path:
        (top / "d").mkdir()
        for z, plane in enumerate(voxels("uint8")):
            Image.fromarray(plane).save(top / f"d/slice_{z:04d}{end}")
        return top / "d"

    return make


def fragment(top: Path) -> Path:
    (top / "f/surface_volume").mkdir(parents=True)
    for z, plane in enumerate(voxels()):
        tifffile.imwrite(top / f"f/surface_volume/{z:02d}.tif", plane)
    marks = np.zeros(SHAPE[1:], np.uint8)
    marks[10:30, 10:30] = 255
    Image.fromarray(marks).save(top / "f/mask.png")
    tifffile.imwrite(top / "f/inklabels.tif", marks)
    return top / "f"


def bricks(top: Path) -> Path:
    from famulus.volumes.open import convert

    convert(fragment(top), top / "v.bricks")
    return top / "v.bricks"


MAKERS: dict[str, Maker] = {
    "tiff stack": stack(),
    "tiff lzw tiles": stack(compression="lzw", tile=(16, 16)),
    "tiff zstd strips": stack(compression="zstd", rowsperstrip=7),
    "tiff float": stack("float32", compression="deflate", predictor=3),
    "bigtiff": stack(bigtiff=True, byteorder=">"),
    "whiteiszero": stack("uint8", photometric="miniswhite"),
    "ome-tiff": stack(shape=(1, *SHAPE), ome=True, metadata={"axes": "CZYX"}),
    "ome-tiff channels": stack(shape=(2, *SHAPE), ome=True, metadata={"axes": "CZYX"}),
    "imagej": stack(shape=(4, 1, 40, 48), imagej=True, metadata={"axes": "ZCYX"}),
    "npy": npy("uint16"),
    "npy float": npy("float32"),
    "npy int16": npy("int16"),
    "nii": nifti(".nii", "uint16"),
    "nii.gz": nifti(".nii.gz", "int16", 0.5),
    "nii 2": nifti(".nii", "float32", kind=nibabel.Nifti2Image),
    "nrrd": nrrd(".nrrd", encoding="raw"),
    "nrrd gzip": nrrd(".nrrd", encoding="gzip"),
    "nhdr": nrrd(".nhdr"),
    "dicom": dicom,
    "ome-zarr 0.4": ome_zarr(2),
    "ome-zarr 0.5": ome_zarr(3),
    "zarr": plain_zarr(2, chunks=(2, 16, 16), compressors=None),
    "zarr shards": plain_zarr(3, chunks=(2, 20, 24), shards=(4, 40, 48)),
    "slices tiff": slices(".tif"),
    "slices png": slices(".png"),
    "slices jpeg": slices(".jpg"),
    "fragment": fragment,
    "bricks": bricks,
}
MAPS: dict[str, Maker] = {
    "map nii": nifti(".nii", "float32"),
    "map nii.gz": nifti(".nii.gz", "float32"),
}

"""A small scan in closed form, as files in the working folder: a sphere's field in a round head.

phase.nii (rad, -pi..pi, wrapped), mag.nii, mask.nii: 24 x 22 x 20 voxels of 1 mm. In the head the
phase is that of a sphere of 1 ppm at 3 T and 25 ms (Lorentz-corrected: 0 within, outside
chi/3 (R/r)^3 (3 cos^2 - 1)); in the air it is noise from -pi to pi, and the magnitude small.
"""

import json
from pathlib import Path

import nibabel
import numpy as np

from tests.launch.tiny import complains, famulus

TURN = 2 * np.pi
EXACT, WHOLE = 1e-5, 2e-3  # ppm: stored as floats, and as whole numbers of a scanner
SHAPE = (24, 22, 20)
RAD_PER_PPM = 2 * np.pi * 42.577478518e6 * 3 * 0.025 * 1e-6
GIVEN = {"mask": "mask.nii", "echo_time": 0.025, "field_strength": 3}
RAD = {**GIVEN, "units": "rad"}


def angle(values):
    """The same angle in -pi..pi."""
    return np.angle(np.exp(1j * values))


def head():
    """(field ppm, mask, magnitude), XYZ float64."""
    random = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in SHAPE), indexing="ij")
    r2 = np.maximum((x - 1.5) ** 2 + y**2 + z**2, 1)
    field = np.where(r2 < 16, 0, (4 / 3) ** 3 * 9 * r2**-1.5 * (3 * z**2 / r2 - 1))
    mask = ((x / 11) ** 2 + (y / 10) ** 2 + (z / 9) ** 2) < 1
    noise = np.abs(random.normal(0, 0.02, SHAPE))
    return field, mask, np.where(mask, 1 + 0.2 * np.cos(x / 4), noise)


def air(values, mask, low=-np.pi, high=np.pi):
    """The values within the mask, noise of a whole turn around it."""
    return np.where(mask, values, np.random.default_rng(1).uniform(low, high, SHAPE))


def save(name, values, affine=None, sform=1, qform=1, dtype=np.float32, kind=nibabel.Nifti1Image):
    affine = np.eye(4) if affine is None else np.asarray(affine, float)
    image = kind(np.asarray(values).astype(dtype), affine)
    image.set_sform(affine, code=sform)
    image.set_qform(affine, code=qform)
    nibabel.save(image, name)
    return Path(name)


def written():
    """(phase XYZ rad, mask, magnitude), which lie in the working folder now."""
    field, mask, magnitude = head()
    noise = np.random.default_rng(2).normal(0, 0.02, SHAPE)
    phase = air(angle(RAD_PER_PPM * field + noise), mask)
    for name, values in (("phase", phase), ("mag", magnitude), ("mask", mask)):
        save(f"{name}.nii", values)
    return phase, mask, magnitude


def apply(name="phase.nii", method="ndi", out="map.nii", **options):
    """`famulus apply` with these options; the default of NDI is a few steps, to be quick."""
    if method == "ndi":
        options = {"steps": 8, **options}
    words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    return famulus("apply", name, "--method", method, "-o", out, *words)


def result(out="map.nii"):
    """(map XYZ, what its sidecar says)."""
    beside = Path(out).with_suffix(".json")
    return nibabel.load(out).get_fdata(), json.loads(beside.read_text())


def gives(plain, *words, within=EXACT, **options):
    """The map is the plain one's; `words` are said in notes, and stand in the sidecar."""
    said = apply(**options)
    assert said.code == 0, said.err
    made, facts = result()
    assert np.abs(made - plain).max() < within < plain.std()
    notes = [line.removeprefix("note: ") for line in said.err.splitlines()]
    assert facts["Notes"] == notes
    assert all(any(word in note for note in notes) for word in words), notes
    assert bool(notes) == bool(words), notes
    return facts


def refused(code, *words, **options):
    before = sorted(Path().iterdir())
    complains(apply(**options, out="none.nii"), code, *words)
    assert sorted(Path().iterdir()) == before

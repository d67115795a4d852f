"""`famulus.load`: what a model makes of files and arrays, against `famulus apply` and formulas."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import famulus as library
from famulus.api import ConfigError, DataError, StoreError
from tests.launch.tiny import famulus, write

HALF_A_LEVEL = 0.51 / 255  # a PNG rounds to the nearest of 256 grey levels
TRAINING = """\
training:
  inputs: 512
  batch: 32
  optimizer: {name: adam, lr: 0.01}
  precision: fp32
  threads: 1
  pictures_every: null
"""
DIGITS = "name: digits, channels: 1, subset: 64, validation: 32"
FILES = {
    "tiles": f"task: tiles\ndata: {{{DIGITS}}}\nmodel: {{kind: vae, channels: [4, 6], code: 4}}\n",
    "codes": f"task: codes\ndata: {{{DIGITS}}}\n"
    "model: {widths: [4, 4], quantiser: {size: 8, dim: 2, pool: 0}}\n",
    "prior": "task: prior\ncodes: last:codes\nmodel: {width: 4, layers: 1, first_kernel: 3}\n",
    "levels": f"task: prior\ndata: {{{DIGITS}, levels: 2}}\n"
    "model: {width: 4, layers: 1, first_kernel: 3}\n",
    "pretext": "task: pretext\ndata: {name: digits, subset: 64, validation: 32}\n",
    "transfer": "task: transfer\npretext: last:pretext\n"
    "data: {name: digits, subset: 64, validation: 32}\n",
}


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory):
    """A folder with a trained run of each task, and five pictures of its own in `pictures`."""
    folder = tmp_path_factory.mktemp("laboratory")
    store = folder / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAMULUS_CACHE", str(folder / "cache"))
        for name, text in FILES.items():
            file = write(folder, f"why: what is it worth?\n{text}{TRAINING}", name)
            said = famulus("run", file, "--store", store, "--no-journal")
            assert said.code == 0, said.err
        (folder / "pictures").mkdir()
        for i, digit in enumerate(load_digits().images[:5]):  # of sixteen grey levels and 0
            Image.fromarray((digit * 15).astype(np.uint8)).save(folder / f"pictures/{i}.png")
        yield folder


@pytest.fixture
def load(laboratory):
    return lambda name: library.load(f"last:{name}", laboratory / "runs")


@pytest.fixture
def pictures(laboratory):
    """uint8 BCYX, those of the folder in order."""
    files = sorted((laboratory / "pictures").iterdir())
    return np.stack([np.asarray(Image.open(file))[None] for file in files])


def command(laboratory, name, out, *words):
    said = famulus(
        "apply", f"last:{name}", laboratory / "pictures", "-o", out, *words,
        "--store", laboratory / "runs",
    )  # fmt: skip
    assert said.code == 0, said.err
    return out


def pngs(folder):
    """0..1 of the PNGs of a folder, one channel: BYX."""
    return (
        np.stack([np.asarray(Image.open(p).convert("L")) for p in sorted(folder.glob("*.png"))])
        / 255
    )


@pytest.mark.parametrize("name", ["tiles", "codes"])
def test_an_array_is_rebuilt_as_its_file_is(laboratory, load, pictures, name, tmp_path):
    told = pngs(command(laboratory, name, tmp_path / "out"))
    made = load(name).apply(pictures)
    assert (made.dtype, made.shape) == (np.float32, pictures.shape)
    assert np.abs(made[:, 0] - told).max() < HALF_A_LEVEL
    assert np.abs(made[::-1, 0] - told).max() > 10 * HALF_A_LEVEL  # the comparison can fail


def test_the_kind_of_the_input_is_the_kind_of_the_result(load, pictures):
    model = load("tiles")
    made = model.apply(pictures)
    grey = (pictures / 255).astype(np.float64)
    assert np.array_equal(made, model.apply(grey.astype(np.float32)))
    assert np.allclose(made, model.apply(grey), atol=1e-6)
    tensor = model.apply(torch.from_numpy(pictures))
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), made)
    assert np.allclose(model.apply(pictures[1]), made[1], atol=1e-6)
    assert model.apply(pictures[::-1, :, ::-1]).shape == made.shape  # steps backwards
    many = np.concatenate([pictures] * 30)  # more than a net sees at once
    assert np.allclose(model.apply(many), np.concatenate([made] * 30), atol=1e-6)


@pytest.mark.parametrize("name", ["tiles", "codes", "prior", "pretext", "transfer"])
def test_a_folder_in_memory_is_what_the_command_writes(laboratory, load, name, tmp_path):
    options = {"complete": 0.5} if name == "prior" else {}
    words = [w for key, value in options.items() for w in (f"--{key}", str(value))]
    out = command(laboratory, name, tmp_path / "told", *words)
    model, inputs = load(name), laboratory / "pictures"
    assert model.apply(inputs, tmp_path / "own", **options) == tmp_path / "own"
    files = sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
    assert files
    for file in files:
        assert (tmp_path / "own" / file).read_bytes() == (out / file).read_bytes(), file
    made = model.apply(inputs, **options)
    assert sorted(made) == [file.as_posix() for file in files]
    for file in files:
        value = made[file.as_posix()]
        if file.suffix == ".png":
            assert np.array_equal(value, np.asarray(Image.open(out / file)))
        if file.suffix == ".npz":
            with np.load(out / file) as told:
                assert all(np.array_equal(value[key], told[key]) for key in told.files)


def test_codes_and_features_of_arrays_are_those_of_files(laboratory, load, pictures, tmp_path):
    command(laboratory, "codes", tmp_path / "codes", "--encode", "true")
    with np.load(tmp_path / "codes/codes.npz") as told:
        assert np.array_equal(load("codes").apply(pictures, encode=True), told["codes"])
    command(laboratory, "pretext", tmp_path / "features")
    with np.load(tmp_path / "features/features.npz") as told:
        made = load("pretext").apply(pictures)
        assert np.allclose(made, told["features"], atol=1e-5)
        assert np.abs(made[::-1] - told["features"]).max() > 1e-4
    assert load("pretext").apply(pictures[0]).shape == (made.shape[1],)


def test_transfer_gives_probabilities_of_named_classes(laboratory, load, pictures, tmp_path):
    model = load("transfer")
    made = model.apply(pictures)
    assert model.classes == tuple("0123456789")
    assert np.allclose(made.sum(1), 1, atol=1e-5)
    with torch.no_grad():
        logits = model.module(torch.from_numpy(pictures).float() / 255).double().numpy()
    powers = np.exp(logits - logits.max(1, keepdims=True))
    assert np.allclose(made, powers / powers.sum(1, keepdims=True), atol=1e-5)
    rows = model.apply(laboratory / "pictures")["predictions.csv"]
    assert [row["class"] for row in rows] == [model.classes[i] for i in made.argmax(1)]


@pytest.mark.parametrize("name", ["tiles", "prior", "levels"])
def test_samples_are_those_of_the_command(laboratory, load, name, tmp_path):
    command(laboratory, name, tmp_path / "out", "--sample", "3", "--seed", "7")
    told = pngs(tmp_path / "out")
    model = load(name)
    made = model.sample(3, seed=7)
    assert made.shape == (3, 1, 8, 8)
    assert np.abs(made[:, 0].numpy() - told).max() < HALF_A_LEVEL
    assert not torch.equal(made, model.sample(3, seed=8))


def test_a_prior_completes_arrays_as_it_does_files(laboratory, load, pictures, tmp_path):
    command(laboratory, "levels", tmp_path / "out", "--complete", "0.5", "--seed", "3")
    made = load("levels").apply(pictures, complete=0.5, seed=3)
    assert np.abs(made[:, 0] - pngs(tmp_path / "out")).max() < HALF_A_LEVEL
    upper = (pictures[:, 0, :4] / 255 > 0.5).astype(np.float32)  # two grey levels: 0 and 1
    assert np.abs(made[:, 0, :4] - upper).max() < HALF_A_LEVEL


WRONG = {
    "another size": (np.zeros((1, 9, 8), np.uint8), {}, "pictures of 1 x 8 x 8"),
    "two axes": (np.zeros((8, 8), np.uint8), {}, "pictures of 1 x 8 x 8"),
    "no picture": (np.zeros((0, 1, 8, 8), np.uint8), {}, "pictures of 1 x 8 x 8"),
    "0..255 as floats": (np.full((1, 8, 8), 255.0), {}, "floats in 0..1"),
    "not a number": (np.full((1, 8, 8), np.nan, np.float32), {}, "floats in 0..1"),
    "wide integers": (np.zeros((1, 8, 8), np.int64), {}, "uint8 or floats"),
    "text": (np.array(["a"]), {}, "a path, an array or a tensor"),
    "a list": ([0.0], {}, "a path, an array or a tensor"),
    "an option": (np.zeros((1, 8, 8), np.uint8), {"sampel": 3}, "received sampel"),
    "a place for an array": (np.zeros((1, 8, 8), np.uint8), {"out": "x"}, "out goes with a path"),
    "no such folder": ("none-such", {}, "does not exist"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_one_line(load, what, capsys):
    inputs, options, words = WRONG[what]
    with pytest.raises((ConfigError, DataError), match=words) as error:
        load("tiles").apply(inputs, **options)
    assert "\n" not in str(error.value)
    assert capsys.readouterr() == ("", "")


def test_what_draws_nothing_says_so(load):
    for name, words in {"pretext": "draw nothing", "codes": "needs model.kind vae"}.items():
        with pytest.raises(ConfigError, match=words):
            load(name).sample(2)
    with pytest.raises(ConfigError, match="option complete"):
        load("levels").apply(np.zeros((1, 8, 8), np.uint8))


def test_a_model_says_what_it_is(laboratory, load):
    model = load("tiles")
    (row,) = json.loads(famulus("status", "tiles", "--store", laboratory / "runs", "--json").out)
    assert row["id"] in model.name
    assert not model.module.training
    assert model.settings["model"]["channels"] == [4, 6]
    assert model.scores.keys() <= row["scores"].keys()
    assert model.scores["val/loss"] == pytest.approx(row["best"]["value"])
    assert "tiles" in model.card
    html = model._repr_html_()
    assert row["id"] in html
    with pytest.raises(StoreError, match="none"):
        library.load("none", laboratory / "runs")


def test_a_model_folder_is_its_run(laboratory, load, pictures, tmp_path, monkeypatch):
    words = ("--store", laboratory / "runs", "-o", tmp_path / "model")
    assert famulus("export", "last:transfer", *words).code == 0
    monkeypatch.chdir(tmp_path)
    model, run = library.load("model"), load("transfer")
    assert np.array_equal(model.apply(pictures), run.apply(pictures))
    assert model.card == (tmp_path / "model/README.md").read_text() == run.card
    assert (model.scores, model.classes) == (run.scores, run.classes)
    assert model.settings["model"] == run.settings["model"]
    with pytest.raises(ConfigError, match="one checkpoint"):
        library.load("model", checkpoint="last")


def test_results_of_other_files_are_not_lost(laboratory, load, tmp_path):
    for file in (laboratory / "pictures").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"1 pictures not read, the first: 2\.png"):
        made = load("tiles").apply(tmp_path)
    assert sorted(made) == ["0.png", "1.png", "3.png", "4.png"]
    with pytest.raises(DataError, match=r"2\.png"):
        load("tiles").apply(tmp_path, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_a_card_runs_nothing_in_a_notebook(load):
    model = load("tiles")
    model.card = "<script>alert(1)</script> [x](javascript:alert(1))"
    html = model._repr_html_()
    assert "<script" not in html
    assert 'href="javascript' not in html


def test_a_second_thread_hears_of_a_quiet_call_nothing(capsys):
    """Within `quietly` notes are warnings; outside of it they stay lines of stderr."""
    from famulus.feed.progress import note, quietly

    with quietly(), pytest.warns(UserWarning, match="look here"):
        note("look here")
    assert capsys.readouterr().err == ""
    note("look here")
    assert capsys.readouterr().err == "note: look here\n"


def test_importing_the_library_loads_no_torch(laboratory):
    code = (
        "import sys, famulus; from famulus import Lab;"
        f"lab = Lab({str(laboratory / 'runs')!r});"
        "assert lab.rows('tiles')[0]['status'] == 'finished';"
        "assert famulus.__version__ and 'load' in dir(famulus);"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

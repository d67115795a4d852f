"""A model folder: every task trains tiny, is exported and moved; then store and data are gone, and
another process in another folder gives what the run gave, without opening any data."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from markdown_it import MarkdownIt
from PIL import Image
from safetensors.numpy import load, load_file, save_file

from famulus import tasks
from famulus.launch import trained
from famulus.launch.trained import open_trained
from famulus.store.store import Store
from tests.launch.tiny import complains, famulus, tree

TRAINING = """
training:
  inputs: 32
  batch: 8
  optimizer: {name: adam, lr: 0.003}
  precision: fp32
  pictures_every: null
  threads: 1
"""
DATA = "data: {name: %s, size: 8, channels: 1, validation: 0.25"
CUBES = "data: {name: %s, cube: [4, 16, 16], validation: 0.25, block: 16, gap: 0"
SCROLL = "model: {kind: %s, widths: [4, 8], %s}\n"
SCAN = "--units rad --echo-time 0.025 --field-strength 3"
# Per model: the rest of its file, the input, further words, and what is compared.
MODELS = {
    "tiles": (
        "task: tiles\n" + DATA + "}\nmodel: {kind: vae, channels: [4], code: 3}\n",
        "own",
        "",
    ),
    "codes": (
        "task: codes\n" + DATA + ", fit: letterbox}\n"
        "model: {widths: [4, 4], quantiser: {size: 8, dim: 2, pool: 0}}\n",
        "own",
        "--encode true",
    ),
    "prior": (
        "task: prior\ncodes: last:codes\nmodel: {width: 4, layers: 1, first_kernel: 3}\n",
        "own",
        "--complete 0.5 --seed 3",
    ),
    "pretext": (
        "task: pretext\n" + DATA + ", pretext: rotation}\nmodel: {encoder: {channels: [4, 8]}}\n",
        "own",
        "",
    ),
    "transfer": (
        "task: transfer\npretext: last:pretext\n"
        + DATA
        + "}\nmodel: {encoder: {channels: [4, 8]}}\n",
        "own",
        "",
    ),
    "again": (
        "task: transfer\npretext: last:transfer\nmodel: {frozen: all}\n" + DATA + "}\n",
        "own",
        "--features true",
    ),
    "cubes": (
        "task: scroll\n" + CUBES + "}\n" + SCROLL % ("autoencoder", "code: 4"),
        "volume.npy",
        "",
    ),
    "ink": (
        "task: scroll\npretrained: last:cubes\n"
        + CUBES
        + ", labels: labels.png}\n"
        + SCROLL % ("ink", "coarse: 4, head: 4"),
        "own.npy",
        "",
    ),
    "qsm": (
        "task: qsm\ndata: {size: 12, train: 8, validation: 2, weights: none}\nmodel: {steps: 4}\n",
        "phase.nii.gz",
        SCAN,
    ),
}
# Files beside those of every model.
OWN = {"prior": {"parents/codes.safetensors"}, "codes": {"model.pt2"}}
# In a process of its own: no data may be opened, whatever a task does.
FRESH = """
import json, sys
from famulus import cli
from famulus.feed.source import Splits
def opened(self, *given, **more):
    raise AssertionError("training data were opened")
Splits.__init__ = opened
for words in json.loads(sys.argv[1]):
    try:
        cli.main(words)
    except SystemExit as ended:
        print("CODE", ended.code)
"""


def make_pictures(folder: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("round", "square"):
        (folder / "pictures" / name).mkdir(parents=True)
        for n in range(24):
            pixels = random.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{n}.png")


def make_data(folder: Path) -> None:
    """Training data and a person's own files; the latter in `own*`, `volume.npy`, `phase*`."""
    make_pictures(folder)
    random = np.random.default_rng(1)
    (folder / "own").mkdir()
    for n in range(3):
        Image.fromarray(random.integers(0, 256, (10, 12), np.uint8)).save(folder / f"own/{n}.png")
    for name in ("fragment", "volume", "own"):
        np.save(folder / f"{name}.npy", random.integers(0, 256, (4, 64, 64), np.uint8))
    labels = np.zeros((64, 64), np.uint8)
    labels[::8] = 255
    Image.fromarray(labels).save(folder / "labels.png")
    phase = nibabel.Nifti1Image(random.normal(0, 0.1, (12, 12, 12)).astype(np.float32), np.eye(4))
    phase.set_sform(np.eye(4), code=1)
    nibabel.save(phase, folder / "phase.nii.gz")


def named(text: str, data: Path) -> str:
    """An experiment's text with the places of its data."""
    name = "fragment.npy" if "task: scroll" in text else "pictures"
    text = text.replace("%s", str(data / name)) if "%s" in text else text
    return text.replace("labels.png", str(data / "labels.png"))


def out_of(name: str) -> str:
    return f"{name}.nii.gz" if name == "qsm" else name


def words_of(name: str, model: object, given: Path, out: Path) -> list[str]:
    """The command that applies a model: the same before and after but for its places."""
    _, inputs, more = MODELS[name]
    return ["apply", str(model), str(given / inputs), "-o", str(out / out_of(name)), *more.split()]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """(folders of models, outputs of the runs, outputs of the folders, what the process said)."""
    home = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAMULUS_CACHE", str(home / "cache"))
        patch.setenv("FAMULUS_STORE", str(home / "runs"))
        patch.chdir(home)
        make_data(home)
        shutil.copytree(
            home, home / "own-files", ignore=shutil.ignore_patterns("pictures", "cache")
        )
        for name, (text, _, _) in MODELS.items():
            file = home / f"{name}.yaml"
            file.write_text(f"why: x\n{named(text, home)}{TRAINING}")
            assert (said := famulus("run", file, "--no-journal")).code == 0, said.err
            graph = ("--to", "torch") if name == "codes" else ()
            said = famulus("export", f"last:{name}", "-o", home / "made" / name, *graph)
            assert (said.code, said.out) == (0, f"{home / 'made' / name}\n"), said.err
            said = famulus(*words_of(name, f"last:{name}", home / "own-files", home / "before"))
            assert said.code == 0, said.err
        shutil.move(home / "made", home / "elsewhere")
        for gone in ("runs", "pictures", "fragment.npy", "labels.png"):
            remove = shutil.rmtree if (home / gone).is_dir() else Path.unlink
            remove(home / gone)
        patch.delenv("FAMULUS_STORE")
        (home / "colleague").mkdir()
        calls = [
            words
            for name in MODELS
            for words in (
                words_of(name, home / "elsewhere" / name, home / "own-files", home / "after"),
                ["apply", str(home / "elsewhere" / name), "--verify"],
            )
        ]
        done = subprocess.run(
            [sys.executable, "-c", FRESH, json.dumps(calls)],
            capture_output=True, text=True, cwd=home / "colleague", check=False,
        )  # fmt: skip
        yield home / "elsewhere", home / "before", home / "after", done
        assert list((home / "colleague").iterdir()) == []


@pytest.mark.parametrize("name", MODELS)
def test_a_colleague_gets_what_the_run_gave(lab, name):
    _, before, after, done = lab
    assert done.stdout.count("CODE 0") == 2 * len(MODELS), done.stdout + done.stderr
    if name == "qsm":
        assert tree(before)["qsm.json"] == tree(after)["qsm.json"]
        a, b = (nibabel.load(f / "qsm.nii.gz").get_fdata() for f in (before, after))
        assert np.array_equal(a, b)
        assert a.any()
    else:
        assert tree(before / name) == tree(after / name)
        assert tree(before / name)


def test_a_folder_is_made_of_plain_files_with_relative_names(lab):
    folders, *_ = lab
    names = {"README.md", "model.json", "model.safetensors"}
    names |= {"examples/inputs.safetensors", "examples/outputs.safetensors"}
    for name in MODELS:
        own = OWN.get(name, set())
        assert set(tree(folders / name)) == names | own
        about = json.loads((folders / name / "model.json").read_text())
        assert set(about["files"]) == names - {"README.md", "model.json"} | own
        card = (folders / name / "README.md").read_text()
        for title in ("Scores", "Limits", "Expectations", "Findings", "Use", "Licence"):
            assert f"\n## {title}\n" in card


@pytest.fixture
def tiles(lab, tmp_path, monkeypatch):
    """A copy of the folder of `tiles`, and a working folder with one picture."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(lab[0] / "tiles", tmp_path / "m")
    Image.new("L", (8, 8), 90).save("one.png")
    return tmp_path / "m"


def edit(folder, change):
    about = json.loads((folder / "model.json").read_text())
    change(about)
    (folder / "model.json").write_text(json.dumps(about))


def test_who_verifies_sees_other_weights(tiles):
    assert famulus("apply", "m", "--verify").code == 0
    weights = load_file(tiles / "model.safetensors")
    largest = max(weights, key=lambda name: np.abs(weights[name]).max())
    weights[largest] = weights[largest] * np.float32(1.001)
    save_file(weights, tiles / "model.safetensors")
    complains(famulus("apply", "m", "--verify"), 4, "damaged")
    digest = tree(tiles)["model.safetensors"]
    edit(tiles, lambda about: about["files"].update({"model.safetensors": digest}))
    said = famulus("apply", "m", "--verify")
    assert (said.code, said.err) == (1, "")
    assert said.out.startswith("✗ ")
    assert "differs" in said.out


def wider(about):
    about["settings"]["model"]["channels"] = [2_000_000_000]


def many(about):
    about["settings"]["model"]["channels"] = [4] * 100_000


def other(about):
    about["settings"]["model"]["code"] = 4


def untyped(about):
    about["built_from"]["shape"] = {"a": 1}


def huge(about):
    about["built_from"]["shape"] = [1, 10**9, 10**9]


def negative(about):
    about["built_from"]["shape"] = [1, -8, 8]


def unsettled(about):
    about["settings"]["model"]["kind"] = ["x"]


def lacking(about):
    about["built_from"] = {}


def strange(about):
    about["built_from"]["parents"] = {"codes": 3}


@pytest.mark.parametrize(
    "change", [wider, many, other, untyped, huge, negative, unsettled, lacking, strange]
)
def test_settings_that_do_not_fit_are_one_line(tiles, change):
    edit(tiles, change)
    complains(famulus("apply", "m", "one.png", "-o", "out"), 4, "m")
    assert not Path("out").exists()


def test_a_folder_never_causes_an_import(tiles, monkeypatch):
    Path("evil.py").write_text("open('imported', 'w')")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    for task in ("evil:Evil", "evil", "os.path:join", "../evil:Evil"):
        edit(tiles, lambda about, task=task: about.update(task=task))
        complains(famulus("apply", "m", "one.png", "-o", "out"), 2, "task")
    assert not Path("imported").exists()


def test_a_newer_version_may_know_more_settings(tiles):
    def newer(about):
        about["settings"]["model"]["attention"] = {"heads": 4}
        about["settings"]["data"]["page"] = 3
        about["versions"]["famulus"] = "0.9.1"

    before = famulus("apply", "m", "one.png", "-o", "before")
    edit(tiles, newer)
    said = famulus("apply", "m", "one.png", "-o", "after")
    assert (before.err, said.code, said.out) == ("", 0, "after\n")
    line = noted(said.err)
    assert all(word in line for word in ("0.9.1", "model.attention", "data.page")), line
    assert tree(Path("before")) == tree(Path("after"))


def noted(err: str) -> str:
    """The one note."""
    assert err.count("\n") == 1
    assert err.startswith("note: ")
    return err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["m"], 2, "MODEL INPUT"),
        ([], 2, "MODEL INPUT"),
        (["m", "one.png", "two.png", "-o", "out"], 2, "3 arguments"),
        (["m", "one.png"], 2, "-o OUT"),
        (["m", "one.png", "--verify"], 2, "--verify"),
        (["m", "--verify", "--seed", "1"], 2, "--verify"),
        (["m", "one.png", "-o", "out", "--sampel", "3"], 2, "did you mean 'sample'"),
        (["m", "one.png", "-o", "out", "--checkpoint", "best"], 2, "one checkpoint"),
        (["./none", "one.png", "-o", "out"], 4, "model.json"),
        (["one.png", "--method", "tdk", "-o", "out"], 2, "did you mean 'tkd'"),
        (["--help-task", "tile"], 2, "did you mean 'tiles'"),
    ],
)
def test_a_command_line_that_is_none(tiles, words, code, says):
    complains(famulus("apply", *words), code, says)
    assert not Path("out").exists()


def test_a_model_that_draws_takes_no_input(tiles):
    said = famulus("apply", "m", "--sample", "2", "--seed", "1", "-o", "out")
    assert (said.code, said.out) == (0, "out\n"), said.err
    assert len(tree(Path("out"))) == 2


@pytest.mark.parametrize("task", tasks.names())
def test_every_task_lists_its_options(task):
    said = famulus("apply", "--help-task", task)
    options = tasks.load(task).OPTIONS
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == (
        ["--" + name.replace("_", "-") for name in options] or ["no"]
    )


@pytest.mark.parametrize("name", ["tiles", "codes", "pretext", "transfer"])
def test_two_bad_files_of_ten_cost_no_other_result(lab, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("ten").mkdir()
    for n in range(10):
        Image.new("L", (8, 8), n).save(f"ten/{n}.png")
    for n in (3, 7):
        Path(f"ten/{n}.png").write_bytes(b"no picture")
    said = famulus("apply", lab[0] / name, "ten", "-o", "out")
    assert (said.code, said.out) == (3, "out\n")
    assert "3.png" in said.err
    assert "7.png" in said.err
    if name in ("tiles", "codes"):
        assert len(tree(Path("out"))) == 8
    elif name == "pretext":
        with np.load("out/features.npz") as features:
            assert len(features["names"]) == len(features["features"]) == 8
    else:
        assert len(Path("out/predictions.csv").read_text().splitlines()) == 9


def test_in_what_an_input_differs_is_said(tiles):
    Image.new("RGB", (30, 20), (200, 10, 10)).save("wide.png")
    said = famulus("apply", "m", "wide.png", "-o", "out")
    assert said.code == 0
    assert said.err.count("note: ") == 2
    assert "20 x 30" in said.err
    assert "colours" in said.err
    assert famulus("apply", "m", "one.png", "-o", "out").err == ""


def test_a_volume_of_another_range_is_said(lab, tmp_path):
    np.save(tmp_path / "dark.npy", np.random.default_rng(0).integers(0, 3, (4, 64, 64), np.uint8))
    said = famulus("apply", lab[0] / "cubes", tmp_path / "dark.npy", "-o", tmp_path / "out")
    assert said.code == 0, said.err
    assert "voxels of 0 to 2" in said.err
    home = lab[0].parent / "own-files"
    said = famulus("apply", lab[0] / "cubes", home / "volume.npy", "-o", tmp_path / "like")
    assert "voxels of" not in said.err


def test_a_scan_of_other_voxels_is_said(lab, tmp_path):
    phase = nibabel.load(lab[0].parent / "own-files" / "phase.nii.gz")
    wide = nibabel.Nifti1Image(phase.get_fdata().astype(np.float32), np.diag([2.0, 1, 1, 1]))
    wide.set_sform(wide.affine, code=1)
    nibabel.save(wide, tmp_path / "wide.nii.gz")
    words = ("apply", lab[0] / "qsm", tmp_path / "wide.nii.gz", "-o", tmp_path / "chi.nii.gz")
    said = famulus(*words, *SCAN.replace("0.025", "0.005").split())
    assert said.code == 0, said.err
    assert "voxels of 2 x 1 x 1 mm" in said.err
    assert "1 ppm makes a phase" in said.err


def run(folder: Path, name: str, text: str, *words):
    """`famulus run` of a small file in a store of the folder's own."""
    (folder / f"{name}.yaml").write_text(text)
    return famulus(
        "run", folder / f"{name}.yaml", "--store", folder / "runs", "--no-journal", *words
    )


TILES = "why: x\ntask: tiles\ndata: {name: digits, subset: 64, validation: 32}\n"
TILES += "model: {kind: vae, channels: [4], code: 3}\n" + TRAINING


def test_a_run_without_a_best_checkpoint_gives_its_newest(tmp_path):
    said = run(tmp_path, "tiny", TILES + "  keep: {best: null}\n")
    assert said.code == 0, said.err
    store = ("--store", tmp_path / "runs")
    for words in (("apply", "last", "--sample", 1), ("export", "last")):
        said = famulus(*words, "-o", tmp_path / words[0], *store)
        assert said.code == 0, said.err
        assert "kept no best checkpoint" in noted(said.err)


def test_weights_and_what_is_said_of_them_are_of_one_step(tmp_path, monkeypatch):
    """As of a run in training, whose newest checkpoint is another one a moment later."""
    text = TILES + "  checkpoint_every: {steps: 1}\n  keep: {last: 4}\n"
    assert run(tmp_path, "tiny", text).code == 0
    made = Store.open(tmp_path / "runs").find("last")
    steps = iter(made.checkpoints())
    monkeypatch.setattr(trained, "chosen", lambda run, which: (next(steps), ()))
    said = famulus("export", "last", "-o", tmp_path / "m", "--store", tmp_path / "runs")
    assert said.code == 0, said.err
    first = made.checkpoints()[0]
    assert next(steps) != first  # control: another one would have come
    assert json.loads((tmp_path / "m/model.json").read_text())["lineage"]["step"] == first
    assert f"of step {first}, run" in (tmp_path / "m/README.md").read_text()
    weights = load_file(tmp_path / "m/model.safetensors")
    own = load(made.weights(str(first)))
    assert all(np.array_equal(weights[name], own[name]) for name in own)


def test_a_run_from_before_built_from_gets_it_at_export(tmp_path):
    assert run(tmp_path, "tiny", TILES).code == 0
    (file,) = tmp_path.glob("runs/tiny/*/built_from.json")
    text = file.read_text()
    file.unlink()
    store = ("--store", tmp_path / "runs")
    assert famulus("export", "last", "-o", tmp_path / "m", *store).code == 0
    assert file.read_text() == text
    assert famulus("apply", tmp_path / "m", "--verify").code == 0


def test_a_card_shows_what_a_person_wrote_and_nothing_of_it_works(tmp_path):
    why = "<img src=x onerror=alert(1)> [x](javascript:alert(1)) # token=ghp_" + "a" * 36
    text = TILES.replace("why: x", f"why: '{why}'")
    assert run(tmp_path, "tiny", text).code == 0
    assert famulus("export", "last", "-o", tmp_path / "m", "--store", tmp_path / "runs").code == 0
    card = (tmp_path / "m/README.md").read_text()
    html = MarkdownIt("commonmark").render(card)
    assert "<img" not in html
    assert "href" not in html
    assert "ghp_" not in card + (tmp_path / "m/model.json").read_text()
    assert "best constant predictor" in card


def test_a_folder_stands_where_a_run_does(lab, tmp_path):
    folders, *_ = lab
    prior = "why: x\ntask: prior\ncodes: {}\nmodel: {{width: 4, layers: 1, first_kernel: 3}}\n"
    # the first stage's own data are needed to train on
    home = folders.parent
    make_pictures(home)
    codes = json.loads((folders / "codes/model.json").read_text())
    said = run(tmp_path, "prior", prior.format(folders / "codes") + TRAINING)
    assert said.code == 0, said.err
    first = Store.open(tmp_path / "runs").find("last")
    assert first.config()["codes"]["sha256"] == codes["files"]["model.safetensors"]
    shutil.copytree(folders / "codes", tmp_path / "moved")
    said = run(tmp_path, "prior", prior.format(tmp_path / "moved") + TRAINING)
    assert "already" in said.out + said.err or Store.open(tmp_path / "runs").find("last") == first
    store = ("--store", tmp_path / "runs")
    assert famulus("export", "last", "-o", tmp_path / "m", *store).code == 0
    assert famulus("apply", tmp_path / "m", "--verify").code == 0
    assert famulus("apply", tmp_path / "m", "--sample", 1, "-o", tmp_path / "o").code == 0
    other = json.loads((folders / "prior/model.json").read_text())["files"]
    made = json.loads((tmp_path / "m/model.json").read_text())["files"]
    # the same stage, data and seed by way of a run: the same weights
    assert made == other


def test_training_starts_from_a_folder(lab, tmp_path):
    folders, *_ = lab
    place = folders / "tiles"
    still = TILES.replace("lr: 0.003", "lr: 1.0e-12")
    said = run(tmp_path, "warm", still + f"start_from: {place}\n")
    assert said.code == 0, said.err
    run_ = Store.open(tmp_path / "runs").find("last")
    before, after = load_file(place / "model.safetensors"), load(run_.weights("last"))
    assert before.keys() == after.keys()
    assert all(np.allclose(before[name], after[name], atol=1e-6) for name in before)
    assert famulus("rerun", "last", "--store", tmp_path / "runs").code == 0
    torn = shutil.copytree(place, tmp_path / "other")
    whole = (torn / "model.safetensors").read_bytes()
    (torn / "model.safetensors").write_bytes(whole[:-4])
    said = run(tmp_path, "torn", TILES + f"start_from: {torn}\n")
    complains(said, 4, "damaged")
    digest = tree(torn)["model.safetensors"]
    edit(torn, lambda about: about["files"].update({"model.safetensors": digest}))
    for words in (
        ("apply", torn, "--verify"),
        ("apply", torn, "--sample", 1, "-o", tmp_path / "o"),
    ):
        complains(famulus(*words), 4, "no safetensors")
    said = run(tmp_path, "forged", TILES + f"start_from: {torn}\n")
    complains(said, 4, "no safetensors")


def test_a_graph_gives_what_the_network_gives(lab, tmp_path):
    assert run(tmp_path, "tiny", TILES).code == 0
    words = ("export", "last", "--store", tmp_path / "runs")
    said = famulus(*words, "-o", tmp_path / "m", "--to", "torch")
    assert said.code == 0, said.err
    assert "model.pt2: checked" in noted(said.err)
    program = torch.export.load(tmp_path / "m/model.pt2").module()
    inputs, expected = (
        load_file(tmp_path / f"m/examples/{n}.safetensors") for n in ("inputs", "outputs")
    )
    outputs = [o.detach().numpy() for o in program(*(torch.from_numpy(v) for v in inputs.values()))]
    assert all(any(np.array_equal(o, e) for o in outputs) for e in expected.values())
    many = torch.rand(5, 1, 8, 8)  # traced with two pictures
    model = open_trained(tmp_path / "m", device="cpu").module
    with torch.no_grad():
        assert torch.allclose(program(many)[0], model(many).raw, atol=1e-6)
    complains(famulus(*words, "-o", tmp_path / "n", "--to", "tensorflow"), 2, "onnx or torch")
    if importlib.util.find_spec("onnxscript") is None:
        complains(famulus(*words, "-o", tmp_path / "n", "--to", "onnx"), 2, "famulus[onnx]")
    else:
        said = famulus(*words, "-o", tmp_path / "n", "--to", "onnx")
        assert "model.onnx: " in noted(said.err)
    assert (tmp_path / "n").exists() == (importlib.util.find_spec("onnxscript") is not None)


def test_a_folder_loads_without_what_takes_seconds(lab):
    code = (
        "import sys; from famulus.launch.trained import open_trained;"
        f"model = open_trained({str(lab[0] / 'tiles')!r});"
        "print('torch._dynamo' in sys.modules, model.name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", str(lab[0] / "tiles")]


def test_code_of_ones_own_is_named_and_must_be_allowed(tmp_path):
    module = "famulus.tasks.tiles.faults.sigmoid_twice"
    text = TILES.replace("task: tiles", "task: tiles_sigmoid_twice")
    allowed = ("--allow-module", module)
    assert run(tmp_path, "own", text, *allowed).code in (0, 1)
    store = ("--store", tmp_path / "runs")
    said = famulus("export", "last", "-o", tmp_path / "m", *store, *allowed)
    assert said.code == 0, said.err
    task = json.loads((tmp_path / "m/model.json").read_text())["task"]
    assert task.startswith(f"{module}:")
    assert f"--allow-module {module}" in (tmp_path / "m/README.md").read_text()
    complains(famulus("apply", tmp_path / "m", "--verify"), 2, f"--allow-module {module}")
    assert famulus("apply", tmp_path / "m", "--verify", *allowed).code == 0

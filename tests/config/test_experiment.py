"""The file of INTERFACE.md, understood; and every mistake in it named, with its place."""

import os
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from pydantic import Field

from famulus.config.errors import ConfigError, SettingError
from famulus.config.experiment import read
from famulus.config.identity import run_id
from famulus.config.names import name_of
from famulus.config.refill import refill
from famulus.config.schema import Strict, Training
from famulus.config.yaml import dump, load

TEXT = """\
why: Which set is hardest?
task: tiles
matrix:
  set: [mnist, crawl-tiles]
  filter: [bilinear, nearest]
  size: [20, 28, 32]
  lr: [0.0003, 0.001]
replicates: 1
data: {name: "${matrix.set}", size: "${matrix.size}", filter: "${matrix.filter}", subset: null}
model: {kind: vae, channels: [16, 24, 32], kernel: 3}
loss: {kl_weight: 1.0}
training:
  inputs: 1_000_000
  batch: 64
  optimizer: {name: adam, lr: "${matrix.lr}", weight_decay: 0}
  schedule: {name: cosine, final_lr: 0, warmup_inputs: 0}
  clip: null
  validate_every: {epochs: 1}
start_from: null
expect:
  - {score: val/loss, where: {set: mnist, lr: 0.001}, value: 0.0324, within: 10%}
  - {order: val/loss, by: filter, says: bilinear < nearest, in: every pair}
  - {finding: none, severity: warning}
cost: null
"""
SMALL = "why: x\ntask: tiles\ntraining: {inputs: 10}\n"


class Data(Strict):
    name: str = "digits"
    size: int = Field(28, gt=0)
    filter: Literal["bilinear", "nearest"] = "bilinear"
    subset: int | float | tuple[str, ...] | None = None


class Vae(Strict):
    kind: Literal["vae"]
    channels: tuple[int, ...] = (16, 24)
    kernel: int = 3


class Plain(Strict):
    kind: Literal["ae"] = "ae"
    depth: int = 2


class Loss(Strict):
    kl_weight: float = 1.0
    clamp: bool = False


class Config(Strict):
    parents: ClassVar[tuple[str, ...]] = ("codes",)
    data: Data = Data()
    model: Vae | Plain = Plain()
    loss: Loss = Loss()


class Tiles:
    Config = Config
    SCORES: ClassVar = {}


def find_task(name):
    if name != "tiles":
        raise ConfigError(f"unknown task '{name}', expected one of tiles")
    return Tiles


def plan(text=TEXT, *overrides):
    return read(text, list(overrides), find_task)


def test_the_whole_file():
    made = plan()
    assert len(made.cells) == 2 * 2 * 3 * 2
    cell = made.cells[1]
    assert cell.axes == {"set": "mnist", "filter": "bilinear", "size": 20, "lr": 0.001}
    assert cell.slug == "set=mnist_filter=bilinear_size=20_lr=0.001"
    assert cell.config["data"]["size"] == 20
    assert cell.settings.data.size == 20
    assert cell.settings.model.channels == (16, 24, 32)
    assert cell.settings.training.optimizer.lr == 0.001
    assert cell.settings.training.optimizer.options == {"weight_decay": 0}
    assert made.why == "Which set is hardest?"
    assert [type(p).__name__ for p in made.expect] == [
        "ScoreExpect",
        "OrderExpect",
        "FindingExpect",
    ]
    assert made.expect[0].tolerance == pytest.approx(0.00324)
    assert made.expect[1].ascending == ["bilinear", "nearest"]


def test_every_default_is_filled_in_and_survives_a_file():
    config = plan(SMALL).cells[0].config
    order = "why task matrix codes data model loss training start_from expect replicates cost"
    assert " ".join(config) == order
    assert config["data"] == {"name": "digits", "size": 28, "filter": "bilinear", "subset": None}
    assert config["training"]["validate_every"] == {"epochs": 1.0}
    assert config["training"]["keep"].items() >= {"last": 2, "best": "val/loss"}.items()
    assert load(dump(config), "f").value == config
    assert Training.model_validate(config["training"]).inputs == 10


def test_a_filled_config_is_an_experiment_with_the_same_identity():
    cell = plan().cells[3]
    again = plan(dump({**cell.config, "matrix": None, "expect": []})).cells[0]
    assert run_id(again.config, Config, "f") == run_id(cell.config, Config, "f")


def test_cells_do_not_share_what_could_be_changed():
    first, second = plan().cells[:2]
    first.config["model"]["channels"].append(1)
    assert second.config["model"]["channels"] == [16, 24, 32]


def test_replicates_are_seeds_of_one_group():
    text = SMALL.replace("10}", "10, seed: 5}") + "replicates: 3\n"
    cells = plan(text).cells
    assert [c.config["training"]["seed"] for c in cells] == [5, 6, 7]
    assert [c.axes for c in cells] == [{"replicate": n} for n in (1, 2, 3)]
    assert len({run_id(c.config, Config, "f") for c in cells}) == 3
    alone = plan(text.replace("replicates: 3", "replicates: 1")).cells[0]
    assert alone.axes == {}
    assert run_id(alone.config, Config, "f") == run_id(cells[0].config, Config, "f")


def test_parents_are_top_level_keys_of_the_tasks_that_name_them():
    cell = plan(SMALL + "codes: last:codes/tiles-colour\n").cells[0]
    assert cell.config["codes"] == "last:codes/tiles-colour"
    assert cell.settings.parents == {"codes": "last:codes/tiles-colour"}
    with pytest.raises(ConfigError, match=r"text:4:1: codess: unknown key, did you mean 'codes'\?"):
        plan(SMALL + "codess: x\n")


def test_overrides():
    made = plan(TEXT, "matrix.lr=[1e-2]", "training.clip=1", "training.batch=1_0", "why=a: b"[:5])
    assert len(made.cells) == 12
    assert made.cells[0].config["training"]["optimizer"]["lr"] == 0.01
    assert made.cells[0].config["training"]["clip"] == {"norm": 1.0}
    assert made.cells[0].config["training"]["batch"] == 10
    nulled = plan(TEXT, "training.inputs=null", "training.epochs=2").cells[0]
    assert nulled.config["training"]["inputs"] is None
    assert nulled.config["training"]["epochs"] == 2
    assert plan(SMALL, "training.clip.value=2").cells[0].settings.training.clip.value == 2


INCLUDED = """\
why: Does narrowing an axis keep to it?
task: tiles
matrix:
  net: [small, large]
  include:
    - {net: small, depth: 1}
    - {net: large, depth: 2}
    - {net: huge, depth: 3}
model: {kind: ae, depth: "${matrix.depth}"}
training: {inputs: 10}
"""


def test_an_axis_that_is_narrowed_drops_the_included_cells_that_contradict_it():
    def cells(*overrides):
        return [c.axes for c in plan(INCLUDED, *overrides).cells]

    sizes = ("small", "large", "huge")
    small, large, huge = ({"net": name, "depth": i + 1} for i, name in enumerate(sizes))
    assert cells() == [small, large, huge]
    assert cells("matrix.net=[large]") == [large]
    assert cells("matrix.net=[huge]") == [huge]  # named, so it is kept, and extended
    with pytest.raises(ConfigError, match=r"matrix\.depth"):
        cells("matrix.net=[tiny]")  # no include says how deep it is


def test_an_override_changes_one_user_of_an_anchor():
    text = SMALL + "data: &d {name: a}\nloss: {}\nmodel: {}\n"
    text = text.replace(
        "{inputs: 10}", "{inputs: 10, validate_every: &e {epochs: 1}, log_every: *e}"
    )
    training = plan(text, "training.log_every.epochs=3").cells[0].config["training"]
    assert training["validate_every"] == {"epochs": 1.0}
    assert training["log_every"] == {"epochs": 3.0}


MISTAKES = [
    (
        "batch: 64",
        "batchsize: 64",
        r"text:14:3: training\.batchsize: unknown key, did you mean 'batch'",
    ),
    (
        "batch: 64",
        "batch: '64'",
        r'text:14:10: training\.batch: expected an integer, received "64"',
    ),
    ("batch: 64", "batch: 0", r"expected a number above 0, received 0"),
    ("batch: 64", "batch: true", r"expected an integer, received true"),
    ("1_000_000", "1e6", r"received 1000000\.0 \(write 1_000_000\)"),
    (
        "inputs: 1_000_000",
        "inputs: 5\n  epochs: 1",
        r"exactly one of inputs and epochs, received both",
    ),
    ("  inputs: 1_000_000\n", "", r"exactly one of inputs and epochs, received neither"),
    (
        "cosine",
        "cosin",
        r"text:16:20: training\.schedule\.name: .*received cosin, did you mean 'cosine'",
    ),
    ("final_lr: 0", "factor: 0.5", "schedule cosine has no option factor"),
    (
        "final_lr: 0",
        "final_lr: 1",
        r"final_lr of at most optimizer\.lr = 0\.0003.*\(in cell set=mnist",
    ),
    ("warmup_inputs: 0", "warmup_inputs: 1_000_000", "warmup_inputs below inputs = 1000000"),
    ("cosine", "step", "schedule step needs every"),
    (
        "validate_every: {epochs: 1}",
        "validate_every: null\n  stop: {patience: 3}",
        "stop counts valid",
    ),
    ("validate_every: {epochs: 1}", "checkpoint_every: null\n  on_nan: rollback", "rollback needs"),
    ("{epochs: 1}", "{epochs: 1, steps: 2}", "exactly one of .* received steps and epochs"),
    ("clip: null", "clip: high", r"training\.clip: expected null, a number, .* received 'high'"),
    ("clip: null", "clip: {norm: 1, value: 2}", r"training\.clip: expected a number, \{norm: n\}"),
    ("clip: null", "ema: .nan", r"training\.ema: expected a finite number, received \.nan"),
    ("kernel: 3", "kernal: 3", r"text:10:44: model\.kernal: unknown key, did you mean 'kernel'"),
    (
        "kind: vae",
        "kind: va",
        r"text:10:15: model\.kind: expected vae or ae, received va, did you mean 'vae'",
    ),
    (
        "kl_weight: 1.0",
        "clamp: no",
        r"loss\.clamp: expected true or false, received \"?no\"? \(which is text",
    ),
    (
        "subset: null",
        "subset: abc",
        r"data\.subset: expected an integer or a number or a list, received abc",
    ),
    ("matrix.size", "matrix.siz", r"text:9:37: data\.size: unknown name .*did you mean 'size'"),
    (
        "[20, 28, 32]",
        "[20, -1]",
        r"data\.size: expected a number above 0, received -1 \(in cell .*size=-1",
    ),
    ("[20, 28, 32]", "[]", r"text:6:9: matrix\.size: .*empty list"),
    ('"${matrix.filter}"', "bilinear", r"have the same settings"),
    ("task: tiles", "task: tile", r"text:2:7: task: unknown task 'tile'"),
    ("why: W", "wy: W", r"text:1:1: wy: unknown key, did you mean 'why'"),
    ("why: Which set is hardest?\n", "", r"text:1:1: why: missing: the question"),
    ("training:\n", "training: 3\nx:\n", r"x: unknown key"),
    ("loss: {kl_weight: 1.0}", "loss: 3", r"loss: expected a section, received 3"),
    ("replicates: 1", "replicates: 0", r"replicates: expected a number of at least 1, received 0"),
    ("replicates: 1", 'replicates: "${matrix.size}"', r"replicates: expected an integer"),
    ("replicates: 1", "replicates: 1000", r"at most 10,000 cells, received 24,000"),
    ("start_from: null", "start_from: abc", r"expected RUN@best, RUN@last or RUN@STEP"),
    ("within: 10%", "within: ten", r"text:21:78: expect\.0\.within: expected a share as 10%"),
    ("set: mnist", "set: mnis", r"expect\.0\.where\.set: no cell has mnis, did you mean 'mnist'"),
    ("lr: 0.001}", 'lr: "0.001"}', r"no cell has 0\.001 of this type"),
    (
        "{set: mnist,",
        "{sets: mnist,",
        r"text:21:\d+: expect\.0\.where\.sets: no such axis, did you mean 'set'",
    ),
    ("by: filter", "by: filte", r"expect\.1\.by: no such axis, did you mean 'filter'"),
    ("< nearest", "< neares", r"expect\.1\.says: no cell has neares, did you mean 'nearest'"),
    ("< nearest", "nearest", r"expect\.1\.says: expected values as `a < b`"),
    ("every pair", "each pair", r"expect\.1\.in: expected every pair or mean, received each pair"),
    ("severity: warning", "severity: bad", r"expect\.2\.severity: expected info, warning or error"),
    ("{finding: none", "{findings: none", r"text:23:5: expect\.2: expected one of score:, order:"),
    (
        "cost: null",
        "cost: {per_hours: 1}",
        r"cost\.per_hours: unknown key, did you mean 'per_hour'",
    ),
]


@pytest.mark.parametrize(("old", "new", "reason"), MISTAKES)
def test_a_mistake_is_named_with_its_place_in_one_line(old, new, reason):
    assert old in TEXT
    with pytest.raises(ConfigError, match=reason) as caught:
        plan(TEXT.replace(old, new, 1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        (
            "training.batchsize=3",
            r"--set training\.batchsize=3: .*unknown key, did you mean 'batch'",
        ),
        ("training.batch=x", r"--set training\.batch=x: training\.batch: expected an integer"),
        ("trainin.batch=3", r"trainin: unknown key, did you mean 'training'"),
        ("training.batch.x=3", r"training\.batch: expected a section, received 64"),
        ("matrix.sise=[1]", r"matrix\.sise: no such axis, did you mean 'size'"),
        ("matrix.size=5", r"matrix\.size: expected a list"),
        ("expect.7.value=1", "expected an index below 3, received 7"),
        ("expect.3.value=1", "expected an index below 3, received 3"),
        ("expect.-1.value=1", "expected an index below 3, received -1"),
        ("training.batch=", "expected a value, received nothing"),
        ("training.batch=010", "leading zero"),
        ("training.batch", "expected key=value"),
        ("training..batch=1", "expected key=value"),
    ],
)
def test_a_mistaken_override_is_named(override, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        plan(TEXT, override)
    assert str(caught.value).startswith(f"--set {override}: ")


@pytest.mark.parametrize(
    ("given", "guilty"),
    [
        # a section as a whole: the second sets what the file's budget contradicts
        (["training.batch=32", "training.epochs=3", "training.seed=1"], ["training.epochs=3"]),
        # of one key twice, the one that holds
        (["training.batch=16", "training.batch=x", "why=y"], ["training.batch=x"]),
        (["training={inputs: 9, batch: x}", "training.seed=2"], ["training={inputs: 9, batch: x}"]),
        # two that only together are wrong
        (
            ["training.inputs=null", "training.seed=1", "training.epochs=null"],
            ["training.inputs=null"],
        ),
        # the other one only renames the cell
        (["matrix.size=[-1, 20]", "replicates=2"], ["matrix.size=[-1, 20]"]),
        # elsewhere than it shows
        (["training.seed=1", "training.optimizer.lr=0.1"], ["training.optimizer.lr=0.1"]),
    ],
)
def test_of_several_overrides_the_one_that_caused_it_is_named(given, guilty):
    for order in (given, given[::-1]):
        if order != given and len({one.partition("=")[0] for one in given}) < len(given):
            continue  # there the order is what decides
        with pytest.raises(ConfigError) as caught:
            plan(TEXT, *order)
        named = ", ".join(f"--set {one}" for one in order if one in guilty)
        assert str(caught.value).startswith(f"{named}: ")


def test_of_a_stored_run_too():
    config = plan(SMALL).cells[0].config
    given = ["training.batch=32", "training.epochs=3", "training.seed=1"]
    with pytest.raises(ConfigError, match=r"^--set training\.epochs=3: training: "):
        refill(config, given, Tiles)
    assert refill(config, [given[0], given[2]], Tiles)["training"]["batch"] == 32


def test_an_innocent_override_is_not_blamed_for_the_file():
    wrong = TEXT.replace("batch: 64", "batch: x")
    with pytest.raises(ConfigError, match=r"^text:\d+:\d+: training\.batch: "):
        plan(wrong, "training.seed=1", "why=y")


def test_what_only_others_understand_is_blamed_alike():
    def judge(settings):
        if settings.training.seed == 3:
            raise SettingError(("training", "optimizer"), "no such option")

    with pytest.raises(ConfigError, match=r"^--set training\.seed=3: training\.optimizer: no such"):
        read(TEXT, ["training.batch=8", "training.seed=3"], find_task, judge=judge)


def test_a_matrix_narrowed_by_an_override_keeps_its_promises():
    assert len(plan(TEXT, "matrix.set=[crawl-tiles]", "matrix.filter=[nearest]").cells) == 6


def test_names_come_from_the_last_folder_of_experiments(tmp_path):
    assert name_of(Path("/a/experiments/b/experiments/tiles/sets.yaml")) == "tiles/sets"
    assert name_of(Path("/a/b/sets.v2.yaml")) == "sets.v2"
    file = tmp_path / "experiments" / "x" / "y.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(SMALL)
    assert read(file, [], find_task).name == read(str(file), [], find_task).name == "x/y"


def test_files_that_can_not_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: can't read the experiment: no such file"):
        read(tmp_path / "none.yaml", [], find_task)
    (tmp_path / "latin.yaml").write_bytes(b"why: \xe9\n")
    with pytest.raises(ConfigError, match="expected UTF-8"):
        read(tmp_path / "latin.yaml", [], find_task)
    with pytest.raises(ConfigError, match="expected an experiment"):
        plan("- a\n- b\n")


def test_a_thousand_cells_are_checked_once_each():
    made = plan(TEXT, f"matrix.size={list(range(1, 126))}")
    assert len(made.cells) == 1000
    assert len({cell.slug for cell in made.cells}) == 1000


def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "mine.yaml")
    with pytest.raises(ConfigError, match=r"mine\.yaml: expected a file, received a FIFO"):
        read(tmp_path / "mine.yaml")

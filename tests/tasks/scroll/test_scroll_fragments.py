"""Ink judged on several fragments: against float64 sums over pairs of pixels, and its errors."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from famulus.config.errors import ConfigError, DataError
from famulus.config.problems import explain
from famulus.config.schema import Training
from famulus.feed.feeder import validation_batches
from famulus.launch.cell import Machine, Watcher, execute
from famulus.launch.plan import Ready
from famulus.launch.session import Session
from famulus.store.store import Store
from famulus.tasks.scroll.data import ScrollData, phantom
from famulus.tasks.scroll.ink_loss import auc_spread
from famulus.tasks.scroll.scroll import ScrollConfig, ScrollTask
from famulus.training.precision import Precision
from tests.tasks.scroll.pairs import auc_between, auc_of

PHANTOM = {"shape": [12, 96, 96], "letter": 32}
DATA = {"phantom": PHANTOM, "cube": [8, 32, 32], "cover": 0.7}
SEEDS = [3, 1, 2]


def task(validation, kind="ink", **data):
    model = {"kind": kind, "widths": [4, 8], "code": 6} | ({"coarse": 4} if kind == "ink" else {})
    given = {"data": {**DATA, "validation": validation, **data}, "model": model}
    return ScrollTask(ScrollConfig.model_validate(given), {})


def scored(t, net):
    return t.scores(net.eval(), validation_batches(t.data().validation, 5, "cpu"))


def net_of(t):
    torch.manual_seed(1)
    net = t.build()
    torch.nn.init.normal_(net.head[-1].weight)  # else the logits of an untrained net hardly differ
    return net.eval()


def pixels(t, net):
    """(p, inked) of every coarse pixel that counts, float64: means of 4 x 4 by hand."""
    batch = next(validation_batches(t.data().validation, 1000, "cpu"))
    with torch.no_grad():
        p = net(batch["image"]).double().sigmoid().numpy()
    n, y, x = p.shape
    share, weight = (
        batch[k].double().numpy().reshape(n, y, 4, x, 4).mean((2, 4)) for k in ("label", "weight")
    )
    return p[weight > 0.5], share[weight > 0.5] >= 0.5


def test_pooled_auc_and_its_spread():
    several = task(SEEDS)
    net = net_of(several)
    found = scored(several, net)
    each = [pixels(task(seed), net) for seed in SEEDS]
    p, inked = (np.concatenate(part) for part in zip(*each, strict=True))
    low, high = auc_between(p, inked)
    assert low <= found["auc"] <= high < low + 1e-3
    own = [auc_of(*part) for part in each]
    unsure = max(np.subtract(*auc_between(*part)[::-1]) for part in each)  # of a fragment's AUC
    assert unsure < 1e-3
    assert found["auc spread"] == pytest.approx(np.std(own, ddof=1), abs=1e-9 + 1.5 * unsure)
    assert found["auc spread"] > 0.01
    assert not low <= np.mean(own) <= high  # the mean of fragments is another figure
    alone = scored(task(SEEDS[0]), net)
    low, high = auc_between(*each[0])
    assert low <= alone["auc"] <= high
    assert "auc spread" not in alone
    assert "auc spread" not in scored(task([SEEDS[0]]), net)


def test_the_spread_leaves_out_what_has_no_auc():
    torch.manual_seed(0)
    logits, weight = torch.randn(8, 5, 5), torch.ones(8, 5, 5)
    target, group = (torch.rand(8, 5, 5) < 0.3).float(), torch.tensor([0, 1, 2, 3]).repeat(2)
    want = [
        auc_of(logits[group == g].double().numpy().ravel(), target[group == g].numpy().ravel() > 0)
        for g in range(4)
    ]
    full = auc_spread(logits, target, weight, group)["auc spread"]
    assert full == pytest.approx(np.std(want, ddof=1), abs=1e-12)
    target[group == 1], weight[group == 2] = 0.0, 0.0  # all papyrus; nothing that counts
    left = auc_spread(logits, target, weight, group)["auc spread"]
    assert left == pytest.approx(np.std([want[0], want[3]], ddof=1), abs=1e-12)
    assert auc_spread(logits, target, weight, torch.zeros(8)) == {}
    target[group == 3] = 1.0
    assert auc_spread(logits, target, weight, group) == {}
    mixed = auc_spread(logits, (target > 2).float().index_fill(0, torch.tensor([0]), 1.0),
                       weight, torch.arange(8) // 4)  # fmt: skip
    assert mixed == {}  # group 0 has both values, group 1 none


def test_the_oracle_is_of_all_fragments():
    t = task(SEEDS)
    hits = false = missed = 0
    for seed in SEEDS:
        p = phantom(t.config.data.phantom.design(seed))
        truth, drawn = p.truth_YX[p.mask_YX] > 0, p.labels_YX[p.mask_YX] > 0
        hits, false = hits + (truth & drawn).sum(), false + (truth & ~drawn).sum()
        missed += (~truth & drawn).sum()
    want = 1.25 * hits / (1.25 * hits + 0.25 * missed + false)
    facts = t.facts().json()
    assert f"f05 {want:.3f} " in facts["oracle"]
    assert facts["validation"] == f"{len(t.data().validation)} windows of 3 fragments"


def test_windows_of_all_fragments_and_no_more_than_asked_for():
    single = [len(task(seed).data().validation) for seed in SEEDS]
    assert len(task(SEEDS).data().validation) == sum(single)
    few = task(SEEDS, most=7).data().validation
    assert [len(part) for part in few.parts] == [3, 2, 2]
    prints = {
        task(s, most=m).data().fingerprint for s in (SEEDS, [1, 2, 3], [1, 2]) for m in (6, 7)
    }
    assert len(prints) == 6


@pytest.mark.parametrize("value", [0.25, 1, "a/b", [1, 2], ["1", "b"]])
def test_what_was_said_is_kept_as_it_was(value):
    kept = ScrollData(validation=value).model_dump(mode="json")["validation"]
    assert repr(kept) == repr(value)


def test_resumed_equals_uninterrupted():
    settings = Training.model_validate(
        {
            "inputs": 24,
            "batch": 4,
            "precision": "fp32",
            "validate_every": {"steps": 2},
            "checkpoint_every": {"steps": 2},
            "keep": {"best": "val/auc", "direction": "max"},
        }
    )
    store = Store.open("memory://scroll-fragments")

    def run(name, interrupted=lambda: None):
        t = task(SEEDS)
        config = {"task": "scroll", "training": settings.model_dump(mode="json")}
        cell = Ready("scroll", "cell", name * 12, config, settings, t, t.data())
        machine = Machine(torch.device("cpu"), Precision("fp32"), 1)
        outcome = execute(Session(store), cell, machine, Watcher(interrupted=interrupted))
        return outcome, store.run("scroll", "cell", name * 12)

    _, whole = run("a")
    steps = itertools.count(1)
    assert run("b", lambda: "SIGINT" if next(steps) >= 3 else None)[0].status == "interrupted"
    outcome, again = run("b")
    assert outcome.status == "finished"
    weights, scores = [], []
    for r in (whole, again):
        weights.append(r.open_checkpoint(r.checkpoints()[-1]).read("model.safetensors"))
        scores.append([e["values"] for e in r.curve() if e["kind"] == "val"])
    assert weights[0] == weights[1]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 3
    assert all("auc spread" in s or "val/auc spread" in s for s in scores[0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"validation": [1, 0]}, "0 is the training fragment's own seed"),
        ({"validation": [1, 2], "name": "/nowhere"}, "does not exist"),
        ({"validation": ["/nowhere", "/nowhere/else"]}, "/nowhere: does not exist"),
        ({"validation": ["/nowhere", "/nowhere/../nowhere"]}, "is there twice"),
        ({"validation": ["/a", "papyrus"]}, "named by its seed"),
        ({"validation": ["/a", "/b"], "validation_labels": "/c.png"}, "received one file for all"),
        ({"validation": ["/a", "/b"], "validation_labels": ["/c.png"]}, "list of 2, .* received 1"),
        ({"validation": [1, 2], "validation_labels": "/c.png"}, "brings its own labels"),
        ({"validation": [1, 2, 3], "most": 2}, r"data\.most: .* each of 3 fragments, received 2"),
    ],
)
def test_bad_lists_are_one_line(data, message):
    t = task(**data)
    with pytest.raises((ConfigError, DataError), match=message) as error:
        t.data()
    assert "\n" not in str(error.value)


def test_paths(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abc":
        np.save(tmp_path / f"{name}.npy", rng.integers(0, 9, (12, 64, 64)).astype(np.uint16))
    np.save(tmp_path / "d.npy", rng.integers(0, 9, (12, 64, 64)).astype(np.uint8))
    a, b, c, d = (str(tmp_path / f"{n}.npy") for n in "abcd")
    joined = task([b, c], "autoencoder", name=a).data().validation
    singles = [task(p, "autoencoder", name=a).data().validation for p in (b, c)]
    seeds = np.zeros(2, np.uint64)
    got = joined.gather(np.array([0, len(singles[0])]), seeds)["voxels"]
    for row, single in zip(got, singles, strict=True):
        assert torch.equal(row, single.gather(np.array([0]), seeds[:1])["voxels"][0])
    for wrong, message in (
        ([b, a], "is the training fragment"),
        (a, "is the training fragment"),
        ([b, d], "expected voxels of uint16 .* received uint8"),
        ([1, 2], "data.name is no phantom"),
    ):
        with pytest.raises((ConfigError, DataError), match=message):
            task(wrong, "autoencoder", name=a).data()
    labels = str(tmp_path / "a.png")
    Image.fromarray((rng.random((64, 64)) < 0.3).astype(np.uint8) * 255).save(labels)
    inked = task([b, c], name=a, labels=labels, validation_labels=[labels, labels])
    assert "label" in next(validation_batches(inked.data().validation, 3, "cpu"))
    with pytest.raises(DataError, match=r"b\.npy: expected labels"):  # of each of them, for ink
        task([b, c], name=a, labels=labels).data()


def test_the_file_names_the_setting():
    given = {"data": {"validation": [1, 0.5]}}
    with pytest.raises(ValidationError) as error:
        ScrollConfig.model_validate(given)
    assert str(explain(error.value, ScrollConfig, given)) == (
        "data.validation: expected a list of phantoms' seeds (integers) or of paths, "
        "received 0.5 in it"
    )

"""What a stranger reads: each sentence is set beside the store."""

import json
import re
from dataclasses import replace

import pytest

from famulus.diagnosis.verdict import diagnose
from tests.diagnosis.rules.limits.limit import run as history_of
from tests.truth import words
from tests.truth.shop import DIGITS, DIPOLE, INK, Play, Shop, finding, results
from tests.truth.test_ranking import named_best
from tests.truth.test_remedies import of, shown

RATES = {"matrix": {"lr": [0.001, 0.003]}, "training__optimizer__lr": "${matrix.lr}"}
ENOUGH = {"training__inputs": 640}  # 20 steps: of fewer, nobody says what was learned
INK_FLOORS = [("bce", 0.366, "best constant"), ("loss", 0.52, "best constant"),
              ("auc", 0.5, "chance"), ("f05", 0.147, "everything in the mask is ink")]  # fmt: skip


def happened(shop: Shop, name: str = "tiny") -> str:
    return shop.entry(name).section("what happened")


# -- one judge of "has learned" --------------------------------------------------------------------


@pytest.fixture(scope="module")
def ink(tmp_path_factory):
    """Its mean loss is a constant's, and yet it sees: AUC .668, F0.5 at 1.7 times chance."""
    shop = Shop(tmp_path_factory.mktemp("ink"))
    path = shop.write(INK, "ink", expect=[{"finding": "none", "severity": "error"}])
    scores = {"loss": 0.525, "bce": 0.37, "auc": 0.668, "f05": 0.25}
    shop.play(path, Play(scores, floors=INK_FLOORS))
    return shop


def test_nothing_was_learned_is_not_said_where_other_scores_say_otherwise(ink):
    page = ink.entry("ink")
    assert not words.has(words.NOTHING_LEARNED, page.text)
    assert not words.has(words.NOTHING_LEARNED, ink.index().text)


def test_the_lead_tells_the_score_that_shows_what_was_learned(ink):
    assert words.has(r"0?\.668|0?\.25\b", happened(ink, "ink"))


def test_the_doctor_judges_as_the_page_does(ink):
    findings = ink.do("diagnose", ink.runs("ink")[0].id, "--json").json()
    assert "predicts-the-mean" not in [f["cause"] for f in findings]


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    """Two cells that are worse than a constant in every score that has a baseline."""
    shop = Shop(tmp_path_factory.mktemp("idle"))
    path = shop.write(**RATES, **ENOUGH, expect=[{"finding": "none", "severity": "error"}])
    floors = [(s, 0.2, "best constant") for s in ("loss", "recon", "l1")]
    ends = {0.001: 0.33, 0.003: 0.31}
    shop.play(path, lambda axes: Play(dict.fromkeys(("loss", "recon", "l1"), ends[axes["lr"]]),
                                      floors=floors, curve=[ends[axes["lr"]]] * 20,
                                      diagnosed=True))  # fmt: skip
    return shop


def test_where_all_scores_say_so_it_is_said(idle):
    assert words.has(words.NOTHING_LEARNED, happened(idle))


def test_of_a_few_steps_nothing_is_said_of_learning(shop):
    """Neither by the page nor by the doctor, though the score is a constant's."""
    floors = [(s, 0.2, "best constant") for s in ("loss", "recon", "l1")]
    flat = dict.fromkeys(("loss", "recon", "l1"), 0.2)
    shop.play(shop.write(), Play(flat, floors=floors, curve=[0.2] * 5, diagnosed=True))
    assert not words.has(words.NOTHING_LEARNED, shop.entry().text)
    findings = shop.do("diagnose", shop.runs()[0].id, "--json").json()
    assert [(f["cause"], f["severity"]) for f in findings] == [("cannot-tell", "info")]


def test_among_cells_that_learned_nothing_none_is_best(idle):
    page = idle.entry()
    assert not words.has(words.BEST, page.lead), page.lead
    assert not [row for row in page.rows if row.best]


def test_a_run_that_learned_nothing_is_not_free_of_errors(idle):
    """Page and expectation have one judge: both say that something is wrong, or neither does."""
    page = idle.entry()
    said = words.has(words.NOTHING_LEARNED, page.lead)
    met = [words.state(label) == "met" for _, label, _ in page.expectations]
    assert met == [not said]


def test_doctor_and_page_agree_on_a_real_run_that_does_not_move(tmp_path):
    shop = Shop(tmp_path)
    path = shop.write(training__optimizer__lr=1e-9, training__inputs=320,
                      expect=[{"finding": "none", "severity": "error"}])  # fmt: skip
    shop.do("run", path)
    page = shop.entry()
    if words.has(words.NOTHING_LEARNED, page.lead):
        assert [words.state(label) for _, label, _ in page.expectations] == ["not met"]


def test_a_cell_that_the_lead_ranks_first_did_learn(shop):
    """Of two cells one is above the constant: only that one has learned nothing."""
    floors = [(s, 0.2, "best constant") for s in ("loss", "recon", "l1")]
    ends = {0.001: 0.31, 0.003: 0.05}
    shop.play(shop.write(**RATES, **ENOUGH), lambda axes: Play(
        dict.fromkeys(("loss", "recon", "l1"), ends[axes["lr"]]), floors=floors))  # fmt: skip
    lines = happened(shop).splitlines()
    assert named_best("\n".join(lines), ["0.001", "0.003"]) == "0.003"
    told = [x for x in lines if words.has(words.NOTHING_LEARNED, x)]
    assert told
    assert all("0.003" not in x.partition(":")[0] for x in told)


# -- the lead --------------------------------------------------------------------------------------


def test_baselines_that_the_question_asks_about_are_in_the_lead(shop):
    path = shop.write(DIPOLE, "dipole")
    floors = [("loss", 1.0, "zero image"), ("nrmse", 100.0, "zero image"), ("nrmse", 72.0, "TKD"),
              ("nrmse", 65.0, "Tikhonov"), ("nrmse", 55.0, "NDI")]  # fmt: skip
    shop.play(path, Play({"loss": 0.4, "nrmse": 60.0}, floors=floors))
    lead = happened(shop, "dipole")
    for name in ("TKD", "Tikhonov", "NDI"):
        assert name in lead, f"{name}: {lead}"


def test_a_run_below_its_strongest_rival_is_not_told_of_the_weakest_alone(shop):
    """Between TKD and NDI: it is worse than NDI, and that is said."""
    path = shop.write(DIPOLE, "dipole", **RATES)
    floors = [("loss", 1.0, "zero image"), ("nrmse", 100.0, "zero image"), ("nrmse", 72.0, "TKD"),
              ("nrmse", 55.0, "NDI")]  # fmt: skip
    shop.play(path, Play({"loss": 0.4, "nrmse": 60.0}, floors=floors))
    assert "NDI" in happened(shop, "dipole")


@pytest.mark.parametrize("form", ["order", "score"])
def test_the_best_is_that_of_the_score_that_the_file_asks_about(shop, form):
    """Loss and AUC rank the cells in opposite order; question and expectation are about AUC."""
    expect = {"order": {"order": "val/auc", "by": "lr", "says": "0.001 < 0.003"},
              "score": {"score": "val/auc", "value": 0.9, "within": "5%",
                        "where": {"lr": 0.003}}}  # fmt: skip
    path = shop.write(INK, "ink", **RATES, expect=[expect[form]])
    ends = {0.001: {"loss": 0.3, "bce": 0.2, "auc": 0.6},
            0.003: {"loss": 0.4, "bce": 0.25, "auc": 0.9}}  # fmt: skip
    shop.play(path, lambda axes: Play(ends[axes["lr"]], floors=INK_FLOORS))
    page = shop.entry("ink")
    assert named_best(page.lead, ["0.001", "0.003"]) == "0.003"
    assert [row["lr"] for row in page.rows if row.best] == ["0.003"]


# -- what belongs to single runs -------------------------------------------------------------------


def test_a_baseline_of_one_cell_is_not_that_of_all(shop):
    path = shop.write(matrix={"recon": ["bce", "l1", "l2"]},
                      loss__reconstruction="${matrix.recon}")  # fmt: skip
    ends = {"bce": 0.7, "l1": 0.2, "l2": 0.1}

    def plot(axes):
        floors = [("loss", 0.693, "best possible")] if axes["recon"] == "bce" else []
        return Play({"loss": ends[axes["recon"]], "l1": 0.2}, floors=floors)

    shop.play(path, plot)
    for text in (shop.entry().text, shop.markdown()):
        lines = text.splitlines()
        for n, line in enumerate(lines):
            if "0.693" in line:
                near = " ".join(lines[max(0, n - 2) : n + 1])
                assert words.has(r"\bbce\b|1 of 3", near), near


@pytest.fixture(scope="module")
def opposite(tmp_path_factory):
    """One cause in three cells, with figures and remedies of their own."""
    shop = Shop(tmp_path_factory.mktemp("opposite"))
    path = shop.write(matrix={"lr": [0.001, 0.004, 0.1]}, training__optimizer__lr="${matrix.lr}")
    told = {0.001: ("fell to 0.111", "training.optimizer.lr: 0.01"),
            0.004: ("fell to 0.444", "training.optimizer.lr: 0.04"),
            0.1: ("rose to 0.999", "training.optimizer.lr: 0.0333")}  # fmt: skip

    def plot(axes):
        evidence, remedy = told[axes["lr"]]
        figures = {"evidence": f"the loss {evidence}", "remedy": remedy}
        return Play({"loss": 0.3}, findings=[finding("plateau", "warning", **figures)])

    shop.play(path, plot)
    return shop, told


def test_evidence_of_one_run_names_that_run(opposite):
    shop, told = opposite
    section = shop.entry().section("^findings")
    figures = {rate: evidence.split()[-1] for rate, (evidence, _) in told.items()}
    for rate, figure in figures.items():
        lines = section.splitlines()
        for n in (n for n, line in enumerate(lines) if figure in line):
            near = " ".join(lines[max(0, n - 2) : n + 1]).replace(figure, "")
            assert words.has(rf"\b{rate}(?!\d)", near), near


def test_cells_with_opposite_settings_have_remedies_of_their_own(opposite):
    shop, told = opposite
    section = shop.entry().section("^findings")
    missing = [remedy for _, remedy in told.values() if remedy.split()[-1] not in section]
    assert not missing, section


def test_the_cause_that_explains_another_comes_first(shop):
    """`dead-units` comes before `rate-too-high` in the alphabet only."""

    def plot(axes):
        found = [finding("dead-units")]
        if axes["lr"] == 0.003:
            found = [finding("rate-too-high", consequences=["dead-units"]),
                     finding("dead-units", under="rate-too-high")]  # fmt: skip
        return Play({"loss": 0.3}, findings=found)

    shop.play(shop.write(**RATES), plot)
    section = shop.entry().section("^findings")
    heads = re.findall(r"(?m)^(dead-units|rate-too-high)\b", section)
    assert heads[0] == "rate-too-high", heads
    first = [m[0] for m in re.finditer("dead[- ]units|rate[- ]too[- ]high", happened(shop))]
    assert not first or first[0].startswith("rate")


# -- figures of one moment -------------------------------------------------------------------------

NUMBER = r"\d[\d.]*(?:e[+-]?\d+)?"


def vanishing(ratios: list[float], last: float):
    """Gradients of 22 layers; `ratios` of first over last at the samples, then `last`."""
    probes = []
    for step, ratio in enumerate([*ratios, last]):
        layers = [
            {"name": f"layer{n}", "type": "Linear", "numbers": 100, "weight": 1.0,
             "grad": 0.014 * ratio ** ((21 - n) / 21)} for n in range(22)
        ]  # fmt: skip
        probes.append({"step": step, "layers": layers})
    return history_of([1.0] * 20, [{"loss": 1.0}], floors={"loss": 1.0}, probes=probes)


def test_a_ratio_is_that_of_the_figures_beside_it():
    evidence = shown("vanishing-gradient", vanishing([4e-9] * 5, 1.2e-5)).evidence
    before = evidence.partition("ratio")[0]
    figures = [v for x in re.findall(rf"(?<![\w.])({NUMBER})", before) if 0 < (v := float(x)) < 1]
    ratio = float(re.search(rf"ratio[^\d]*({NUMBER})", evidence)[1])
    assert len(figures) >= 2, evidence
    assert 0.2 < ratio / (min(figures) / max(figures)) < 5, evidence


def test_the_first_of_22_layers_is_21_before_the_last():
    evidence = shown("vanishing-gradient", vanishing([4e-9] * 5, 4e-9)).evidence
    between = re.search(r"(\d+) layers (before|apart|further|below|earlier|back)", evidence)
    assert between is None or int(between[1]) == 21, evidence
    assert between or "22 layers" in evidence, evidence


def test_a_step_and_a_loss_of_different_moments_say_when():
    """Steps are judged by the first samples, the loss by the last logs: each says which."""
    evidence = shown("rate-too-high", of("rate-too-high", "tiles")).evidence
    assert words.has(r"steps? \d|samples? \d|first \d|early|at the start", evidence), evidence
    assert words.has(r"(last|end|after|at step|in the end)\b", evidence), evidence


@pytest.mark.parametrize("level", [0.02, 0.05])
def test_a_loss_that_crosses_zero_does_not_spike(level):
    """A likelihood near 0 with a scatter of 0.1: three times the median is no jump."""
    wave = [level + 0.1 * (-1) ** n * (0.5 + (n * 7 % 5) / 10) for n in range(60)]
    history = history_of(wave, [{"loss": level}], floors={"loss": 1.0})
    assert "loss-spike" not in [f.cause for f in diagnose(replace(history, floors=[]))]
    assert "loss-spike" not in [f.cause for f in diagnose(history)]


def test_a_jump_far_beyond_the_scatter_is_a_spike():
    wave = [0.5 + 0.02 * (-1) ** n for n in range(60)]
    wave[40] = 5.0
    assert "loss-spike" in [f.cause for f in diagnose(history_of(wave, [{"loss": 0.5}]))]


# -- what ran --------------------------------------------------------------------------------------


def test_the_settings_shown_are_those_of_the_plan(shop):
    path = shop.write(**RATES)
    shop.play(path, Play({"loss": 0.3}), "--set", "matrix.lr=[0.001]")
    for text in (shop.entry().text, shop.markdown()):
        shown_ = words.has(r"\b0\.003\b", text)
        assert not shown_ or words.has(r"matrix\.lr ?[=:] ?\[0\.001\]", text)


def test_an_override_of_a_setting_is_shown_beside_the_file(shop):
    path = shop.write()
    shop.play(path, Play({"loss": 0.3}), "--set", "training.batch=16")
    section = shop.entry().section("^settings")
    file = section.partition("all settings")[0]
    assert not words.has(r"batch: 32", file) or words.has(r"training\.batch ?[=:] ?16", file)


# -- minutes, pairs, names -------------------------------------------------------------------------


def test_minutes_of_a_continued_run_are_the_same_in_head_and_table(tmp_path):
    """15 minutes of the curve, of which 10 are the parent's: one of both, or both with words."""
    shop = Shop(tmp_path)
    path = shop.write(training__inputs=64)
    shop.do("run", path)
    parent = shop.runs()[0]
    child = shop.do("extend", parent.id, "--inputs", "160", "--json").json()["cells"][0]["id"]
    _took(shop, parent, 600.0)
    _took(shop, shop.store.find(child), 900.0, inherited=600.0)
    page = shop.entry()
    row = next(row for row in page.rows if child in row.href)
    head = shop.run_page(shop.store.find(child)).lead
    minutes = re.search(r"([\d.]+) min", row["minutes"] + " min")[1]
    assert float(minutes) in (5.0, 15.0)
    same = words.has(rf"\b{float(minutes):g}(\.0)? min", head)
    assert same or words.has(words.CONTINUED, head)


def _took(shop: Shop, run, seconds: float, inherited: float | None = None) -> None:
    """As if the run had taken that long, with its parent's time."""
    folder = shop.root / run.path
    done = json.loads((folder / "done.json").read_text())
    (folder / "done.json").write_text(json.dumps(done | {"seconds": seconds}))
    for segment in (folder / "events").rglob("*.jsonl"):
        lines = [json.loads(x) for x in segment.read_text().splitlines()]
        for event in lines:
            if event["kind"] == "facts" and inherited and event.get("inherited"):
                event["inherited"]["seconds"] = inherited
        segment.write_text("".join(json.dumps(x) + "\n" for x in lines))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two axes of two values: one wins in 1 of 2 pairs, the other in 2 of 2."""
    shop = Shop(tmp_path_factory.mktemp("mixed"))
    axes = {"lr": [0.001, 0.003], "code": [4, 8]}
    rate = {"training__optimizer__lr": "${matrix.lr}"}
    path = shop.write(matrix=axes, model__code="${matrix.code}", **rate)
    ends = {(0.001, 4): 0.50, (0.003, 4): 0.465, (0.001, 8): 0.30, (0.003, 8): 0.36}
    shop.play(path, lambda axes: Play({"loss": ends[axes["lr"], axes["code"]]}))
    return shop


def test_one_of_two_pairs_says_how_the_other_went(mixed):
    lines = [x for x in happened(mixed).splitlines() if words.has(r"\b1 of 2\b", x)]
    assert lines, "the axis that wins once is not told of"
    for line in lines:
        assert words.has(r"(17|20) %", line), f"the other pair differs by 17 or 20 %: {line}"
        assert words.has(words.THE_OTHER, line.partition("1 of 2")[2]), line


def test_pairs_say_of_which_score(mixed):
    lines = [x for x in happened(mixed).splitlines() if words.has(r"\b2 of 2\b", x)]
    assert lines
    assert all(words.has(r"loss", x) for x in lines), lines


def test_a_run_without_axes_is_not_called_by_its_slug(shop):
    """A file without a matrix has one cell, whose slug is `run`: no name for a person."""
    floors = [(s, 0.2, "best constant") for s in ("loss", "l1")]
    shop.play(shop.write(), Play({"loss": 0.31, "l1": 0.31}, floors=floors))
    assert not words.has(r"(^|[.;:] )run (scored|is|has|was)\b", happened(shop)), happened(shop)
    assert not re.search(r"(?m)^run (scored|is|has|was)\b", happened(shop))


def test_a_theoretical_first_loss_is_not_called_the_initial_one(shop):
    """What an untrained net must score in theory is not the loss that this run began with."""
    floors = [("loss", 2.303, "initial loss")]
    shop.play(shop.write(), Play({"loss": 0.31}, floors=floors))
    for page in (shop.entry(), shop.run_page(shop.runs()[0])):
        for line in page.text.splitlines():
            if words.has(r"\binitial loss\b", line):
                assert words.has(words.THEORETICAL, line), line


def test_a_score_and_its_baseline_are_shown_with_digits_that_differ(shop):
    """`0.365 no better than 0.365` says nothing: more digits, or that they are alike."""
    floors = [(score, 0.36512, "best constant") for score in ("loss", "l1")]
    shop.play(shop.write(), Play({"loss": 0.36521, "l1": 0.36521}, floors=floors))
    for line in happened(shop).splitlines():
        figures = re.findall(r"0\.365\d*", line)
        alike = words.has(r"\b(as|same|equals?|like|just)\b", line)
        assert alike or len(set(figures)) == len(figures), line


def test_shares_of_nothing_are_not_told(shop):
    """Three axes, of which one does everything: `0.0 %; 0.0 % is left` is no news."""
    path = shop.write(
        matrix={"lr": [0.001, 0.003], "code": [4, 8], "beta": [0.001, 0.002]},
        training__optimizer__lr="${matrix.lr}", model__code="${matrix.code}",
        loss__kl_weight="${matrix.beta}",
    )  # fmt: skip
    ends = {0.001: 0.5, 0.003: 0.3}
    shop.play(path, lambda axes: Play({"loss": 1.0, "l1": ends[axes["lr"]]}))
    lines = [x for x in happened(shop).splitlines() if words.has("variance", x)]
    assert not [x for x in lines if "0.0 %" in x], lines


def test_layers_are_not_told_by_a_bare_number():
    """`6 (Linear) and 1 more`: a layer of a Sequential has a number for a name."""
    evidence = shown("dead-units", _numbered()).evidence
    assert not re.search(r"(?<!layer )(?<!layers )(?<!\w)6 \(ReLU\)", evidence), evidence
    assert not words.has(r"and (in )?1 more\b(?! layer\b)", evidence), evidence


def _numbered():
    history = of("dead-units", "tiles")
    probes = []
    for probe in history.probes:
        layer = dict(probe["layers"][0])
        probes.append({**probe, "layers": [{**layer, "name": "6"}, {**layer, "name": "8"}]})
    return replace(history, probes=probes)


def test_figures_of_table_and_lead_are_those_of_the_store(mixed):
    """What is right stays right: each figure is recomputed from the runs."""
    ends = {tuple(r.config()["matrix"].values()): r.done()["scores"]["val/loss"]
            for r in mixed.runs()}  # fmt: skip
    for row in results(mixed):
        score = next(v for k, v in row.items() if k.startswith("val/loss"))
        assert score == ends[row["lr"], row["code"]]
    assert named_best(mixed.entry().lead, ["lr 0.001, code 8", "lr 0.003, code 8"]) == (
        "lr 0.001, code 8")  # fmt: skip
    assert "0.300" in happened(mixed)


def test_copies_are_told_before_the_curves_of_a_run(tmp_path):
    from tests.truth.test_ranking import copies

    shop = Shop(tmp_path)
    folder = copies(tmp_path / "pictures")
    path = shop.write(DIGITS, "own", data={"name": str(folder), "validation": 0.25, "size": 8})
    shop.play(path, Play({"loss": 0.3}))
    page = shop.run_page(shop.runs("own")[0])
    before = page.text.partition("Curves")[0]
    assert words.has(words.COPIES, before), before

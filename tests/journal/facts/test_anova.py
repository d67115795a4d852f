"""Against sums over cell means by hand, least squares written out, and the journal's own table."""

from itertools import product

import numpy as np
import pytest
from benchmarks.reference_rows import read
from scipy import stats

from famulus.journal.facts.anova import analyse

FILTERS = {True: "bilinear", False: "nearest", None: None}
AXES = ["set", "filter", "size", "lr"]


def journal_rows():
    """The 36 rows; - = no resize happened, so each such cell stands twice."""
    return [
        {
            "set": axes["ds"],
            "filter": FILTERS[axes.get("aa")],
            "size": axes["res"],
            "lr": axes["lr"],
            "loss": loss,
        }
        for axes, loss, _ in read()
    ]


def effects(analysis):
    return {effect.axis: effect for effect in analysis.effects}


def grid(score, a=3, b=2, replicates=2):
    random = np.random.default_rng(0)
    return [
        {"a": i, "b": f"b{j}", "y": float(score(i, j) + 0.1 * random.standard_normal())}
        for i in range(a)
        for j in range(b)
        for _ in range(replicates)
    ]


def test_a_value_may_be_a_section():
    """An axis of schedules, say: {name: plateau, patience: 3} is one level."""
    plain = grid(lambda i, j: i * i - 0.5 * j)
    nested = [{**row, "a": {"name": "plateau", "patience": row["a"]}} for row in plain]
    told = [effects(analyse(rows, "y", ["a", "b"], log=False)) for rows in (plain, nested)]
    assert told[1]["a"].share == pytest.approx(told[0]["a"].share)
    assert list(told[1]["a"].means.values()) == pytest.approx(list(told[0]["a"].means.values()))


def test_balanced_two_way_by_hand():
    rows = grid(lambda i, j: i * i - 0.5 * j)
    y = np.array([row["y"] for row in rows]).reshape(3, 2, 2)
    total = ((y - y.mean()) ** 2).sum()
    a = 4 * ((y.mean((1, 2)) - y.mean()) ** 2).sum()
    b = 6 * ((y.mean((0, 2)) - y.mean()) ** 2).sum()
    residual = total - a - b
    found = analyse(rows, "y", ["a", "b"], log=False)
    shares = sum(effect.share for effect in found.effects)
    assert found.residual_share == pytest.approx(1 - shares)  # of a balanced matrix
    assert found.residual_df == 12 - 1 - 2 - 1
    assert found.residual_share == pytest.approx(residual / total)
    for axis, squares, df in (("a", a, 2), ("b", b, 1)):
        effect = effects(found)[axis]
        f = squares / df / (residual / 8)
        assert (effect.df, effect.share) == (df, pytest.approx(squares / total))
        assert effect.f == pytest.approx(f)
        assert effect.p == pytest.approx(stats.f.sf(f, df, 8), rel=1e-6)
    np.testing.assert_allclose(list(effects(found)["a"].means.values()), y.mean((1, 2)))
    noise = y.var(2, ddof=1).mean() ** 0.5
    assert found.replicates.sd == pytest.approx(noise)
    assert (found.replicates.groups, found.replicates.df) == (6, 6)


def test_unbalanced_type_two_by_least_squares_on_the_journal():
    found = analyse(journal_rows(), "loss", AXES)
    assert (found.rows, found.blank, found.log) == (24, 12, True)
    rows = [row for row in journal_rows() if row["filter"]]
    y = np.log([row["loss"] for row in rows])

    def rss(axes):
        columns = [np.ones(24)]
        for axis in axes:
            for level in sorted({row[axis] for row in rows})[1:]:
                columns.append(np.array([row[axis] == level for row in rows], float))
        x = np.stack(columns, 1)
        return ((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum()

    total, full = ((y - y.mean()) ** 2).sum(), rss(AXES)
    for axis in AXES:
        squares = rss([a for a in AXES if a != axis]) - full
        assert effects(found)[axis].share == pytest.approx(squares / total)
        alone = total - rss([axis])  # type I with the axis first: another figure, so it would show
        assert axis not in ("set", "size") or abs(alone - squares) > 0.01 * total
    assert found.residual_share == pytest.approx(full / total)


def test_the_journal_s_noise_and_what_its_rows_say():
    """.81 % from 6 pairs (knowledge of the journal), and an order that its prose gets half right:
    the filter leads per degree of freedom, the set in its share, since mnist is far easier."""
    found = analyse(journal_rows(), "loss", AXES)
    assert (found.replicates.groups, found.replicates.df) == (6, 6)
    assert found.replicates.sd == pytest.approx(0.0081, abs=5e-5)
    assert [effect.axis for effect in found.effects[:2]] == ["set", "filter"]
    by_axis = effects(found)
    assert by_axis["filter"].f > by_axis["set"].f
    assert found.blank == 12  # rows in which an axis does not apply
    hard = [row for row in journal_rows() if row["set"] != "mnist"]
    hard = effects(analyse(hard, "loss", AXES))
    assert hard["filter"].share > 5 * hard["set"].share


def test_blank_rows_do_not_move_an_effect():
    rows = journal_rows()
    moved = [row | {"loss": row["loss"] * (1 if row["filter"] else 10)} for row in rows]
    a, b = analyse(rows, "loss", AXES), analyse(moved, "loss", AXES)
    assert a.effects == b.effects
    filled = [row | {"filter": row["filter"] or "none"} for row in moved]
    assert analyse(filled, "loss", AXES).effects != a.effects


def test_noise_alone_leads_nowhere():
    found = analyse(grid(lambda i, j: 5.0), "y", ["a", "b"], log=False)
    assert min(effect.p for effect in found.effects) > 0.01
    assert found.lead < 0.95


@pytest.mark.parametrize(("a", "b", "rest"), [(4.0, 1.0, 1.2), (3.0, 1.0, 1.2)])
def test_the_lead_counts_residuals_at_the_size_that_they_had_before_the_fit(a, b, rest):
    """Four cells and three numbers fitted leave one degree of freedom: residuals of the noise's
    size times sqrt(df / n) = 1/2. Drawn anew they must be twice as large. Each draw is one of two
    values, so that all 16 outcomes can be written out."""

    def leads(size):
        wins = 0
        for signs in product((-1.0, 1.0), repeat=4):
            y = np.array([[0, b], [a, a + b]]) + size * np.reshape(signs, (2, 2))
            wins += abs((y[1] - y[0]).mean()) > abs((y[:, 1] - y[:, 0]).mean())
        return wins / 16

    rows = [
        {"a": i, "b": j, "y": a * i + b * j + rest * (-1) ** (i + j)}
        for i, j in product((0, 1), repeat=2)
    ]
    found = analyse(rows, "y", ["a", "b"], log=False)
    assert found.residual_df == 1
    for larger in (1.0, (4 / 3) ** 0.5, 4.0) if a == 4 else (1.0, (4 / 3) ** 0.5):
        assert abs(leads(larger * rest) - leads(2 * rest)) >= 0.125  # the control
    assert found.lead == pytest.approx(leads(2 * rest), abs=0.06)  # of 400 draws: .02


def test_interactions_are_left_to_the_residual():
    crossed = analyse(grid(lambda i, j: i * (1 - 2 * j)), "y", ["a", "b"], log=False)
    plain = analyse(grid(lambda i, j: i + j), "y", ["a", "b"], log=False)
    assert crossed.residual_share > 0.3
    assert plain.residual_share < 0.05


def test_confounded_and_constant_axes_explain_nothing():
    rows = [row | {"twin": row["a"] * 10, "same": 1} for row in grid(lambda i, j: i)]
    found = analyse(rows, "y", ["a", "b", "twin", "same"], log=False)
    assert [effect.axis for effect in found.effects] == ["b"]


def test_no_noise_left_is_not_an_error():
    rows = [{"a": i, "y": float(i)} for i in (1, 2, 3)]
    found = analyse(rows, "y", ["a"], log=False)
    assert found.effects[0].share == pytest.approx(1)
    assert (found.effects[0].f, found.lead, found.replicates.sd) == (None, None, None)
    same = analyse([{"a": i, "y": 2.0} for i in (1, 1, 2, 2)], "y", ["a"])
    assert same.effects[0].share == pytest.approx(0)


def test_too_little_is_refused():
    with pytest.raises(ValueError, match="received 1 complete rows"):
        analyse([{"a": 1, "y": 2.0}, {"a": 2, "y": float("nan")}], "y", ["a"])
    with pytest.raises(ValueError, match="received -1"):
        analyse([{"a": i, "y": -1.0} for i in range(4)], "y", ["a"], log=True)

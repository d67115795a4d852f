"""Against GitHub's documented example, a brute-force reading of its rules, and properties."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from famulus.config.errors import ConfigError
from famulus.config.matrix import MAX_CELLS, expand, slug, slugs, substitute

FRUIT = {
    "fruit": ["apple", "pear"],
    "animal": ["cat", "dog"],
    "include": [
        {"color": "green"},
        {"color": "pink", "animal": "cat"},
        {"fruit": "apple", "shape": "circle"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ],
}
GITHUB = [
    {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
    {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
    {"fruit": "pear", "animal": "cat", "color": "pink"},
    {"fruit": "pear", "animal": "dog", "color": "green"},
    {"fruit": "banana"},
    {"fruit": "banana", "animal": "cat"},
]


def test_the_documented_example():
    assert expand(FRUIT) == GITHUB


def test_the_order_of_includes_matters():  # proof that the golden test can fail
    assert expand({**FRUIT, "include": FRUIT["include"][::-1]}) != GITHUB


VALUES = st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True)
AXES = st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1)


@settings(deadline=None, max_examples=100)
@given(AXES, st.data())
def test_product_in_order_then_exclude(axes, data):
    entry = st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in axes.items()})
    entries = data.draw(st.lists(entry.filter(bool), max_size=3))
    places = itertools.product(*(range(len(v)) for v in axes.values()))  # first key slowest
    every = [{k: axes[k][i] for k, i in zip(axes, place, strict=True)} for place in places]
    left = [c for c in every if not any(e.items() <= c.items() for e in entries)]
    if left:
        assert expand({**axes, "exclude": entries}) == left
    else:
        with pytest.raises(ConfigError, match="all excluded"):
            expand({**axes, "exclude": entries})


@settings(deadline=None, max_examples=100)
@given(AXES, st.lists(st.dictionaries(st.sampled_from("abcxy"), st.integers(0, 4), min_size=1)))
def test_include_never_overwrites_an_axis(axes, entries):
    try:
        cells = expand({**axes, "include": entries})
    except ConfigError:
        return  # two includes made the same cell
    originals = expand(axes)
    for cell, original in zip(cells, originals, strict=False):
        assert original.items() <= cell.items()
    conflicting = [
        e for e in entries if not any({**o, **e}.items() >= o.items() for o in originals)
    ]
    assert cells[len(originals) :] == conflicting


def test_include_alone_gives_one_cell_each():
    assert expand({"include": [{"a": 1}, {"a": 2, "b": 3}]}) == [{"a": 1}, {"a": 2, "b": 3}]


def test_exclude_comes_before_include_which_can_add_back():
    matrix = {"a": [1, 2], "exclude": [{"a": 1}], "include": [{"a": 1}]}
    assert expand(matrix) == [{"a": 2}, {"a": 1}]


def test_no_matrix_is_one_empty_cell():
    assert expand(None) == expand({}) == [{}]


def test_values_of_different_types_differ_and_lists_compare_by_value():
    values = [1, 1.0, True, "1", [1], [1.0]]
    assert len(expand({"a": values})) == 6
    kept = expand({"a": values, "exclude": [{"a": 1}, {"a": [1.0]}]})
    assert [repr(c["a"]) for c in kept] == ["1.0", "True", "'1'", "[1]"]


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        ({"a": []}, r"matrix\.a: .*empty list"),
        ({"a": [1, 2, 1]}, r"matrix\.a\.2: the value 1 stands there twice"),
        ({"a": [[1], [1]]}, "twice"),
        ({"a": 3}, r"matrix\.a: expected a list of values, received 3"),
        ({"size": [1], "exclude": [{"sise": 1}]}, r"no such axis, did you mean 'size'\?"),
        ({"a": [1], "exclude": [{}]}, "keys and values"),
        ({"a": [1], "include": {"a": 2}}, "expected a list"),
        ({"a": [1], "include": [{"b": 1, "a": 2}] * 2}, "twice"),
        ({"slug": [1]}, "taken"),
        ({"replicate": [1]}, "taken"),
        ({"a b": [1]}, "expected a name"),
        ({"a": ["${matrix.b}"]}, "nothing is substituted inside a matrix"),
        ({"a": list(range(MAX_CELLS + 1))}, "at most 10,000 cells, received 10,001"),
        ({k: list(range(1000)) for k in "abcdef"}, "at most 10,000 cells"),
        ([1], "expected axes"),
    ],
)
def test_refused(matrix, reason):
    with pytest.raises(ConfigError, match=reason):
        expand(matrix)


def test_substitution_keeps_types_and_formats_inside_text():
    cell = {"size": 28, "lr": 1e-05, "flag": True, "none": None, "list": [1, 2.0], "s": "a"}
    given = {k: f"${{matrix.{k}}}" for k in cell}
    made = substitute(given, cell)
    assert made == cell
    assert [type(v) for v in made.values()] == [type(v) for v in cell.values()]
    assert substitute(["n${matrix.size}-${matrix.lr}-${matrix.flag}"], cell) == ["n28-1e-05-true"]
    assert substitute("${matrix.slug}", {"a": 1}) == "a=1"
    assert substitute({"a": [1, None, "plain $5 {x}"]}, {}) == {"a": [1, None, "plain $5 {x}"]}


def test_substitution_happens_once():
    assert substitute("${matrix.a}", {"a": "${matrix.b}", "b": 1}) == "${matrix.b}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${matrix.siz}", r"a\.0: unknown name .*did you mean 'size'\?"),
        ("${env.HOME}", r"expected \$\{matrix\.NAME\}"),
        ("${size}", r"expected \$\{matrix\.NAME\}"),
        ("x ${matrix.size + 1}", "unknown name"),
        ("x ${matrix.size", r"expected \$\{matrix\.NAME\}"),
        ("${}", r"expected \$\{matrix\.NAME\}"),
    ],
)
def test_substitution_refuses(text, reason):
    with pytest.raises(ConfigError, match=reason):
        substitute({"a": [text]}, {"size": 28})


def test_slugs_read_well():
    assert slug({"set": "mnist", "size": 28, "lr": 0.001}) == "set=mnist_size=28_lr=0.001"
    assert slug({}) == "run"


ANY = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
CELLS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "A"]), ANY | st.lists(ANY, max_size=3)),
    min_size=1,
    unique_by=lambda cell: repr(sorted(cell.items())),
)


@settings(deadline=None, max_examples=200)
@given(CELLS)
def test_slugs_are_unique_safe_and_short(cells):
    names = slugs(cells)
    assert len({name.casefold() for name in names}) == len(cells)
    for name in names:
        assert 0 < len(name) <= 96
        assert name.isascii()
        assert set(name) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=-"
        )
        assert not name.startswith((".", "-"))


def test_slugs_of_look_alikes_differ():  # each pair has one plain slug, or one without case
    for a, b in [(1, "1"), ("x y", "xy"), ("x y", "x-y"), ("A", "a"), ("y" * 200, "y" * 201)]:
        first, second = slugs([{"k": a}, {"k": b}])
        assert first.casefold() != second.casefold()

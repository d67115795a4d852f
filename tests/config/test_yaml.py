"""Against the YAML 1.2 specification's rules, and against ruamel's loader as a second reader."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from famulus.config.errors import ConfigError
from famulus.config.yaml import dump, load, parse_value


def typed(value):
    """`value` with every type spelt out, so that 1, 1.0 and true differ."""
    if isinstance(value, dict):
        return {k: typed(v) for k, v in value.items()}
    if isinstance(value, list):
        return [typed(v) for v in value]
    return (type(value).__name__, repr(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 0.0003),
        ("1e5", 100000.0),
        ("3.0e4", 30000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1_000_000", 1_000_000),
        ("1_000.5", 1000.5),
        ("-3", -3),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("null", None),
        ("~", None),
        ("true", True),
        ("False", False),
        (".inf", math.inf),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("12:30:45", "12:30:45"),
        ("1:30", "1:30"),
        ("2022-06-13_09h01m09s", "2022-06-13_09h01m09s"),
        ("10%", "10%"),
        ("1.2.3", "1.2.3"),
        ('"010"', "010"),
        ("'1_000'", "1_000"),
        ("[1, a, {b: 2}]", [1, "a", {"b": 2}]),
    ],
)
def test_scalars(text, value):
    assert typed(parse_value(text)) == typed(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 010", r"f:1:4: 010 has a leading zero.*write 10"),
        ("a: -007", "leading zero"),
        ("a: 00.5", "leading zero"),
        ("a: 1__0", 'single "_"'),
        ("a: 1_", 'single "_"'),
        ("a: 2022-06-13", "f:1:4: 2022-06-13 reads as a date: quote it"),
        ("a: 2022-06-13 10:00:00", "date"),
        ("a: 2022-06-13T10:00:00Z", "date"),
        ("a: 1e999", "beyond the range"),
        ("a: " + "9" * 50, "at most 40 characters"),
        ("a: 1\nb: 2\na: 3", r"f:3:1: duplicate key 'a', first at line 1:1"),
        ("x:\n  lr: 1\n  lr: 2", r"f:3:3: duplicate key 'lr'"),
        ("a: !!python/object:os.system x", "f:1:4: tag .* is not supported"),
        ("a: !x 1", "tag"),
        ("a: ! 1", "tag"),
        ("a:\n\t- 1", "f:2:1: .*indented by spaces"),
        ("a: 1\n---\nb: 2", "f:2:1: expected one document"),
        ("", "f: the file is empty"),
        ("# only this\n", "f: the file is empty"),
        ("---\n", "f: the file is empty"),
        ("a: &x {b: 1}\nc:\n  <<: *x", r"f:3:3: merge key << "),
        ("a: &x [*x]", r"\*x is not defined above, or contains itself"),
        ("a: *nowhere", r"\*nowhere is not defined"),
        ("1: a", "text as a key, received 1: quote"),
        ("null: a", "text as a key"),
        ("? [a]\n: b", "text as a key"),
        ("%YAML 1.1\n---\na: 1", "expected YAML 1.2, received %YAML 1.1"),
        ("[" * 100, "at most 40 nested"),
        ("a: b: c", "f:1:5"),
        ("a: 'open", "f:1:"),
        ("a: [1, 2", "f:"),
        ("a: \x00", "f: "),
        ("a: " + "x" * 1_000_001, "at most 1,000,000 bytes"),
    ],
)
def test_refused_with_the_reason_in_one_line(text, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        load(text, "f")
    assert "\n" not in str(caught.value)


def test_a_bomb_of_aliases_is_refused_before_it_goes_off():
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigError, match="at most 100,000 values, aliases spelt out"):
        load("\n".join(["l0: &l0 [1, 2]", *levels]), "f")


def test_an_alias_repeats_its_value():
    assert load("a: &x {b: [1]}\nc: *x", "f").value == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_every_part_knows_its_place():
    document = load("why: x\ntraining:\n  batch: 64\n  steps: [1,\n    22]\n", "dir/f.yaml")
    assert document.where(("training", "batch")) == "dir/f.yaml:3:10"
    assert document.where(("training", "batch"), key=True) == "dir/f.yaml:3:3"
    assert document.where(("training", "steps", 1)) == "dir/f.yaml:5:5"
    assert document.where(("training", "missing")) == "dir/f.yaml:3:3"  # the section's place
    assert document.where(()) == "dir/f.yaml:1:1"


@pytest.mark.parametrize("text", ["", "  ", "a: b: c", "010", "a\n---\nb"])
def test_parse_value_refuses(text):
    with pytest.raises(ConfigError):
        parse_value(text)


AWKWARD = """no y 010 1__0 1_0 3e-4 2022-06-13 null ~ #a 12:30 ${matrix.x} 10% << é 😀 it's true
.5 - ? *a &a !a a: [ ] { } , | > @ ` 0x1 1e5 a:b a#b .inf = " \\"""
AWKWARD_SPACES = ["", " a", "a ", "a: b", "a #b", "- a", "a\nb", "\ta", "\u2028", "\ufeff", "\x85"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(AWKWARD.split() + AWKWARD_SPACES)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, max_examples=200)
@given(VALUES)
def test_what_is_dumped_is_read_back_by_two_readers(value):
    text = dump(value)
    if value is not None:  # a file that holds nothing but null
        assert typed(load(text, "f").value) == typed(value)
        assert typed(YAML(typ="safe", pure=True).load(text)) == typed(value)


def test_plain_text_would_not_survive():  # proof that the round trip can fail
    assert typed(load("a: 3e-4", "f").value) != typed({"a": "3e-4"})
    assert dump({"a": "3e-4"}) == 'a: "3e-4"\n'


def test_dump_reads_well():
    value = {"training": {"batch": 64, "every": {"epochs": 1.0}, "betas": [0.9, 0.99]}, "x": "a b"}
    expected = "training: {batch: 64, every: {epochs: 1.0}, betas: [0.9, 0.99]}\nx: a b\n"
    block = "training:\n  batch: 64\n  every: {epochs: 1.0}\n  betas: [0.9, 0.99]\nx: a b\n"
    assert dump(value) in (expected, block)


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, {"a": {1, 2}}])
def test_dump_refuses_what_is_not_plain(value):
    with pytest.raises(TypeError, match="expected"):
        dump(value)

"""A run's name changes with what is computed, and with nothing else."""

import unicodedata
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from famulus.config.errors import ConfigError
from famulus.config.identity import canonical, run_id
from famulus.config.schema import Strict, Training, added, operational


class Data(Strict):
    name: str = "digits"
    cache: str = operational("ram", "where the arrays live")


class Part(Strict):
    kind: Literal["a"] = "a"
    width: int = 3


class NewPart(Part):
    skip: int = added(0, "a field that came later")


class Other(Strict):
    kind: Literal["b"]
    depth: int = 1


class Model(Strict):
    part: Part | Other = Part()
    parts: tuple[Part, ...] = (Part(),)
    table: dict[str, Part] = Field({"x": Part()})


class NewModel(Strict):
    part: NewPart | Other = NewPart()
    parts: tuple[NewPart, ...] = (NewPart(),)
    table: dict[str, NewPart] = Field({"x": NewPart()})
    extra: NewPart | None = added(None, "a section that came later")


class Config(Strict):
    data: Data = Data()
    model: Model = Model()


class NewConfig(Strict):
    data: Data = Data()
    model: NewModel = NewModel()


def filled(config=Config, training=None, **other):
    sections = config().model_dump(mode="json")
    trained = Training(**{"inputs": 100, **(training or {})}).model_dump(mode="json")
    return {"why": "a", "task": "tiles", **sections, "loss": {}, "training": trained, **other}


BASE = run_id(filled(), Config, "f")


def test_twelve_hexadecimal_digits_stable_over_releases():
    assert len(BASE) == 12
    assert int(BASE, 16) >= 0
    assert run_id(filled(), Config, "f") == BASE


@pytest.mark.parametrize(
    "other",
    [
        {"why": "b"},
        {"expect": [1]},
        {"replicates": 3},
        {"cost": {"per_hour": 1}},
        {"matrix": {"lr": 1}},
        {"start_from": None},
        {"codes": None},
        {"training": {"device": "cpu"}},
        {"training": {"workers": 3, "threads": 2}},
        {"data": {"name": "digits", "cache": "disk"}},
    ],
)
def test_what_does_not_rename(other):
    training = other.pop("training", None)
    assert run_id(filled(training=training, **other), Config, "f") == BASE


@pytest.mark.parametrize(
    "other",
    [
        {"task": "scroll"},
        {"start_from": "abc@best"},
        {"codes": "abc@best"},
        {"training": {"seed": 1}},
        {"training": {"batch": 65}},
        {"training": {"optimizer": {"name": "adam", "lr": 1e-3, "fancy": 1}}},
        {"data": {"name": "mnist"}},
        {"model": {"part": {"width": 4}}},
        {"loss": {"kl_weight": 1.0}},
    ],
)
def test_what_renames(other):
    training = other.pop("training", None)
    config = None if "loss" in other else Config
    assert run_id(filled(training=training, **other), config, "f") != run_id(filled(), config, "f")


def test_the_data_rename():
    assert run_id(filled(), Config, "g") != BASE


def test_new_fields_at_their_default_do_not_rename_wherever_they_stand():
    assert run_id(filled(NewConfig), NewConfig, "f") == BASE


@pytest.mark.parametrize(
    "model",
    [
        {"part": {"skip": 1}},
        {"parts": [{"skip": 1}]},
        {"table": {"x": {"skip": 1}}},
        {"extra": {}},
    ],
)
def test_new_fields_with_another_value_do_rename(model):
    assert run_id(filled(NewConfig, model=model), NewConfig, "f") != BASE


def test_canonical_text():
    assert canonical({"b": 1e-05, "a": [1, 1.0, True, None]}) == '{"a":[1,1.0,true,null],"b":1e-05}'
    assert canonical("é") == canonical("e\u0301")  # composed and decomposed
    assert canonical((1, 2)) == canonical([1, 2])
    assert len({canonical(v) for v in (1, 1.0, True, "1", None, "null")}) == 6


def test_canonical_refuses():
    with pytest.raises(TypeError):
        canonical({"a": object()})
    with pytest.raises(TypeError, match="text as a key"):
        canonical({1: 2})
    with pytest.raises(ConfigError, match="NFC"):
        canonical({"é": 1, "e\u0301": 2})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


def plain(value):
    """As `canonical` may see it: types spelt out, text in NFC, keys without order."""
    if isinstance(value, dict):
        return {unicodedata.normalize("NFC", k): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, str):
        return ("str", unicodedata.normalize("NFC", value))
    return (type(value).__name__, repr(value))


@settings(deadline=None, max_examples=200)
@given(VALUES, VALUES)
def test_canonical_is_equal_exactly_for_equal_values(a, b):
    try:
        assert (canonical(a) == canonical(b)) == (plain(a) == plain(b))
    except ConfigError:
        return  # two keys that are one text


@settings(deadline=None)
@given(st.dictionaries(st.text("abc", max_size=3), st.integers()))
def test_canonical_does_not_see_the_order_of_keys(value):
    assert canonical(dict(reversed(value.items()))) == canonical(value)

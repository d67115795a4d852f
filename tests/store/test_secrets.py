"""What is hidden for the name of its key or by its shape, and what looks alike and stays."""

import ast
import json
from pathlib import Path

import pytest

import famulus.store
from famulus import tasks
from famulus.config import yaml
from famulus.config.schema import Experiment
from famulus.store import events, records
from famulus.store.event_kinds import KINDS
from famulus.store.secrets import HIDDEN, hidden_path, masked, names_a_secret, scrubbed

SECRET = (
    "password PASSWORD passwd pwd db_pass dbPass secret client_secret api_key api_keys apiKey auth"
    " access_key aws_secret_access_key token hf_token authToken auth_token credentials private-key"
)
INNOCENT = (
    "key keys keyboard bypass passes num_passes passband low_pass second_pass token_dim tokens"
    " max_tokens cls_token mask_token pad_token author authors compass secretary monkey turnkey"
    " passthrough tokeniser auth_steps"
)


@pytest.mark.parametrize("key", SECRET.split())
def test_a_text_under_a_secret_name_is_hidden(key):
    assert masked({"a": [{key: "hunter2"}]}) == {"a": [{key: HIDDEN}]}
    assert masked({key: {"inner": ["hunter2"]}}) == {key: {"inner": [HIDDEN]}}
    assert "hunter2" not in scrubbed(f'"{key}": "hunter2"')
    assert "hunter2" not in scrubbed(f"{key}=hunter2")
    assert "hunter2" not in scrubbed(f"+{key} = 'hunter2'", code=True)


@pytest.mark.parametrize("key", INNOCENT.split())
def test_an_ordinary_name_keeps_its_value(key):  # hiding everything would pass the test above
    value = {key: "warm", "n": {key: 3}}
    assert masked(value) == value
    for text in (f'"{key}": "warm"', f"{key}=warm", f"{key} = 'warmest'", f"{key}: warm"):
        assert scrubbed(text) == text


def test_numbers_under_a_sure_name_only():
    value = {"password": 1234, "auth": 3, "token": 2, "val/secret": 0.25, "secret": True}
    assert masked(value) == {**value, "password": HIDDEN}


def test_no_own_setting_and_no_event_sounds_secret():
    """Else it would be lost on the way into the store."""
    fields = list(Experiment.model_fields)
    fields += [key for kind in KINDS.values() for key in kind.__annotations__]
    todo = [tasks.load(name).Config for name in tasks.names()] + [Experiment]
    while todo:
        model = todo.pop()
        for name, field in model.model_fields.items():
            fields.append(name)
            todo += [k for k in _inside(field.annotation) if hasattr(k, "model_fields")]
    assert len(fields) > 100
    assert [name for name in fields if names_a_secret(name)] == []


def _inside(kind):
    found = [kind]
    for one in getattr(kind, "__args__", ()):
        found += _inside(one)
    return found


def test_what_was_masked_stays_as_it_is():
    value = {"url": "https://me:hunter2@host/x?token=abc", "why": "token=abc1234", "password": "x"}
    once = masked(value)
    assert masked(once) == once
    assert "hunter2" not in json.dumps(once)
    assert once["url"].startswith("https://***@host/x")


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_value_is_hidden_to_its_end(quote):
    inner = "p@ss word" if quote else "p@ssword"
    text = f"{{name: x, db_password: {quote}{inner}{quote}, batch: 3}}"
    assert scrubbed(text) == f"{{name: x, db_password: {quote}***{quote}, batch: 3}}"


def test_a_list_is_hidden_whole():
    assert scrubbed("passwords: [one, two]") == 'passwords: ["***"]'
    code = scrubbed("+passwords = ['one', \"two\"]  # ours", code=True)
    assert code == '+passwords = ["***"]  # ours'
    assert scrubbed(code, code=True) == code


def test_code_keeps_its_expressions():
    code = "+token = self.next(tokens)\n+    auth = pool(auth)\n+f(token=token)\n"
    assert scrubbed(code, code=True) == code
    assert "hunter2" not in scrubbed("+token = 'hunter2hunter2'", code=True)


def test_the_place_of_a_hidden_value():
    assert hidden_path(masked({"data": {"name": "x", "of": [{"password": "y"}]}})) == (
        "data.of.0.password"
    )
    assert hidden_path({"data": {"name": "x", "key": "y"}}) == ""


def test_a_file_as_written_keeps_no_hidden_value():
    text = "# for hunter2\ndata: {auth: hunter2}\n"
    assert records.text(text, {"hunter2"}) == b"# for ***\ndata: {auth: ***}\n"
    assert records.text("a: xyz\n", {"xyz"}) == b"a: xyz\n"  # too short to be looked for


@pytest.mark.parametrize(
    "value",
    ["|\n    hunter2x\n    hunter3x", ">-\n    hunter2x\n    hunter3x", "hunter2x hunter3x",
     "'hunter2x''hunter3x'", '"hunter2x\\"hunter3x"', "[hunter2x, hunter3x]", "&a hunter2x"],
)  # fmt: skip
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_hides_a_value_in_any_form(value, mark):
    """Also one that `--set` replaced: it stands in no cell. The rest is read as it was."""
    text = f"{mark}why: a\ndata:\n  password: {value}\n  name: digits  # ours\n"
    kept = records.experiment(text, {"other"}).decode()
    assert "hunter" not in kept
    assert "name: digits  # ours\n" in kept
    read = yaml.load(kept).value
    assert read["why"] == "a"
    assert set(read["data"]) == {"password", "name"}
    assert hidden_path(read) in ("data.password", "data.password.0")
    assert records.experiment(kept) == kept.encode()


def test_events_and_records_are_masked_and_a_checkpoints_state_is_not():
    event = {"kind": "mark", "step": 1, "inputs": 2, "text": "password=hunter2"}
    assert b"hunter2" not in events.encode([event]) + records.encode(event)
    state = {"optimizer": {"secret.weight": 3, "auth": "x"}}
    assert json.loads(records.state(state)) == state


def test_nothing_is_written_past_the_one_place():
    """Every write of the store takes bytes from `records`, from `events`, or of tensors."""
    made = {"records", "lines", "png", "content"}
    for path in Path(famulus.store.__file__).parent.glob("*.py"):
        if path.name in ("files.py", "remote.py"):
            continue
        for call in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            owner = ast.unparse(call.func.value)
            if call.func.attr in ("write", "create") and owner.endswith("files"):
                written = ast.unparse(call.args[1]).partition(".")[0]
                assert written in made, f"{path.name}:{call.lineno}: {ast.unparse(call)}"

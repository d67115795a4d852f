"""No secret in any file of a store or page of its journal, whichever way it came in.

The values below are made up; each has a shape or stands under a name that gives it away.
"""

import subprocess

import pytest
import torch
from torch import nn

from famulus import Monitor
from tests.truth.shop import Play, Shop, everything, inside

PASSWORDS = {
    "password": "hunter2-battery",
    "api_key": "k3y-7c1f0a9be2",
    "url": "https://me:pw-9d81c@host.example/path",
    "token": "tok-55aa12ffee",
    "db_pass": "pg-correct-horse",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENG",
    "nested": {"client_secret": "cs-deep-0451", "hosts": ["s3://u:pw-in-list@bucket"]},
    "note": "the key is ghp_0123456789abcdefghijABCDEFGHIJ456789",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "passphrase": "open-sesame-42",
    "auth": "Bearer abcdef0123456789",
}  # fmt: skip
HARMLESS = {"code": 8, "tokens": 512, "keyframes": 3, "author": "me",
            "compass": "north"}  # fmt: skip
SECRET = (
    "hunter2-battery", "k3y-7c1f0a9be2", "pw-9d81c", "tok-55aa12ffee", "pg-correct-horse",
    "wJalrXUtnFEMIK7MDENG", "cs-deep-0451", "pw-in-list",
    "ghp_0123456789abcdefghijABCDEFGHIJ456789", "AKIAIOSFODNN7EXAMPLE", "open-sesame-42",
    "abcdef0123456789",
)  # fmt: skip


def leaked(shop: Shop, secrets=SECRET) -> list[str]:
    """Of the secrets those that stand in any file of the store, or are printed."""
    shop.journal()
    told = everything(shop.root)
    for words in (("status",), ("status", "--json")):
        told += shop.do(*words).out
    for name in shop.store.experiments():
        told += shop.do("compare", name, "--json").out + shop.do("compare", name).out
        for run in shop.runs(name):
            told += repr(run.config())
    return [secret for secret in secrets if secret in told]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    shop = Shop(tmp_path_factory.mktemp("watched"))
    for extra in (0, 1):  # two runs, so that settings are compared
        model = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        settings = PASSWORDS | HARMLESS | {"extra": extra}
        settings["password"] = f"{PASSWORDS['password']}-{extra}"
        why = "with password=hunter2-battery as always"
        where = {"store": str(shop.root), "name": "mine", "controls_s": 0.0}
        with Monitor(model, optimizer, settings=settings, why=why, **where) as monitor:
            for _ in range(3):
                loss = model(torch.ones(4, 2)).square().mean()
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                monitor.step(loss)
            monitor.mark("logged in with api_key=k3y-7c1f0a9be2")
            monitor.validate(loss=0.5)
    return shop


def test_settings_of_a_monitor_hide_what_is_secret(watched):
    assert not leaked(watched)


def test_settings_of_a_monitor_keep_what_is_not(watched):
    """By key name and by pattern, not by suspicion: harmless words stay."""
    kept = watched.runs("mine")[0].config()["matrix"]
    assert {k: kept.get(k) for k in HARMLESS} == HARMLESS
    assert set(PASSWORDS) <= set(kept), "the keys themselves may be seen"


def test_two_runs_with_other_secrets_are_still_two(watched):
    assert len(watched.runs("mine")) == 2


@pytest.mark.parametrize(
    ("override", "secret"),
    [
        ("why=token=tok-0ff1ce-4711", "tok-0ff1ce-4711"),
        ("why=see https://me:pw-9d81c@host.example", "pw-9d81c"),
        ("why='password: hunter2-battery'", "hunter2-battery"),
        ("why=AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ],
)
def test_an_override_hides_what_is_secret(shop, override, secret):
    shop.play(shop.write(), Play({"loss": 0.3}), "--set", override)
    assert not leaked(shop, (secret,))


def test_a_file_hides_what_is_secret(shop):
    """Its text is kept as written, but for that."""
    shop.play(shop.write(why="with api_key=k3y-7c1f0a9be2", comment="password: hunter2-battery"),
              Play({"loss": 0.3}))  # fmt: skip
    assert not leaked(shop, ("k3y-7c1f0a9be2", "hunter2-battery"))
    assert "task: tiles" in shop.store.planned("tiny")["text"]


DIFF = """\
def connect():
    db_pass = 'pg-correct-horse'
    pwd = "hunter2-battery"
    DB_PASSWORD = "open-sesame-42"
    client.login(passwd='tok-55aa12ffee')
    secret: str = "cs-deep-0451"
    return db_pass
"""


def test_a_diff_hides_what_is_secret(shop, tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "own.py").write_text("def connect(): pass\n")
    me = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "."), (*me, "commit", "-q", "-m", "x")):
        subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True)
    (folder / "own.py").write_text(DIFF)
    path = shop.write()
    with inside(folder):
        shop.play(path, Play({"loss": 0.3}))
    record = everything(shop.root)
    assert "def connect" in record, "the diff is not recorded at all"
    hidden = ("pg-correct-horse", "hunter2-battery", "open-sesame-42", "tok-55aa12ffee",
              "cs-deep-0451")  # fmt: skip
    assert not leaked(shop, hidden)


def test_an_exception_hides_what_is_secret(shop, monkeypatch):
    from famulus.training.randomness import Streams

    def step(self, now):
        raise ConnectionError("no answer of https://me:pw-9d81c@host, token='tok-55aa12ffee'")

    monkeypatch.setattr(Streams, "step", step)
    shop.do("run", shop.write(), code=1)
    assert not leaked(shop, ("pw-9d81c", "tok-55aa12ffee"))


def test_the_child_of_a_run_hides_what_is_secret(shop):
    shop.do("run", shop.write())
    run = shop.runs()[0]
    more = ("--set", "training.inputs=320", "--set", "why=api_key=k3y-7c1f0a9be2")
    shop.do("resume", run.id, *more)
    assert not leaked(shop, ("k3y-7c1f0a9be2",))

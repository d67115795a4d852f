"""Nothing is shown that is not run: every command, YAML block and Python block of the pages.

A fence's language says what happens to it: `sh` lines are run in this process, one after the other,
in a folder that holds the shipped experiments and a small trained store `runs`; `yaml` is read as
an experiment (a fragment: put into a small one); `python` is executed; `toml` is parsed.
An HTML comment on the line above a fence changes that; readers of the page do not see it:

    <!-- tiny -->          commands that train are run with the settings TINY added
    <!-- skip: reason -->  commands are parsed, their options and files checked, nothing is run
    <!-- file: name -->    the block is written to that file, for the blocks below it
"""

import re
import shlex
import shutil
import tomllib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from benchmarks.__main__ import names as benchmark_names
from PIL import Image
from typer.main import get_command

from famulus import cli, tasks
from famulus.config.errors import FamulusError
from famulus.config.experiment import read
from famulus.config.yaml import load
from famulus.diagnosis.verdict import causes
from tests.launch.tiny import famulus

ROOT = Path(__file__).parents[1]
NAMES = ("index", "experiment-file", "store", "commands", "data", "training", "journal")
NAMES += ("own-task", "benchmarks", "differences", "monitor", "watch", "models", "library")
RUN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / f"docs/{n}.md" for n in NAMES)]
READ = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")} - {*RUN})  # parsed, not run
CLI = get_command(cli.app)
TINY = [
    *("training.inputs=256", "training.batch=32", "training.threads=1", "training.precision=fp32"),
    *(f"training.{what}_every={{inputs: 128}}" for what in ("validate", "checkpoint", "log")),
    "training.pictures_every={inputs: 256}",
]
MORE = {"resume": "training.inputs=320", "extend": "training.inputs=384"}  # from a tiny run on
FRAGMENT = {"why": "a fragment", "task": "tiles", "training": {"epochs": 1}}
FENCE = re.compile(r"^ *(`{3,})(\w*)\s*$")
MARK = re.compile(r"^<!-- (tiny|skip|file)(?:: (.+))? -->$")
ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fence: where it stands, its language, its text, and the mark above it."""

    where: str
    kind: str
    text: str
    mark: str = ""
    value: str = ""


def blocks(text: str, name: str) -> list[Block]:
    found, lines = [], text.split("\n")
    i = 0
    while i < len(lines):
        opening = FENCE.match(lines[i])
        if opening:
            start, closing = i, opening[1]
            while lines[i := i + 1].strip() != closing:
                pass
            mark = MARK.match(lines[start - 1].strip()) if start else None
            body = "\n".join(lines[start + 1 : i]) + "\n"
            given = (mark[1], mark[2] or "") if mark else ("", "")
            found.append(Block(f"{name}:{start + 1}", opening[2], body, *given))
        i += 1
    return found


def page_blocks(path: Path) -> list[Block]:
    return blocks(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())


def commands(text: str) -> list[tuple[dict[str, str], list[str]]]:
    """(variables, words) of each line; a backslash joins two lines."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        variables = {}
        while words and ASSIGNMENT.fullmatch(words[0]):
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        if words:
            found.append((variables, words))
    return found


def leaf(words: list[str]):
    """The command that `famulus WORDS` means, and the words left for it."""
    command, rest = CLI, list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"there is no command {rest[0]}"
        command = command.commands[rest.pop(0)]
    return command, rest


def options(command) -> set[str]:
    flags = (f for p in command.params for f in [*p.opts, *p.secondary_opts])
    return {flag for flag in flags if flag.startswith("-") and flag != "--help"}


def check_line(words: list[str], where: str) -> None:
    """Does the program know this line? Nothing is run."""
    program, *rest = words
    if program == "famulus":
        command, left = leaf(rest)
        if command is not CLI:
            command.make_context(command.name, list(left))
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert set(rest) <= set(targets), f"{where}: make {rest}"
    elif "benchmarks" in words:
        name = words[words.index("benchmarks") + 1]
        assert (ROOT / f"benchmarks/{name}.py").exists(), f"{where}: {name}"


def check_files(words: list[str], where: str) -> None:
    """Is every experiment file named here shipped? For lines that are not run."""
    for word in words:
        shipped = word.startswith("experiments/") and word.endswith(".yaml")
        assert not shipped or (ROOT / word).exists(), f"{where}: there is no {word}"


def shortened(words: list[str], mark: str) -> list[str]:
    """`words`, with TINY for a command that trains."""
    if mark != "tiny" or words[0] not in ("run", "check", "resume", "extend"):
        return words
    if words[0] == "check":
        words = [*words, *([] if "--budget" in words else ["--budget", "5"])]
    given = [MORE[words[0]], "training.threads=1"] if words[0] in MORE else TINY
    return [*words, *(w for setting in given for w in ("--set", setting))]


def perform(block: Block, patch: pytest.MonkeyPatch) -> None:
    for variables, words in commands(block.text):
        check_line(words, block.where)
        for name, value in variables.items():
            if name == "PYTHONPATH":
                patch.syspath_prepend(Path(value).absolute())
            else:
                patch.setenv(name, value)
        if words[0] != "famulus" or block.mark == "skip":
            assert block.mark == "skip", f"{block.where}: {words[0]} needs <!-- skip: reason -->"
            assert block.value, f"{block.where}: skip without a reason"
            check_files(words, block.where)
            continue
        said = famulus(*shortened(words[1:], block.mark))
        assert said.code == 0, f"{block.where}: {shlex.join(words)}\n{said.err}"


def check_yaml(block: Block) -> None:
    value = load(block.text, block.where).value
    whole = value if "task" in value else {**FRAGMENT, **value}
    text = block.text if whole is value else _text(whole)
    read(text, (), tasks.load)


def _text(value: dict) -> str:
    from famulus.config.yaml import dump

    return dump(value)


def perform_all(path: Path, patch: pytest.MonkeyPatch) -> None:
    names: dict = {"__name__": "page"}
    for block in page_blocks(path):
        if block.mark == "file":
            target = Path(block.value)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        elif block.kind == "sh":
            perform(block, patch)
        elif block.kind == "yaml":
            check_yaml(block)
        elif "import lightning" in block.text and find_spec("lightning") is None:
            continue  # an extra, which the tests' environment has
        elif block.kind == "python":
            exec(compile(block.text, block.where, "exec"), names)
        elif block.kind == "toml":
            tomllib.loads(block.text)
        else:
            assert block.kind in ("text", "json"), f"{block.where}: name the fence's language"


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory):
    """A folder with the experiments and a trained store; the environment of a new user."""
    folder = tmp_path_factory.mktemp("laboratory")
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    (folder / "my-pictures").mkdir()
    for i, grey in enumerate(np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)):
        Image.fromarray(grey).save(folder / f"my-pictures/{i}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAMULUS_CACHE", str(folder / "cache"))
        patch.delenv("FAMULUS_STORE", raising=False)
        patch.chdir(folder)
        words = shortened(["run", "experiments/tiles/first-light.yaml"], "tiny")
        assert famulus(*words, "--no-journal").code == 0
        yield folder


@pytest.mark.parametrize("path", RUN, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_what_a_page_shows_runs(path, laboratory, tmp_path, monkeypatch):
    for entry in laboratory.iterdir():
        if entry.name != "cache":
            shutil.copytree(entry, tmp_path / entry.name)
    (tmp_path / "data").mkdir(exist_ok=True)
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FAMULUS_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    perform_all(path, monkeypatch)


@pytest.mark.parametrize("path", READ, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_other_pages_show_what_exists(path):
    for block in page_blocks(path):
        if block.kind == "sh":
            for _, words in commands(block.text):
                check_line(words, block.where)
                check_files(words, block.where)
        elif block.kind == "yaml" and "task" in (load(block.text, block.where).value or {}):
            check_yaml(block)


BROKEN = {
    "an unknown option": "```sh\nfamulus run x.yaml --sett a=1\n```",
    "an unknown command": "```sh\nfamulus walk\n```",
    "a file that is not there": "```sh\nfamulus check experiments/none.yaml\n```",
    "an unknown key": "```yaml\ntraining: {epochs: 1, bach: 3}\n```",
    "an unknown name": "```python\nfrom famulus.store.store import Shop\n```",
    "a line that is no command of ours": "```sh\npip install x\n```",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_page_with_a_mistake_is_seen(what, tmp_path, monkeypatch):  # proof that it can fail
    monkeypatch.chdir(tmp_path)
    found = blocks(BROKEN[what], "page")
    monkeypatch.setitem(globals(), "page_blocks", lambda path: found)
    kinds = (AssertionError, FamulusError, ImportError, cli.USAGE)
    with pytest.raises(kinds):
        perform_all(Path("page"), monkeypatch)


# -- docs/commands.md says all


def leaves(command=CLI, name="famulus"):
    for key, inner in command.commands.items():
        if hasattr(inner, "commands"):
            yield from leaves(inner, f"{name} {key}")
        else:
            yield f"{name} {key}", inner


def sections(text: str) -> dict[str, str]:
    """Text below each heading `## famulus ...`, by the command's name."""
    parts = re.split(r"^## (famulus [a-z ]+?)(?= [A-Z\[-].*$|$).*$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def missing(text: str) -> list[str]:
    """What the page lacks, and what it says that the program does not know."""
    found, told = [], sections(text)
    for name, command in leaves():
        if name not in told:
            found.append(name)
            continue
        rows = [line for line in told[name].splitlines() if line.startswith("| `")]
        said = {
            f for row in rows for f in re.findall(r"(?<![\w-])--?[a-z][\w-]*", row.split("|")[1])
        }
        found += [f"{name} {flag}" for flag in sorted(said ^ options(command))]
    return found + sorted(told.keys() - dict(leaves()).keys())


def test_every_command_and_option_is_documented():
    assert missing((ROOT / "docs/commands.md").read_text(encoding="utf-8")) == []


def test_a_forgotten_option_is_seen():  # proof that the test can fail
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert "famulus run --lease-s" in missing(text.replace("--lease-s", "--lease-t"))
    assert "famulus causes" in missing(text.replace("## famulus causes", "## causes"))


def causes_in(text: str) -> list[str]:
    """Of the table that says how each is seen."""
    table = text.split("| cause | how it is seen |")[1].split("\n\n")[0]
    return [
        c for row in table.splitlines()[2:] for c in re.findall(r"`([\w-]+)`", row.split("|")[1])
    ]


def test_the_doctors_page_tells_of_each_cause_how_it_is_seen():
    text = (ROOT / "docs/doctor.md").read_text(encoding="utf-8")
    assert causes_in(text) == sorted(causes())
    assert causes_in(text.replace("| `shortcut` |", "| `short-cut` |")) != sorted(causes())


def test_the_readme_names_every_command_and_task():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [n for n in CLI.commands if f"`famulus {n}" not in text] == []
    assert [n for n in tasks.names() if f"`{n}`" not in text] == []


def test_exit_codes_are_those_of_the_errors():
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    table = text.partition("## Exit codes")[2].partition("\n## ")[0]
    codes = {int(c) for c in re.findall(r"^\| (\d+) \|", table, re.M)}
    kinds = [FamulusError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert codes == {0, cli.experiments.INTERRUPTED, *(kind.exit_code for kind in kinds)}


def test_every_benchmark_is_named():
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert [name for name in benchmark_names() if f"`{name}`" not in text] == []


# -- pages hang together


@pytest.mark.parametrize("path", RUN + READ, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:|#", target):
            assert (path.parent / target.partition("#")[0]).exists(), target


def test_the_index_leads_to_every_page():
    text = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    for path in ROOT.glob("docs/**/*.md"):
        assert path.name == "index.md" or f"({path.relative_to(ROOT / 'docs').as_posix()})" in text


WITNESS = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def rows_read(text):
    """The rows of the tables below "What is read", without their heads."""
    section = text.split("\n## What is read\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [row for row in rows if not row.endswith("| tests |")]


def unproven(row):
    """What a row lacks: a test beside it, or the tests that it names."""
    missing = []
    for file, name in WITNESS.findall(row):
        path = ROOT / file
        if not path.is_file() or (name and f"\ndef {name}(" not in path.read_text()):
            missing.append(f"{file}::{name}")
    return missing if WITNESS.search(row) else ["a test"]


def test_what_is_said_to_be_read_is_tested():
    rows = rows_read((ROOT / "docs/data.md").read_text())
    assert len(rows) > 40
    assert {row: lacks for row in rows if (lacks := unproven(row))} == {}


def test_a_row_without_its_test_is_seen():
    assert unproven("| `.abc` | by hand |  |") == ["a test"]
    known = "tests/test_docs.py"
    assert unproven(f"| x | y | `{known}`, `{known}::test_a_row_without_its_test_is_seen` |") == []
    gone = [f"{known}::test_gone", "tests/test_gone.py::"]
    assert unproven(f"| x | y | `{known}::test_gone`, `tests/test_gone.py` |") == gone

"""`famulus new TASK`: an experiment file to start from, written out of the schemas themselves."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from famulus.config.schema import Strict, Training
from famulus.config.yaml import inline

HEAD = """\
# {task}: an experiment. famulus check FILE looks before you leap, famulus run FILE trains.
why: What do I want to know?
task: {task}
matrix:                        # every combination is a cell; exclude: and include: as in CI
  lr: [0.001, 0.0003]
replicates: 1                  # seeds training.seed, +1, +2, ...
"""
TAIL = """\
start_from: null               # RUN@best, RUN@last, RUN@STEP, ./FOLDER: old weights, a new run
expect:                        # what you expect; the page says whether it came so
  - {finding: none, severity: warning}
cost: null                     # {per_hour: 0.40, per_gb_month: 0.02, currency: EUR}
"""
GIVEN = {  # of `training`: what nobody should have to look up
    "epochs": "5",
    "optimizer": '{name: adam, lr: "${matrix.lr}"}  # any torch.optim optimizer, its options',
    "schedule": "{name: cosine, final_lr: 0.0, warmup_inputs: 0}",
}


def template(task: str, config: type[Strict], start: Mapping[str, Any] | None = None) -> str:
    """The whole file: every field with its default, and its meaning as a comment.

    `start`: dotted settings that stand there in the place of their defaults.
    """
    lines = [HEAD.format(task=task).rstrip()]
    for parent in config.parents:
        lines.append(f"{parent}: last  # the first stage: RUN, RUN@best or last:EXPERIMENT")
    for name, field in config.model_fields.items():
        own = {k: v for k, v in (start or {}).items() if k.startswith(f"{name}.")}
        section = [*_section(field.annotation, {}, start=own, where=f"{name}.")]
        lines += [f"{name}:", *section] if section else [f"{name}: {{}}"]
    lines += ["training:", *_section(Training, GIVEN, {"inputs"}), TAIL.rstrip()]
    return "\n".join(lines) + "\n"


def _section(
    model: Any,
    given: dict[str, str],
    left_out: Collection[str] = (),
    start: Mapping[str, Any] | None = None,
    where: str = "",
) -> Iterator[str]:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return
    for name, field in model.model_fields.items():
        if name in left_out:
            continue
        text = given.get(name) or _default(field, start or {}, where + name)
        comment = f"  # {field.description}" if field.description and "#" not in text else ""
        yield f"  {field.alias or name}: {text}{comment}"


def _default(field: Any, start: Mapping[str, Any], where: str) -> str:
    """The default in one line of YAML, with what `start` says of it."""
    if where in start:
        return inline(start[where])
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "null"
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True, exclude_none=True)
        inside = {k.removeprefix(f"{where}."): v for k, v in start.items() if k.startswith(where)}
        value |= {key: own for key, own in inside.items() if key in value}
    return inline(value)

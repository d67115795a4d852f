"""A trained network as a graph that runs without Famulus: ONNX, or a program of torch.export.

It takes and gives what `examples/` holds, in the same order: `apply` does more before and after.
"""

import contextlib
import importlib.util
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from famulus.config.errors import ConfigError
from famulus.launch.examples import TOLERANCE, Flat, called, difference, parameters
from famulus.launch.trained import Trained

FILES = {"onnx": "model.onnx", "torch": "model.pt2"}
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# of kernels of another make, whose sums have another order
OTHER_KERNELS = 1e-4  # of an output's range


def graph(trained: Trained, kind: str) -> tuple[str, bytes, str]:
    """(file, its bytes, what was checked). Raises ConfigError where `kind` is unknown, a package is
    missing, or the network does not allow it: in one line why."""
    if kind not in FILES:
        raise ConfigError(f"--to {kind}: expected {' or '.join(FILES)}")
    arguments = trained.task.example(trained.module)
    if not arguments:
        raise ConfigError(f"--to {kind}: task {trained.config['task']} gives no example to trace")
    module, expected = Flat(trained.module).eval(), called(trained.module, arguments)
    with _quiet():
        data = (
            _onnx(module, arguments, parameters(trained.module), list(expected))
            if kind == "onnx"
            else _program(module, arguments)
        )
        run = _onnx_runner(data) if kind == "onnx" else _program_runner(data)
        if run is None:
            return FILES[kind], data, "not checked: install onnxruntime or onnx"
        try:
            outputs = [torch.as_tensor(one) for one in run(arguments)]
        except Exception as error:  # of another program's kernels: anything
            raise _refused(kind, error) from error
    received = dict(zip(expected, outputs, strict=True))
    worst, where = difference(expected, received)
    limit = OTHER_KERNELS if kind == "onnx" else TOLERANCE
    if worst > limit:
        raise ConfigError(
            f"--to {kind}: the graph does not give what the network gives: {where} differs by"
            f" {worst:.2g} of its range, limit {limit:g}"
        )
    return FILES[kind], data, f"checked on the examples: {worst:.2g} of an output's range"


def _program(module: Flat, arguments: Sequence[Tensor]) -> bytes:
    try:
        program = torch.export.export(
            module, tuple(arguments), dynamic_shapes=_batches(arguments), strict=False
        )
        file = io.BytesIO()
        torch.export.save(program, file)
    except Exception as error:  # what a network does that a graph can't has a hundred types
        raise _refused("torch", error) from error
    return file.getvalue()


def _program_runner(data: bytes) -> Callable[[Sequence[Tensor]], Sequence[Tensor]]:
    # as it was written: what a reader will get
    loaded = torch.export.load(io.BytesIO(data)).module()
    return lambda arguments: loaded(*arguments)


def _batches(arguments: Sequence[Tensor]) -> tuple[tuple[dict[int, object], ...], ...]:
    """The first axis of what comes in batches, of any length where the network allows that."""
    batch = len(arguments[0])
    axes = ({0: torch.export.Dim.AUTO} if a.ndim and len(a) == batch > 1 else {} for a in arguments)
    return (tuple(axes),)


def _onnx(
    module: Flat, arguments: Sequence[Tensor], inputs: Sequence[str], outputs: Sequence[str]
) -> bytes:
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(f"--to onnx needs the package {package}: install famulus[onnx]")
    try:
        program = torch.onnx.export(
            module,
            tuple(arguments),
            dynamo=True,
            dynamic_shapes=_batches(arguments),
            input_names=inputs[: len(arguments)],
            output_names=outputs,
            verbose=False,
        )
        file = io.BytesIO()
        program.save(file)
    except Exception as error:
        raise _refused("onnx", error) from error
    return file.getvalue()


def _onnx_runner(data: bytes) -> Callable[[Sequence[Tensor]], Sequence[Tensor]] | None:
    """By onnxruntime, else by the reference of onnx itself; None without either."""
    if importlib.util.find_spec("onnxruntime") is not None:
        import onnxruntime

        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        inputs = [one.name for one in session.get_inputs()]
    elif importlib.util.find_spec("onnx") is not None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(onnx.load_from_string(data))
        inputs = session.input_names
    else:
        return None
    return lambda arguments: session.run(
        None, {name: a.numpy() for name, a in zip(inputs, arguments, strict=False)}
    )


def _refused(kind: str, error: Exception) -> ConfigError:
    first: BaseException = error
    while first.__cause__ is not None:  # tracers wrap what they met in advice on themselves
        first = first.__cause__
    lines = [line.strip() for line in COLOURS.sub("", str(first)).splitlines() if line.strip()]
    reason = lines[0].partition(". ")[0][:300] if lines else type(first).__name__
    return ConfigError(f"--to {kind}: this network can't be written as a graph: {reason}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the notes of tracers on what they are about to change in torch."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

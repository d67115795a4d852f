"""What a net and its loss are made of, read off the autograd graph of one step.

The graph stays readable after `backward`: its buffers are gone, its nodes are not. Nothing is
computed and nothing waits for the device. A compiled net is one opaque node: then little is known.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from torch import Tensor

NODES = 20_000  # a larger graph is read no further
LAYERS = {"Addmm", "Mm", "Bmm", "Baddbmm", "Addbmm", "Convolution", "MkldnnConvolution", "Linear"}
SHAPES = {
    *("View", "UnsafeView", "_UnsafeView", "ReshapeAlias", "_ReshapeAlias", "Squeeze", "Unsqueeze"),
    *("T", "Transpose", "Permute", "Expand", "Clone", "ToCopy", "_ToCopy", "Alias", "Slice"),
    *("Select", "CopySlices", "AsStrided", "UnsafeSplit", "Split", "Cat", "Stack", "Index"),
}
LINEAR = SHAPES | {
    *("Add", "Sub", "Neg", "Sum", "Mean", "AvgPool1D", "AvgPool2D", "AvgPool3D", "NativeDropout"),
    *(
        "AdaptiveAvgPool2D",
        "AdaptiveAvgPool3D",
        "NativeBatchNorm",
        "CudnnBatchNorm",
        "ConstantPadNd",
    ),
    *("MeanDim", "BatchNorm", "NativeBatchNormLegit"),
}
SCALES = {"Mul", "Div"}  # linear if one side alone has a gradient
LEAF = "AccumulateGrad"
MEAN = 1  # torch's number for that reduction


def name(node: Any) -> str:
    """`Addmm` for `AddmmBackward0`."""
    return re.sub(r"Backward\d*$", "", node.name().rpartition("::")[2])


def inputs(node: Any) -> list[Any]:
    return [other for other, _ in node.next_functions if other is not None]


def walk(node: Any, stop: Any = None) -> Iterator[Any]:
    """`node` and all before it, nearest first; not `stop` and what is before that alone."""
    # Ids will do: the queue keeps every node alive, so none is used again.
    seen, queue = {id(node)}, [node]
    for current in queue:
        if current is stop:
            continue
        yield current
        if len(seen) > NODES:
            return
        for other in inputs(current):
            if id(other) not in seen:
                seen.add(id(other))
                queue.append(other)


def read_graph(loss: Any, outputs: Any) -> dict[str, Any]:
    """{"loss", "means", "output", "ops", "pairs", "direct"}; a key is missing where the graph is
    not known.

    loss: operations between the loss and the outputs, outermost first. means: those of them that
    are a loss of their own and take the mean over all numbers. output: the operation that
    made the outputs, shapes aside. ops: how often each operation is in the net. pairs: matrix and
    convolution layers fed by another one; direct: those of them with nothing nonlinear between.
    """
    found: dict[str, Any] = {}
    made = outputs.grad_fn if isinstance(outputs, Tensor) else None
    if isinstance(loss, Tensor) and loss.grad_fn is not None and made is not None:
        nodes = list(walk(loss.grad_fn, stop=made))
        # A loss of something else than these outputs says nothing about them.
        if any(other is made for node in nodes for other in inputs(node)):
            found["loss"] = [name(n) for n in nodes if name(n) not in {LEAF, *SHAPES}][:12]
            means = {name(n) for n in nodes if getattr(n, "_saved_reduction", None) == MEAN}
            if means:
                found["means"] = sorted(means)
    if made is None:
        return found
    last = made
    while name(last) in SHAPES and len(inputs(last)) == 1:
        last = inputs(last)[0]
    found["output"] = name(last)
    nodes = list(walk(made))
    found["ops"] = dict(Counter(n for n in map(name, nodes) if n not in {LEAF, *SHAPES}))
    below: dict[int, set[str]] = {}
    fed = [_feeds(node, below) for node in nodes if name(node) in LAYERS]
    found["pairs"] = sum("bent" in kinds or "direct" in kinds for kinds in fed)
    found["direct"] = sum(kinds == {"direct"} for kinds in fed)
    return found


def _feeds(layer: Any, known: dict[int, set[str]]) -> set[str]:
    """How other layers' outputs reach this layer: {"direct"}, {"bent"}, both, or neither."""
    names: set[str] = set()
    seen: set[tuple[int, bool]] = set()
    queue = [(other, True) for other in inputs(layer)]
    for node, straight in queue:
        if (id(node), straight) in seen or len(seen) > NODES:
            continue
        seen.add((id(node), straight))
        if name(node) in LAYERS:
            names.add("direct" if straight else "bent")
            continue
        queue += [(other, straight and _is_linear(node)) for other in inputs(node)]
    return names


def _is_linear(node: Any) -> bool:
    kind = name(node)
    return kind in LINEAR or (kind in SCALES and len(inputs(node)) <= 1) or kind == LEAF

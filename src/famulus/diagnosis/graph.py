"""What a net and its loss are made of, read off the autograd graph of one step.

The graph stays readable after `backward`: its buffers are gone, its nodes are not. Nothing is
computed and nothing waits for the device. A compiled net is one opaque node: then little is known.
"""

import re
from collections import Counter
from collections.abc import Iterator
from math import prod
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
OPERATIONS = 24  # of a loss, that are listed
# of what a loss does by itself: those that make probabilities, and those that bound
ACTIVATIONS = {
    *("Sigmoid", "Softmax", "LogSoftmax", "LogSigmoid", "BinaryCrossEntropyWithLogits"),
    *("Tanh", "Relu", "Hardtanh", "Softplus"),
}
LINKS = {
    **dict.fromkeys(("Sigmoid", "LogSigmoid", "BinaryCrossEntropyWithLogits"), "sigmoid"),
    **dict.fromkeys(("Softmax", "LogSoftmax"), "softmax"),
    "Tanh": "tanh",
}


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


def between(loss: Any, made: Any) -> list[Any]:
    """The operations that lead from `made` to `loss`, outermost first, `made` left out.

    What else a loss is the sum of, as a divergence of codes that the decoder never saw, is not
    among them.
    """
    nodes = list(walk(loss, stop=made))
    users: dict[int, list[Any]] = {}
    for node in nodes:
        for other in inputs(node):
            users.setdefault(id(other), []).append(node)
    leads, queue = {id(made)}, [made]
    for node in queue:
        for user in users.get(id(node), ()):
            if id(user) not in leads:
                leads.add(id(user))
                queue.append(user)
    return [node for node in nodes if id(node) in leads]


def read_graph(loss: Any, outputs: Any) -> dict[str, Any]:
    """{"loss", "twice", "link", "widest", "means", "output", "ops", "pairs", "direct"}; a key is missing
    where the graph is not known.

    loss: operations between the outputs and the loss, outermost first, each once. twice: [outer,
    inner] of activations that one value passes one after the other on its way from the net's last
    operation to the loss. link: what the loss makes of the outputs first, as `loss_forms.LINKS`
    name it. widest: the shape of the largest tensor on that way. means: those of
    them that are a loss of their own and take the mean over all numbers. output: the operation that
    made the outputs, shapes aside. ops: how often each operation is in the net. pairs: matrix and
    convolution layers fed by another one; direct: those of them with nothing nonlinear between.
    """
    found: dict[str, Any] = {}
    made = outputs.grad_fn if isinstance(outputs, Tensor) else None
    if isinstance(loss, Tensor) and loss.grad_fn is not None and made is not None:
        # A loss of something else than these outputs says nothing about them.
        if nodes := between(loss.grad_fn, made):
            names = [name(n) for n in nodes if name(n) not in {LEAF, *SHAPES}]
            found["loss"] = list(dict.fromkeys(names))[:OPERATIONS]
            found["twice"] = _twice(nodes)
            if link := _link(nodes, made):
                found["link"] = link
            found["widest"] = max(
                (shape for n in nodes if (shape := _shape(n))), key=prod, default=[]
            )
            means = {name(n) for n in nodes if getattr(n, "_saved_reduction", None) == MEAN}
            if means:
                found["means"] = sorted(means)
    if made is None:
        return found
    found["output"] = name(_origin(made))
    nodes = list(walk(made))
    found["ops"] = dict(Counter(n for n in map(name, nodes) if n not in {LEAF, *SHAPES}))
    below: dict[int, set[str]] = {}
    fed = [_feeds(node, below) for node in nodes if name(node) in LAYERS]
    found["pairs"] = sum("bent" in kinds or "direct" in kinds for kinds in fed)
    found["direct"] = sum(kinds == {"direct"} for kinds in fed)
    return found


def _origin(node: Any) -> Any:
    """The operation that gave a value its numbers: shapes aside."""
    while name(node) in SHAPES and len(inputs(node)) == 1:
        node = inputs(node)[0]
    return node


def _twice(nodes: list[Any]) -> list[list[str]]:
    """[outer, inner] of activations of which the outer one takes what the inner one gave, at most
    reshaped or scaled: a sum or a power makes another value of it."""
    found = []
    for outer in nodes:
        if name(outer) not in ACTIVATIONS:
            continue
        for inner in inputs(outer):
            while name(inner) in {*SHAPES, *SCALES} and len(inputs(inner)) == 1:
                inner = inputs(inner)[0]
            if name(inner) in ACTIVATIONS:
                found.append([name(outer), name(inner)])
    return found


def _link(nodes: list[Any], made: Any) -> str:
    """The activation that takes the outputs as they are, at most reshaped or scaled."""
    for node in nodes:
        for inner in inputs(node) if name(node) in LINKS else ():
            while inner is not made and name(inner) in {*SHAPES, *SCALES}:
                if len(inputs(inner)) != 1:
                    break
                inner = inputs(inner)[0]
            if inner is made:
                return LINKS[name(node)]
    return ""


def _shape(node: Any) -> list[int]:
    """Of what an operation gives; [] where torch does not tell."""
    known = getattr(node, "_input_metadata", None)
    return list(known[0].shape) if known else []


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

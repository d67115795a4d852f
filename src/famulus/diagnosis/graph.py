"""What a net and its loss are made of, read off the autograd graph of one step.

The graph stays readable after `backward`: its buffers are gone, its nodes are not. Nothing is
computed and nothing waits for the device. A compiled net is one opaque node: then little is known.
"""

import re
from collections import Counter
from collections.abc import Iterator
from math import log, prod
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
CROSSING = {"Sub", "Rsub", "Add", "Mul", "Div", "Pow", "BinaryCrossEntropy", "MseLoss"}
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
    """What is known of them; a key is missing where the graph is not known, or false.

    output: the operation that made the outputs, shapes aside. ops: how often each operation is in
    the net. pairs: matrix and convolution layers fed by another one; direct: those of them with
    nothing nonlinear between. chance: what a guess scores that gives all choices the same share,
    where the loss is cross entropy alone. normed_over_batch: are features of samples of unit length
    over the samples, not over the features? Between outputs and loss:

    loss: operations, outermost first, each once. twice: [outer, inner] of activations that one
    value passes one after the other, from the net's last operation on. link: what is made of the
    outputs first, as `loss_forms.LINKS` name it. shares_over_batch: is a softmax taken over the
    samples? widest: the shape of the largest tensor. crossed: [before, after], shapes of a tensor
    of (B, 1, ...) that something without a gradient made as wide as it is long. means: operations
    that are a loss of their own and take the mean over all numbers.
    """
    last = loss.grad_fn if isinstance(loss, Tensor) else None
    made = outputs.grad_fn if isinstance(outputs, Tensor) else None
    found: dict[str, Any] = {}
    if last is not None and _normed_over_batch(last):
        found["normed_over_batch"] = True
    if last is not None and (chance := _chance(last)):
        found["chance"] = chance
    if made is None:
        return found
    # A loss of something else than these outputs says nothing about them.
    if last is not None and (way := between(last, made)):
        found |= _of_loss(way, made)
    found["output"] = name(_origin(made))
    nodes = list(walk(made))
    found["ops"] = dict(Counter(n for n in map(name, nodes) if n not in {LEAF, *SHAPES}))
    below: dict[int, set[str]] = {}
    fed = [_feeds(node, below) for node in nodes if name(node) in LAYERS]
    found["pairs"] = sum("bent" in kinds or "direct" in kinds for kinds in fed)
    found["direct"] = sum(kinds == {"direct"} for kinds in fed)
    return found


def _of_loss(nodes: list[Any], made: Any) -> dict[str, Any]:
    """What `read_graph` tells of the way from the outputs to the loss."""
    names = [name(n) for n in nodes if name(n) not in {LEAF, *SHAPES}]
    shapes = [shape for n in nodes if (shape := _shape(n))]
    shares = [n for n in (*nodes, _origin(made)) if name(n) in ("Softmax", "LogSoftmax")]
    found: dict[str, Any] = {
        "loss": list(dict.fromkeys(names))[:OPERATIONS],
        "twice": _twice(nodes),
        "link": _link(nodes, made),
        "shares_over_batch": any(n._saved_dim == 0 and _is_table(_shape(n)) for n in shares),
        "widest": max(shapes, key=prod, default=[]),
        "crossed": next((pair for n in nodes if (pair := _crossed(n))), []),
        "means": sorted({name(n) for n in nodes if getattr(n, "_saved_reduction", None) == MEAN}),
    }
    return {key: value for key, value in found.items() if value or key == "loss"}


def _crossed(node: Any) -> list[list[int]]:
    """A difference or the like of (B, 1, ...) and (B, ...) that is (B, B, ...)."""
    taken = inputs(node)
    before, after = (_shape(taken[0]) if len(taken) == 1 else [], _shape(node))
    if name(node) not in CROSSING or len(before) < 2 or before[1] != 1 or before[0] < 2:
        return []
    return [before, after] if after == [before[0], before[0], *before[2:]] else []


def _is_table(shape: list[int]) -> bool:
    """Of samples and something else: similarities of samples are compared both ways."""
    return len(shape) > 1 and shape[0] != shape[1]


def _chance(last: Any) -> float | None:
    """ln N of a cross entropy of N choices, or of a mean or a sum of several such."""
    queue, choices, divided = [last], [], False
    for node in queue:
        kind = name(node)
        if kind in ("NllLoss", "NllLoss2D"):
            shares = inputs(node)[0] if inputs(node) else node
            shape = _shape(shares) if name(shares) == "LogSoftmax" else []
            if len(shape) < 2 or getattr(node, "_saved_reduction", MEAN) != MEAN:
                return None
            choices.append(shape[1])
        elif kind in ("Add", "Div", "Mean", "Stack"):
            divided = divided or kind != "Add"
            queue += inputs(node)
        else:
            return None
    # one alone that is divided, as for gradients that are added up: by what, no graph tells
    if len(set(choices)) != 1 or choices[0] < 2 or (divided and len(choices) == 1):
        return None
    return log(choices[0]) * (1 if divided else len(choices))


def _normed_over_batch(loss: Any) -> bool:
    """Are features of samples divided by norms that were taken over the batch, and then compared?

    Where features are compared with features (Zbontar et al. 2021, arXiv 2103.03230), each of them
    is of unit length over the batch as it should be.
    """
    nodes = list(walk(loss))
    sizes = [shape for n in nodes if name(n) == "LinalgVectorNorm" and (shape := _over_batch(n))]
    products = [shape for n in nodes if name(n) in ("Mm", "Bmm") and (shape := _shape(n))]
    return any(
        samples != features and (not products or [samples, samples] in products)
        for samples, features in sizes
    )


def _over_batch(node: Any) -> list[int]:
    """Shape of the matrix whose columns a norm is of; [] of any other norm."""
    taken = inputs(node)
    shape = _shape(taken[0]) if taken and name(taken[0]) != LEAF else []
    return shape if len(shape) == 2 and tuple(getattr(node, "_saved_dim", ())) == (0,) else []


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

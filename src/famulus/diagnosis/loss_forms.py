"""What a loss value, outputs and targets say about each other, by arithmetic alone.

Shapes: O outputs (B, K), (B, 1), (B,) or (B, K, ...); T targets: class ids (B,) or (B, ...), or
floats of O's shape; class ids outside 0..K-1 are of places that a loss is told to ignore. Nothing
here draws random numbers or needs a gradient.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

Criterion = Callable[[Tensor, Tensor], Tensor]
TINY = 1e-12
PLACED = 8  # samples, from which on each place has a mean of its own
CHANCE = 7.0  # over the number of samples: a squared correlation that one in a hundred shows by it
EXACT = 1e-4  # relative difference within which two loss values are the same computation


def target_kind(targets: Tensor) -> tuple[str, int]:
    """(kind, classes): classes | binary | one-hot | real; classes is 0 where there are none.

    Float targets that hold whole numbers alone count as what they spell: 0 and 1 are `binary`,
    rows with a single 1 are `one-hot`, ids 0..K-1 with at least three values are `classes`.
    """
    if targets.numel() == 0:
        return "real", 0
    if not targets.is_floating_point():
        top = int(targets.max())
        if targets.dim() > 1 and targets.shape[1] > 1 and _one_hot(targets):
            return "one-hot", targets.shape[1]
        return ("binary", 2) if int(targets.min()) >= 0 and top <= 1 else ("classes", top + 1)
    if targets.dim() == 2 and targets.shape[1] > 1 and _one_hot(targets):
        return "one-hot", targets.shape[1]
    if not bool((targets == targets.round()).all()):
        return "real", 0
    low, high = (float(end) for end in torch.aminmax(targets))
    if low >= 0 and high <= 1:
        return "binary", 2
    if low != 0 or not 2 <= high < 100:
        return "real", 0
    # counted, not sorted: targets may be whole pictures
    every = bool((torch.bincount(targets.flatten().long()) > 0).all())
    return ("classes", int(high) + 1) if every else ("real", 0)


def _one_hot(targets: Tensor) -> bool:
    valid = ((targets == 0) | (targets == 1)).all()
    return bool(valid) and bool((targets.sum(1) == 1).all())


def output_kind(outputs: Tensor) -> str:
    """probabilities (rows sum to 1) | log-probabilities | unit (all in 0..1) | real."""
    values = outputs.detach().float()
    rows = values.dim() > 1 and values.shape[1] > 1
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1 + 1e-5:  # rounding takes a softmax above 1
        near_one = rows and bool(((values.sum(1) - 1).abs() < 1e-3).all())
        return "probabilities" if near_one else "unit"
    if rows and high <= 1e-6 and bool((values.logsumexp(1).abs() < 1e-3).all()):
        return "log-probabilities"
    return "real"


def _elementwise(outputs: Tensor, targets: Tensor) -> Iterator[tuple[str, Criterion]]:
    """Losses of two tensors of one shape, or of those that broadcast."""
    shares = float(targets.min()) >= 0 and float(targets.max()) <= 1
    for name, criterion in _distances():
        if shares or not name.startswith("bce"):
            yield name, criterion


def _same(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both as float; (B, 1) beside (B,) is broadcast as plain arithmetic would."""
    return torch.broadcast_tensors(outputs.float(), targets.to(outputs.device).float())


def _of_classes(outputs: Tensor) -> Iterator[tuple[str, Criterion]]:
    """Losses of (B, K, ...) outputs and class ids."""
    yield "cross_entropy", lambda o, t: F.cross_entropy(o.float(), t.long())
    yield "nll", lambda o, t: F.nll_loss(o.float(), t.long())
    # log(0)
    yield "nll_of_probabilities", lambda o, t: F.nll_loss(o.float().clamp_min(TINY).log(), t.long())
    if outputs.dim() == 2:  # it takes no maps
        yield "multi_margin", lambda o, t: F.multi_margin_loss(o.float(), t.long())
    for name, criterion in _distances():
        yield f"{name}_one_hot", partial(_of_indicator, criterion)


def counted(targets: Tensor, columns: int) -> Tensor:
    """Where a loss of this many classes looks: for any other id it raises, or ignores it."""
    return (targets >= 0) & (targets < columns)


def _of_some(ignored: int) -> Iterator[tuple[str, Criterion]]:
    """The same where this class id stands for places that don't count."""

    def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.float(), targets.long(), ignore_index=ignored)

    def nll(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.nll_loss(outputs.float(), targets.long(), ignore_index=ignored)

    yield "cross_entropy", cross_entropy
    yield "nll", nll


def _of_indicator(criterion: Criterion, outputs: Tensor, targets: Tensor) -> Tensor:
    return criterion(outputs, _indicator(outputs, targets))


def _indicator(outputs: Tensor, targets: Tensor) -> Tensor:
    """Class ids as rows of O's shape with a single 1."""
    return F.one_hot(targets.long(), outputs.shape[1]).movedim(-1, 1).float()


def _distances() -> Iterator[tuple[str, Criterion]]:
    yield "mse", lambda o, t: F.mse_loss(*_same(o, t))
    yield "l1", lambda o, t: F.l1_loss(*_same(o, t))
    yield "smooth_l1", lambda o, t: F.smooth_l1_loss(*_same(o, t))
    yield "bce_with_logits", lambda o, t: F.binary_cross_entropy_with_logits(*_same(o, t))
    # Clamped: torch raises for outputs outside 0..1, and the question is only what they would cost.
    yield "bce", lambda o, t: F.binary_cross_entropy(_same(o, t)[0].clamp(0, 1), _same(o, t)[1])


def _of_soft_classes() -> Iterator[tuple[str, Criterion]]:
    """Cross entropies of (B, K) outputs and rows that sum to one."""
    yield "cross_entropy", lambda o, t: F.cross_entropy(o.float(), t.float())
    yield (
        "nll_of_probabilities",
        lambda o, t: -(t.float() * o.float().clamp(1e-7, 1).log()).sum(1).mean(),
    )


def candidates(outputs: Tensor, targets: Tensor) -> dict[str, Criterion]:
    """Standard losses (mean reduction) that outputs and targets of these shapes allow."""
    found: list[tuple[str, Criterion]] = []
    wide = outputs.dim() > 1 and outputs.shape[1] > 1
    whole = not targets.is_floating_point()
    if wide and whole and targets.shape == (outputs.shape[0], *outputs.shape[2:]):
        outside = targets[~counted(targets, outputs.shape[1])]
        if not len(outside):
            found += _of_classes(outputs)
        elif len(outside) < targets.numel() and bool((outside == outside[0]).all()):
            found += _of_some(int(outside[0]))
    elif wide and targets.shape == outputs.shape and _one_hot(targets):
        found += [*_of_soft_classes(), *_elementwise(outputs, targets)]
    elif _broadcast(outputs, targets):
        found += _elementwise(outputs, targets)
    return dict(found)


def _broadcast(outputs: Tensor, targets: Tensor) -> bool:
    try:
        shape = torch.broadcast_shapes(outputs.shape, targets.shape)
    except RuntimeError:
        return False
    return math.prod(shape) <= 10_000_000  # (B, 1) against (B,) is B x B by mistake


@torch.no_grad()
def matching(
    loss: float, outputs: Tensor, targets: Tensor, likely: str | None = None
) -> tuple[str, float] | None:
    """(name, factor) of the standard loss that gives `loss`; None if none does.

    The `likely` one is asked before the others. `factor` is `loss` over its mean: 1, or the count
    of what was summed, or 1/2.
    """
    if not math.isfinite(loss) or abs(loss) < TINY:
        return None
    factors = {1.0, 0.5, float(len(outputs)), float(outputs.numel())}
    if outputs.dim() > 1:
        factors |= {float(outputs[0].numel()), outputs[0].numel() / 2}
    known = candidates(outputs, targets)
    for name in sorted(known, key=lambda each: each != likely):
        criterion = known[name]
        mean = float(criterion(outputs, targets))
        for factor in sorted(factors):
            if math.isfinite(mean) and abs(loss - factor * mean) <= EXACT * abs(loss):
                return name, factor
    return None


LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax": lambda outputs: outputs.softmax(1) if outputs.dim() > 1 else outputs,
    "tanh": torch.tanh,
}


def answers(outputs: Tensor, loss: str | None = None, link: str = "") -> Tensor:
    """Outputs in the unit of the targets, where the loss itself brings them there.

    link: a key of `LINKS`, what a loss of one's own applies first; `bce_with_logits` is known to.
    """
    if loss == "bce_with_logits":
        link = "sigmoid"
    values = outputs.detach()
    return LINKS[link](values.float()) if link in LINKS else values


@torch.no_grad()
def decided(
    outputs: Tensor, targets: Tensor, loss: str | None = None, link: str = ""
) -> tuple[Tensor, Tensor]:
    """(predicted, true) class ids, flat. Raises ValueError where targets are no classes.

    A single column is cut at 1/2, of what `answers` makes of it; one that stands for several class
    ids is rounded.
    """
    kind, classes = target_kind(targets)
    if kind == "real":
        raise ValueError("expected targets that are classes, received real numbers")
    true = targets.argmax(1) if kind == "one-hot" else targets
    if outputs.dim() > 1 and outputs.shape[1] > 1 and true.dim() == outputs.dim() - 1:
        known = counted(true, outputs.shape[1]).flatten()
        return outputs.argmax(1).flatten()[known], true.flatten().long()[known]
    values = answers(outputs, loss, link).float().reshape(-1)
    if values.numel() != true.numel():
        raise ValueError(f"expected {true.numel()} outputs, received {values.numel()}")
    if kind == "classes":
        return values.round().clamp(0, classes - 1).long(), true.flatten().long()
    return (values > 0.5).long(), true.flatten().long()


@torch.no_grad()
def left_over(
    outputs: Tensor, targets: Tensor, loss: str | None = None, link: str = ""
) -> dict[str, float] | None:
    """How much is still to be learned: `left` is 1 for the best constant and 0 for a perfect net.

    Classes: errors over those of the most frequent class, with `accuracy`. Real numbers: mean
    squared error over the variance around the mean of each place, as a picture of means is a
    constant. `agreement` is the squared correlation with the targets (of classes: with their
    indicators) around these means, less what so few samples show by chance: what is right but for
    its scale and offset has 1, and what knows which samples are likelier has more than 0. None
    where shapes do not allow a comparison, or all targets are equal.
    """
    if target_kind(targets)[0] != "real":
        return _left_of_classes(outputs, targets, loss, link)
    if outputs.numel() != targets.numel() or not targets.dim():
        return None
    truth = targets.double().flatten(1) if targets.dim() > 1 else targets.double()[:, None]
    given = answers(outputs, loss, link).double().reshape(truth.shape).to(truth.device)
    placed = len(truth) >= PLACED and truth.shape[1] > 1
    squares = (truth - (truth.mean(0) if placed else truth.mean())).square().sum()
    variance = float(squares) / (truth.numel() - (truth.shape[1] if placed else 1) or 1)
    if variance < TINY:
        return None
    found = {"left": float((given - truth).square().mean()) / variance}
    return found | _agreement(given, truth, placed)


def _left_of_classes(
    outputs: Tensor, targets: Tensor, loss: str | None, link: str
) -> dict[str, float] | None:
    try:
        predicted, true = decided(outputs, targets, loss, link)
    except ValueError:
        return None
    if not len(true) or int(true.min()) < 0:
        return None
    right = float((predicted == true).float().mean())
    most = float(torch.bincount(true).max()) / len(true)
    if most == 1:
        return None
    found = {"accuracy": right, "most": most, "left": (1 - right) / (1 - most)}
    ids = targets.argmax(1) if target_kind(targets)[0] == "one-hot" else targets
    if outputs.dim() > 1 and outputs.shape[1] > 1 and ids.dim() == outputs.dim() - 1:
        shares = outputs.detach().double().softmax(1).movedim(1, -1).flatten(0, -2)
        shares = shares[counted(ids, shares.shape[1]).flatten()]
        found |= _agreement(shares, F.one_hot(true, shares.shape[1]).double(), placed=True)
    elif outputs.numel() == true.numel():
        column = answers(outputs, loss, link).double().reshape(-1, 1)
        found |= _agreement(column, true.double()[:, None], placed=True)
    return found


def _agreement(given: Tensor, truth: Tensor, placed: bool) -> dict[str, float]:
    """Of (B, P) numbers; placed: around the mean of each of the P places."""
    own, mean = (t.mean(0) if placed else t.mean() for t in (given, truth))
    given, truth = given - own, truth.to(given.device) - mean
    spread = float(given.square().sum() * truth.square().sum())
    count = len(truth)
    if count <= 2 or not math.isfinite(spread):
        return {}
    common = float((given * truth).sum()) ** 2
    by_chance = (count - 1) / (count - 2)
    share = common / spread if spread else 0.0
    if share * count < CHANCE:
        return {"agreement": 0.0}
    return {"agreement": 1 - (1 - share) * by_chance}


@torch.no_grad()
def entropy(shares: Tensor) -> float:
    """Mean over numbers of 0 to 1, in nats: what binary cross-entropy leaves of a perfect net."""
    p = shares.double().clamp(0, 1)
    return float(-(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).mean())


@torch.no_grad()
def constant_loss(name: str, targets: Tensor, columns: int) -> float | None:
    """Mean loss of the best constant answer to these targets; None where no closed form is known.

    columns: of the outputs, K; class ids are as K rows of yes and no.
    """
    kind, _ = target_kind(targets)
    distance = name.removesuffix("_one_hot")
    if distance in ("cross_entropy", "nll", "nll_of_probabilities") or distance != name:
        if kind == "one-hot":
            truth = targets.double()
        else:
            ids = targets.long().flatten()
            truth = F.one_hot(ids[counted(ids, columns)], columns).double()
    else:
        truth = targets.double().reshape(len(targets), -1)
    mean = truth.mean(0)
    if distance == "mse":
        return float((truth - mean).square().mean())
    # The best constant is the mean for squares and the median for distances.
    if distance == "l1":
        return float((truth - truth.median(0).values).abs().mean())
    if distance in ("bce", "bce_with_logits"):
        return float(-(torch.xlogy(mean, mean) + torch.xlogy(1 - mean, 1 - mean)).mean())
    if distance in ("cross_entropy", "nll", "nll_of_probabilities"):
        return float(-torch.xlogy(mean, mean).sum())
    return None

"""Limits of the rules that read what net and loss are made of, and of marks."""

from famulus.diagnosis.rules import (
    activation_twice,
    loss_does_not_fit_output,
    loss_not_finite,
    no_hidden_activation,
    output_activation,
    shapes_broadcast,
    split_differs,
)
from tests.diagnosis.rules.limits.limit import Limit, run

BCE = ("BinaryCrossEntropy",)
LOGITS = ("BinaryCrossEntropyWithLogits",)
ENTROPY = ("NllLoss", "LogSoftmax")
DICE = ("Sub", "Div", "Mul", "Sum")


def made(output, loss, low=0.0, high=1.0, form=None, **forms):
    """Two samples of a loop whose net ends in `output`; targets from `low` to `high`."""
    batch = {"targets": {"min": low, "max": high, "finite": True}}
    probe = {"step": 1, "layers": [], "batch": batch, "forms": {"loss": form, **forms}}
    return run(facts={"graph": {"output": output, "loss": loss}}, probes=[probe] * 2)


def reach(output, low=0.0, high=0.0):
    """A distance to targets that reach from `low` to `high`."""
    return made(output, ("MseLoss",), low, high, form="mse")


def own(output, low=0.0, high=0.0, shape=(8, 4), targets="real", left=0.5, **known):
    """A loss that is no standard one, or has one among its terms, beside targets of (8, 4)."""
    history = made(output, ("Mean", "Pow", "Sub"), low, high, left=left, output_shape=shape,
                   target_shape=(8, 4), targets=targets, **known)  # fmt: skip
    return history


def linked(link):
    """Of a loss of one's own that makes this of the outputs first."""
    history = own("Sigmoid", -1.0, 1.0)
    history.facts["graph"]["link"] = link
    return history


def shares(columns=3, rows=(1, 1), over_batch=False, output="Softmax"):
    """What a softmax gives, beside targets of which a row holds at least and at most so many ones;
    the last batch is smaller."""
    history = made(output, BCE, output_shape=(8, columns), ones=rows)
    smaller = {**history.probes[1]["forms"], "output_shape": (5, columns)}
    history.probes[1] = history.probes[1] | {"forms": smaller}
    if over_batch:
        history.facts["graph"]["shares_over_batch"] = True
    return history


def overlap(low=0.0, high=1.0, loss=DICE, output="Convolution", link="", masks="binary", form=None):
    """Dice or its kin, of outputs from `low` to `high`."""
    history = made(output, loss, form=form, targets=masks)
    for probe in history.probes:
        probe["batch"] = {"outputs": {"min": low, "max": high, "finite": True}}
    history.facts["graph"] |= {"link": link} if link else {}
    return history


def multi(most, targets="binary", output="Addmm"):
    """Cross entropy of rows that hold up to so many ones."""
    return made(output, ENTROPY, ones=(1, most), targets=targets)


def grey(entropy=0.5, samples=2):
    history = made("Addmm", LOGITS, form="bce_with_logits", targets="real", entropy=entropy)
    del history.probes[samples:]
    return history


def twice(outer, inner, output="Addmm", loss=("Mean", "Log")):
    """A value passes one activation after the other on its way to the loss."""
    history = made(output, loss)
    history.facts["graph"]["twice"] = [[outer, inner]]
    return history


def own_pairs(widest=(8, 8), outputs=(8, 1), loss=("Mean", "Pow", "Sub")):
    """A loss of one's own, the largest tensor of whose arithmetic has this shape."""
    history = paired(outputs, loss=None)
    history.facts["graph"] = {"loss": loss, "widest": list(widest)}
    return history


def layers(direct=3, *left):
    """Of a net whose samples leave these shares of a constant's error."""
    history = made("Addmm", ("MseLoss",))
    forms = [{"loss": "mse", "left": share} for share in left]
    history.probes[:] = [history.probes[0] | {"forms": form} for form in forms]
    history.facts["graph"] |= {"pairs": 3, "direct": direct}
    return history


def unknown(loss):
    """Of a net whose batches say nothing, and whose training loss ends at a share of its first."""
    facts = {"graph": {"output": "Addmm", "loss": ("MseLoss",), "pairs": 3, "direct": 3}}
    return run([1.0] * 9 + [loss], facts=facts)


def classes(loss="mse", left=0.5, samples=2):
    history = made("Addmm", ("MseLoss",), form=loss, targets="classes", left=left)
    del history.probes[samples:]
    return history


def similarities(size=(8, 8), other=0.0, samples=2):
    """Of each sample with each; the right one is 0 in every row, and `other` in one."""
    history = made("Div", ("Div", *ENTROPY), high=other, output_shape=size)
    del history.probes[samples:]
    return history


def paired(outputs=(8, 1), samples=2, varied=1.0, loss="mse", left=0.5):
    """A distance of these outputs to eight targets, in the terms of their scatter."""
    tensors = {"outputs": {"std": varied}, "targets": {"std": 1.0}}
    form = {"loss": loss, "output_shape": outputs, "target_shape": (8,), "left": left}
    probe = {"step": 1, "layers": [], "batch": tensors, "forms": form}
    return run(probes=[probe] * samples)


def inputs(mean=0.0, sd=1.0, samples=2, score=9.0):
    """What validation feeds, where training feeds mean 0 and sd 1 and its loss is 1."""
    probe = {"step": 1, "layers": [], "batch": {"inputs": {"mean": 0.0, "std": 1.0}}}
    held_out = {"validation_inputs": {"mean": mean, "std": sd}}
    return run([1.0], [{"loss": score}], probes=[probe] * samples, facts=held_out)


def mark(what):
    return run(marks=[{"what": what, "text": "total = nan", "step": 3}])


def error(finding):
    return finding.severity == "error"


LIMITS = (
    Limit(activation_twice, "", lambda x: made(x, ENTROPY), silent="Addmm", faulty="Softmax"),
    Limit(activation_twice, "", lambda x: made("Sigmoid", x), silent=BCE, faulty=LOGITS),
    Limit(  # in spite of it, or not
        activation_twice,
        "contract.LEARNED",
        lambda x: made("Softmax", ENTROPY, left=x),
        silent=0.09,
        faulty=0.11,
        says=error,
    ),
    *(
        Limit(
            activation_twice, "WORDS", lambda x, y=inner: twice(x, y), silent="Tanh", faulty=outer
        )
        for outer, inner in (
            *(("Sigmoid", "Softmax"), ("Softmax", "Softmax"), ("LogSoftmax", "Sigmoid")),
            *(("LogSigmoid", "Sigmoid"), ("BinaryCrossEntropyWithLogits", "Sigmoid")),
        )
    ),
    # a sigmoid of logarithms or of a tanh is unusual, and no second one
    *(
        Limit(activation_twice, "SHARES", lambda x: twice("Sigmoid", x), silent=inner, faulty=one)
        for inner, one in (("Tanh", "Sigmoid"), ("LogSoftmax", "Softmax"))
    ),
    Limit(  # of another loss than these outputs' nothing is known
        activation_twice,
        "",
        lambda x: twice("Sigmoid", "Softmax", loss=x),
        silent=("Mean", "Addmm"),
        faulty=("Mean",),
    ),
    Limit(loss_does_not_fit_output, "YES_NO", lambda x: made("Addmm", LOGITS, high=x), 1.0, 1.1),
    Limit(loss_does_not_fit_output, "", lambda x: made("Addmm", LOGITS, high=1 + x), 0.5e-6, 2e-6),
    Limit(loss_does_not_fit_output, "", lambda x: made("Addmm", BCE, low=-x), 0.5e-6, 2e-6),
    Limit(
        loss_does_not_fit_output, "NORMALISED", lambda x: made(x, ("NllLoss",)), "Log", "Softmax"
    ),
    Limit(
        loss_does_not_fit_output, "", lambda n: made("Addmm", ENTROPY, output_shape=(8, n)), 2, 1
    ),
    Limit(loss_does_not_fit_output, "", multi, silent=1, faulty=2),
    Limit(loss_does_not_fit_output, "", lambda x: multi(2, x), silent="one-hot", faulty="binary"),
    Limit(loss_does_not_fit_output, "SAMPLES", lambda n: grey(samples=n), silent=1, faulty=2),
    Limit(loss_does_not_fit_output, "", grey, silent=0.0, faulty=1e-3),
    Limit(  # a word on the figures, and no fault
        loss_does_not_fit_output,
        "",
        lambda x: made("Addmm", LOGITS, high=1 + x, entropy=0.5, targets="real"),
        silent=2e-6,
        faulty=0.0,
        says=lambda finding: finding.severity == "info" and "0.5 a number" in finding.evidence,
    ),
    Limit(loss_does_not_fit_output, "DISTANCES", classes, silent="cross_entropy", faulty="mse"),
    Limit(
        loss_does_not_fit_output,
        "contract.LEARNED",
        lambda x: classes(left=x),
        silent=0.09,
        faulty=0.11,
    ),
    Limit(loss_does_not_fit_output, "", lambda n: classes(samples=n), silent=1, faulty=2),
    Limit(loss_does_not_fit_output, "", similarities, silent=(8, 9), faulty=(8, 8)),
    Limit(loss_does_not_fit_output, "", lambda x: similarities(other=x), silent=1.0, faulty=0.0),
    Limit(
        loss_does_not_fit_output, "SAMPLES", lambda n: similarities(samples=n), silent=1, faulty=2
    ),
    Limit(loss_not_finite, "", mark, silent="loss-spike", faulty="loss-not-finite"),
    Limit(no_hidden_activation, "", layers, silent=2, faulty=3),
    Limit(no_hidden_activation, "contract.LEARNED", lambda x: layers(3, x), 0.09, 0.11),
    Limit(no_hidden_activation, "trend.FALLEN", unknown, silent=0.49, faulty=0.51),
    Limit(  # in the median of the last three samples
        no_hidden_activation, "", lambda x: layers(3, *[0.5] * 6, x, 0.05, 0.5), 0.09, 0.11
    ),
    Limit(output_activation, "BOUNDED", lambda x: made(x, ENTROPY), "LogSoftmax", "Relu"),
    Limit(output_activation, "", lambda x: made("Tanh", x), silent=ENTROPY[:1], faulty=LOGITS),
    Limit(output_activation, "", lambda x: made(x, BCE), silent="Sigmoid", faulty="Addmm"),
    Limit(
        output_activation,
        "",
        lambda x: made(x, ("NllLoss", "Log", "Clamp")),
        silent="Div",
        faulty="Addmm",
    ),
    # A twentieth of the range may lie out of reach: here the range is 1 + x, or 2 + x.
    *(
        Limit(output_activation, "REACH", lambda x, a=a: reach(a, -x, 1.0), 0.051, 0.055)
        for a in ("Sigmoid", "Softmax", "Relu", "Softplus", "Threshold")
    ),
    *(
        Limit(output_activation, "REACH", lambda x, a=a: reach(a, 0.0, 1.0 + x), 0.051, 0.055)
        for a in ("Sigmoid", "Softmax")
    ),
    Limit(output_activation, "REACH", lambda x: reach("Tanh", -1.0, 1.0 + x), 0.103, 0.108),
    Limit(output_activation, "REACH", lambda x: reach("Tanh", -1.0 - x, 1.0), 0.103, 0.108),
    Limit(output_activation, "REACH", lambda x: reach("LogSoftmax", -1.0, x), 0.051, 0.055),
    Limit(output_activation, "BEYOND", lambda x: reach("Relu", -x, 1.0), 0.051, 0.055),
    Limit(output_activation, "BEYOND", lambda x: own("Relu", -x, 1.0), silent=0.051, faulty=0.055),
    Limit(output_activation, "", lambda s: own("Relu", -1.0, 1.0, s), (8, 3), faulty=(8, 4)),
    Limit(
        output_activation, "", lambda k: own("Relu", -1.0, 1.0, targets=k), "classes", faulty="real"
    ),
    Limit(
        output_activation,
        "contract.LEARNED",
        lambda x: own("Relu", -1.0, 1.0, left=x),
        silent=0.09,
        faulty=0.11,
    ),
    Limit(output_activation, "", linked, silent="tanh", faulty=""),
    *(  # of several terms, one that compares outputs with targets as they are
        Limit(
            output_activation,
            "DISTANCES",
            lambda x: own("Sigmoid", -1.0, 1.0, (8, 3), part=x),
            silent="cross_entropy",
            faulty=part,
        )
        for part in ("mse", "l1", "smooth_l1")
    ),
    Limit(
        output_activation,
        "DISTANCES",
        lambda x: made("Sigmoid", ("MseLoss",), -1.0, 1.0, form=x),
        silent="multi_margin",
        faulty="mse",
    ),
    Limit(output_activation, "", shares, silent=2, faulty=1),
    Limit(output_activation, "", lambda x: shares(1, output=x), "Sigmoid", faulty="Softmax"),
    Limit(output_activation, "", lambda n: shares(rows=(1, n)), silent=1, faulty=2),
    Limit(output_activation, "", lambda n: shares(rows=(n, 1)), silent=1, faulty=0),
    Limit(output_activation, "", lambda b: shares(over_batch=b), silent=False, faulty=True),
    Limit(output_activation, "NO_SHARE", lambda x: overlap(low=-x), silent=0.099, faulty=0.101),
    Limit(output_activation, "NO_SHARE", lambda x: overlap(high=1 + x), 0.099, faulty=0.101),
    *(
        Limit(
            output_activation,
            "OVERLAP",
            lambda x: overlap(-9.0, 9.0, loss=x),
            silent=("Sub", *(kind for kind in whole if kind != part)),
            faulty=("Sub", *whole),
        )
        for whole in (("Div", "Mul", "Sum"), ("Div", "Mul", "Mean"))
        for part in whole
    ),
    Limit(output_activation, "", lambda x: overlap(-9.0, output=x), "Sigmoid", "Addmm"),
    Limit(output_activation, "", lambda x: overlap(-9.0, link=x), silent="sigmoid", faulty=""),
    *(
        Limit(output_activation, "", lambda x: overlap(-9.0, masks=x), silent="real", faulty=kind)
        for kind in ("binary", "one-hot")
    ),
    Limit(  # a loss whose formula is known is judged by that
        output_activation, "", lambda x: overlap(-9.0, form=x), silent="l1", faulty=None
    ),
    Limit(shapes_broadcast, "", own_pairs, silent=(8, 1), faulty=(8, 8)),
    Limit(shapes_broadcast, "", lambda x: own_pairs(outputs=x), silent=(8, 8), faulty=(8, 1)),
    Limit(shapes_broadcast, "", lambda x: own_pairs(loss=x), ("Mean", "Addmm"), ("Mean",)),
    Limit(shapes_broadcast, "", paired, silent=(8,), faulty=(8, 1)),
    Limit(shapes_broadcast, "SAMPLES", lambda n: paired(samples=n), silent=1, faulty=2),
    Limit(shapes_broadcast, "VARIED", lambda x: paired(varied=x), silent=0.0099, faulty=0.0101),
    Limit(shapes_broadcast, "PAIRED", lambda x: paired(loss=x), "cross_entropy", "smooth_l1"),
    Limit(
        shapes_broadcast,
        "contract.LEARNED",
        lambda x: paired(left=x),
        silent=0.09,
        faulty=0.11,
        says=error,
    ),
    Limit(split_differs, "SCALE", lambda x: inputs(sd=x), silent=2.95, faulty=3.05),
    Limit(split_differs, "SCALE", lambda x: inputs(sd=1 / x), silent=2.95, faulty=3.05),
    Limit(split_differs, "OFFSET", lambda x: inputs(mean=-x), silent=1.95, faulty=2.05),
    Limit(split_differs, "OFFSET", inputs, silent=1.95, faulty=2.05),
    Limit(split_differs, "SAMPLES", lambda n: inputs(9.0, samples=n), silent=1, faulty=2),
    Limit(
        split_differs, "WORSE", lambda x: inputs(9.0, score=x), silent=2.9, faulty=3.1, says=error
    ),
)

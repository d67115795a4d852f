"""The one list of causes: names that findings, pages, the casebook and `expect:` share.

A cause that a history shows has a rule of its name, which says what it is. The others are named by
a control before the run or by the refusal of an experiment; their line stands here.
"""

NAMED_BEFOREHAND = {
    "activation-twice": "an activation is applied twice: by the net and again by the loss",
    "batch-size": "batches so large that there are few steps: smaller ones learn more",
    "cannot-overfit": "one batch with frozen targets can't be learned by heart",
    "codes-width": "vectors don't divide into codes of the codebook's dimension",
    "comparison-confounded": "runs that are compared differ in more than one factor",
    "duplicates-across-split": "validation samples stand in the training split, too",
    "frozen-statistics-move": "a frozen part still changes: its norms' statistics follow the data",
    "input-and-target-swapped": "input and target of the data are the wrong way round",
    "input-unused": "answers don't depend on the input: zeros or noise do as well",
    "labels-differ": "training and validation number their classes differently",
    "not-causal": "a prior sees codes that it must predict, or does not see those it may",
    "not-resumable": "a resumed run does not go on as the uninterrupted one",
    "operator-wrong": "a physics operator faces the wrong way, or lies on a shifted grid",
    "option-without-effect": "an option changes nothing for what was chosen",
    "optimizer-choice": "another optimizer learns what this one does not at any rate",
    "picture-scaling": "pictures are stretched for display: what is shown is not what was made",
    "randomness-repeats": "random numbers that should be new each time repeat",
    "sampling-shift": "samples are drawn from other places in training than in validation",
    "sampling-too-slow": "drawing from the model will take hours: each code costs a full pass",
    "seams": "borders of tiles are seen in the whole: padding, or weights that don't sum to one",
    "too-few-epochs": "trained for longer, the same net goes on to learn",
    "unknown-score": "a score is watched that the task does not have",
    "unknown-setting": "a setting that nothing reads",
    "within-the-noise": "a difference is smaller than that of the same run with another seed",
    "wrong-initial-loss": "the first loss is far from what an untrained net must score",
}

_NOTHING_LEARNED = ("predicts-the-mean", "plateau", "cannot-overfit", "converged", "rate-too-low",
                    "input-unused", "same-answer-for-all")  # fmt: skip
_TRIED = ("too-few-epochs", "optimizer-choice", "batch-size", "initialisation", "rate-too-high",
          "rate-cannot-reach")  # fmt: skip
_UNITS = ("dead-units", "saturated-units", "vanishing-gradient", "exploding-gradient")
_STARTS_WRONG = ("wrong-initial-loss", "loss-spike", "loss-not-finite")

# Whatever a training may run into: what the loop does wrongly shows as any of these.
_RUNS_INTO = (*_NOTHING_LEARNED, *_UNITS, *_STARTS_WRONG, "rate-too-high", "rate-cannot-reach",
              "too-few-epochs", "optimizer-choice", "batch-size", "initialisation", "cannot-tell",
              "loss-unbounded", "weights-do-not-move", "memorises", "train-eval-gap",
              "features-collapsed")  # fmt: skip

# What a cause explains where both are found: listed under it, not beside it.
EXPLAINS: dict[str, tuple[str, ...]] = {
    # what the code, the data or the file say wrongly
    "activation-twice": (*_NOTHING_LEARNED, *_UNITS, "wrong-initial-loss"),
    "features-not-centred": (*_NOTHING_LEARNED, "features-collapsed"),
    "frozen-statistics-move": ("train-eval-gap",),
    "input-and-target-swapped": (*_NOTHING_LEARNED, *_STARTS_WRONG, "split-differs"),
    "input-out-of-range": (*_NOTHING_LEARNED, *_STARTS_WRONG, *_UNITS, "rate-too-high"),
    "labels-differ": ("memorises", "train-eval-gap", "split-differs", "predicts-the-mean"),
    "loss-unbounded": (*_NOTHING_LEARNED, *_STARTS_WRONG, *_UNITS, "rate-too-high", "memorises",
                       "rate-cannot-reach", "train-eval-gap"),
    "not-causal": ("memorises",),
    "not-resumable": ("targets-redrawn",),
    "operator-wrong": (*_NOTHING_LEARNED, *_STARTS_WRONG, "input-and-target-swapped"),
    "randomness-repeats": ("memorises", "not-resumable"),
    "sampling-shift": ("split-differs", "memorises"),
    "shapes-broadcast": (*_NOTHING_LEARNED, "wrong-initial-loss"),
    "split-differs": ("memorises", "wrong-initial-loss"),
    "targets-redrawn": (*_NOTHING_LEARNED, "memorises", "train-eval-gap"),
    # of a fault of the code, which a copy of the model that is trained anew does not have
    "weights-do-not-move": (*_NOTHING_LEARNED, *_TRIED, "features-collapsed"),
    # what the loop does wrongly
    "batch-norm-tiny-batch": _RUNS_INTO,
    "data-not-shuffled": (*_RUNS_INTO, "split-differs"),
    "dropout-too-high": _RUNS_INTO,
    "gradients-accumulate": _RUNS_INTO,
    "gradients-cleared-before-step": _RUNS_INTO,
    "mode-not-restored": ("train-eval-gap", "memorises", "split-differs"),
    "initialisation": tuple(cause for cause in _RUNS_INTO if cause != "initialisation"),
    "momentum-too-high": _RUNS_INTO,
    "schedule-per-batch": _RUNS_INTO,
    "step-before-backward": (*_RUNS_INTO, "gradients-accumulate"),
    # what training runs into
    "codebook-collapsed": (*_NOTHING_LEARNED, "dead-units", "features-collapsed", "loss-spike"),
    "dead-units": ("predicts-the-mean", "plateau", "cannot-overfit", "converged", "rate-too-low",
                   "weights-do-not-move", "features-collapsed",
                   "same-answer-for-all"),  # a rule adds input-unused
    # a rule adds rate-too-high
    "exploding-gradient": (*_NOTHING_LEARNED, *_STARTS_WRONG, "features-collapsed"),
    "features-collapsed": (*_NOTHING_LEARNED,),
    "posterior-collapse": _NOTHING_LEARNED,
    "rate-too-high": (*_NOTHING_LEARNED, "dead-units", "saturated-units", "vanishing-gradient",
                      "loss-spike", "loss-not-finite",
                      "features-collapsed", "train-eval-gap", "optimizer-choice",
                      "codebook-collapsed", "posterior-collapse"),
    "saturated-units": (*_NOTHING_LEARNED, "weights-do-not-move"),  # a rule adds more
    "vanishing-gradient": (*_NOTHING_LEARNED, "weights-do-not-move", "optimizer-choice",
                           "too-few-epochs"),
    # what is seen
    "loss-not-finite": ("loss-spike", "cannot-overfit"),
    "memorises-the-pool": ("memorises", "loss-spike"),
    "one-degree-of-freedom": ("converged", "plateau"),
    "plateau": ("rate-too-low",),
    # what trials found
    "batch-size": _NOTHING_LEARNED,
    "optimizer-choice": _NOTHING_LEARNED,
    "too-few-epochs": _NOTHING_LEARNED,
    "predicts-the-mean": ("input-unused", "plateau", "cannot-overfit", "converged"),
    "rate-cannot-reach": ("converged", "plateau", "cannot-overfit", "input-unused",
                          "predicts-the-mean"),
    "rate-too-low": ("rate-cannot-reach", "cannot-overfit", "input-unused", "predicts-the-mean"),
    "train-eval-gap": ("memorises",),
}  # fmt: skip

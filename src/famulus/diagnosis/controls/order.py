"""All controls of `famulus check`, in one list.

`launch.check` runs what wants least time first, so that a small budget still asks most questions;
the order here decides where two want the same. So one that builds on another stands behind it: the
frozen batch tries what the range test suggests; `targets`, which wants as long as the frozen batch
where few samples train, and `input` take over its fits. The forecast comes before all others: what
a run costs is what a person asks first. Loader speed looks for no fault of the experiment and comes
last.
"""

from famulus.diagnosis.controls import (
    batch_sizes,
    duplicates,
    floors,
    forecast,
    free_output,
    gradient_noise,
    input_use,
    labels,
    learning_rate,
    loader_speed,
    loader_threads,
    overfit,
    parameters,
    randomness,
    ranges,
    resume,
    self_tests,
    split,
    targets,
    validation,
    weights_move,
)

MODULES = (
    *(parameters, labels, ranges, randomness, floors, split, duplicates, self_tests),
    *(weights_move, validation, resume, free_output, loader_threads, gradient_noise, batch_sizes),
    *(learning_rate, overfit, targets, input_use, forecast, loader_speed),
)
CHECKS = tuple(module.CHECK for module in MODULES)
FIRST = forecast.CHECK

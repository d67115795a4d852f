"""All controls of `famulus check`, in the order of those that want the same time.

`launch.check` runs the cheapest first, so that a small budget still asks most questions; the sort
is stable. What is dear stands where it can build on others: the range test before the frozen batch,
which tries its suggestion, and behind that batch `targets` and `input`, which take over its fits.
Forecast and loader speed find no fault in the experiment and come last.
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

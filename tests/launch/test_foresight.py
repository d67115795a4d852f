"""What the board says of a running cell is what its recorded curve would say."""

import pytest

from famulus.config.schema import Schedule
from famulus.diagnosis.foresight.run_forecast import foresee, rate_of
from famulus.launch.board import describe
from famulus.launch.foresight import Foresight
from famulus.schedule import Place, learning_rate
from famulus.training.loop import Status
from famulus.training.progress import Progress

CONFIG = {"training": {"inputs": 100_000, "optimizer": {"lr": 0.001},
                       "schedule": {"name": "cosine"}, "batch": 64}}  # fmt: skip


def value(inputs):
    return 0.02 + 0.5 * (1 + inputs / 200) ** -0.5


def statuses(upto=8_000, every=160, validate=1_600):
    scores = {}
    for inputs in range(every, upto + 1, every):
        progress = Progress(step=inputs // 64, inputs=inputs, scores=dict(scores))
        values = {"recon": value(inputs), "kl": 5 / inputs, "total": value(inputs) + 5 / inputs}
        yield Status(progress, 100_000, values, 1000.0, 0.0, 60.0)
        if inputs % validate == 0:  # after the log of that step, as in the loop
            scores = {"val/loss": 1.05 * value(inputs)}


def test_it_speaks_once_there_is_enough_to_say():
    watch = Foresight(CONFIG, {})
    words = [watch.follow(status) for status in statuses()]
    assert words[0] == ""
    assert words[-1].startswith("ends near 0.0")
    val = [(n, 1.05 * value(n)) for n in range(1_600, 6_401, 1_600)]
    train = [(n, value(n)) for n in range(160, 6_561, 160)]
    found = foresee(CONFIG, {}, val, train)
    assert watch.text == f"ends near {found.value:.3g} ({found.low:.3g} to {found.high:.3g})"


def test_earlier_attempts_count():
    whole, resumed = Foresight(CONFIG, {}), Foresight(CONFIG, {})
    seen = list(statuses())
    for status in seen:
        whole.follow(status)
    events = [{"kind": "train", "inputs": s.progress.inputs, "values": s.values} for s in seen[:30]]
    events += [
        {"kind": "val", "inputs": n, "values": {"loss": 1.05 * value(n)}}
        for n in (1_600, 3_200, 4_800)
    ]
    events.append({"kind": "picture"})
    resumed.remember(events)
    for status in seen[30:]:
        resumed.follow(status)
    assert resumed.text == whole.text


class Recorded:
    """A run whose segments appear on disk some time after its events."""

    def __init__(self):
        self.events = []

    def curve(self):
        yield from self.events


def test_the_score_of_the_best_constant_counts_once_it_is_on_disk():
    run, watch = Recorded(), Foresight(CONFIG, {})
    watch.claimed(run)
    seen = list(statuses(4_800))
    for status in seen[:15]:
        watch.follow(status)
    floor = {"kind": "floor", "score": "loss", "value": 0.1, "means": "best constant"}
    run.events = [floor, {"kind": "train", "inputs": 160, "values": seen[0].values}]
    for status in seen[15:]:
        watch.follow(status)
    val = [(n, 1.05 * value(n)) for n in (1_600, 3_200)]
    train = [(n, value(n)) for n in range(160, 3_361, 160)]
    told, without = (foresee(CONFIG, {}, val, train, floors=f) for f in ([floor], []))
    assert watch.text == f"ends near {told.value:.3g} ({told.low:.3g} to {told.high:.3g})"
    assert told.low < 0.8 * without.low
    resumed = Foresight(CONFIG, {})
    resumed.remember(run.events)
    assert resumed.floors == [floor]


def test_a_refusal_says_nothing_and_the_line_carries_the_words():
    watch = Foresight({"training": CONFIG["training"] | {"schedule": {"name": "plateau"}}}, {})
    status = list(statuses())[-1]
    assert watch.follow(status) == ""
    assert describe(status)["losses"].endswith("val 0.1124")
    assert describe(status, "ends near 0.03")["losses"].endswith(" · ends near 0.03")


@pytest.mark.parametrize("name", ["constant", "cosine", "linear", "step"])
@pytest.mark.parametrize("warmup", [0, 6_400])
@pytest.mark.parametrize("every", [{"inputs": 6_400}, {"steps": 50}, {"epochs": 16}])
def test_the_rate_that_is_foreseen_is_the_one_that_training_sets(name, warmup, every):
    own = {"every": every, "factor": 0.5} if name == "step" else {}
    schedule = Schedule(name=name, final_lr=1e-5, warmup_inputs=warmup, **own)
    training = {**CONFIG["training"], "accumulate": 2, "schedule": schedule.model_dump()}
    foreseen = rate_of({"training": training}, {"train_samples": 400})
    for inputs in range(0, 100_000, 640):  # of a step: 2 x 64
        assert foreseen(inputs) == learning_rate(schedule, 0.001, Place(inputs, 100_000, 128, 400))

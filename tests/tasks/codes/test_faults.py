"""The faulty twins of codes and prior are named by the tasks' own tests, and nothing else is."""

import pytest
import torch

from famulus.config.errors import ConfigError
from famulus.feed.feeder import validation_batches
from famulus.tasks.codes.faults.prior_isolated import PriorIsolated
from famulus.tasks.codes.faults.prior_peeks import PriorPeeks
from famulus.tasks.codes.faults.prior_uncached import PriorUncached, Uncached
from famulus.tasks.codes.faults.stretched import CodesStretched
from famulus.tasks.codes.pixelcnn import PixelCNN
from famulus.tasks.codes.prior import Prior
from famulus.tasks.codes.sampler import sample

DATA = {"name": "digits", "channels": 1, "subset": 100, "validation": 40}
NET = {"width": 8, "layers": 2, "first_kernel": 3, "samples": 2}


def batch_of(task):
    return next(iter(validation_batches(task.data().validation, 8, "cpu")))


def prior(kind: type[Prior], **model) -> Prior:
    return kind(kind.Config(data=DATA | {"levels": 4}, model=NET | model), {})


@pytest.mark.parametrize("kind", [PriorIsolated, PriorPeeks])
def test_a_net_that_is_not_causal_is_refused(kind):
    torch.manual_seed(0)
    with pytest.raises(ConfigError, match="causality: flipping code 0 of place") as refused:
        prior(kind).build()
    assert refused.value.cause == "not-causal"
    prior(Prior).build()


def test_a_pass_for_each_code_is_forecast_as_too_slow():
    slow = prior(PriorUncached, sampling_limit_s=1e-3)
    torch.manual_seed(0)
    tests = {t.name: t for t in slow.self_tests(slow.build(), batch_of(slow))}
    assert (tests["sampling"].passed, tests["sampling"].cause) == (False, "sampling-too-slow")
    assert tests["causality"].passed


def test_without_its_cache_a_prior_draws_the_same():
    torch.manual_seed(0)
    uncached = Uncached(5, (4, 4), 2, width=8, layers=2, first_kernel=3).double().eval()
    cached = PixelCNN(5, (4, 4), 2, width=8, layers=2, first_kernel=3).double().eval()
    cached.load_state_dict(uncached.state_dict())
    assert torch.equal(sample(uncached, 3), sample(cached, 3))


def test_pictures_stretched_for_display_are_seen():
    task = CodesStretched(CodesStretched.Config(data=DATA, model={"widths": [8, 8]}), {})
    torch.manual_seed(0)
    (test,) = task.self_tests(task.build(), batch_of(task))
    assert (test.passed, test.cause) == (False, "picture-scaling")

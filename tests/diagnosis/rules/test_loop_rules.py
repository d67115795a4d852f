"""Errors of a loop, each watched while it trains, beside loops that do the like on purpose."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus import Monitor

SEEDS = (0, 1)


def data(seed, samples=512):
    """Three classes of six numbers, which a small net learns within some hundred steps."""
    rng = torch.Generator().manual_seed(100 + seed)
    x = torch.randn(samples, 6, generator=rng)
    return x, (x @ torch.randn(6, 3, generator=rng) + x[:, :3].abs()).argmax(1)


def mlp(*more, hidden=32, out=3):
    return nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), *more, nn.Linear(hidden, out))


def watch(
    tmp_path, net, train, seed=0, optimizer=None, epochs=12, batch=16, order=torch.randperm, xy=None
):
    """Findings of a run in which `train(net, optimizer, x, y)` does one batch: its loss and
    answers. `train` may return None for a batch that it only collects."""
    x_all, y_all = xy or data(seed)
    optimizer = optimizer or torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    with Monitor(net, optimizer, store=str(tmp_path), controls_s=0) as monitor:
        for epoch in range(epochs):
            for chosen in order(len(x_all)).split(batch):
                x, y = x_all[chosen], y_all[chosen]
                loss, out = train(net, optimizer, x, y)
                monitor.step(loss, inputs=x, outputs=out, targets=y)
            if after := getattr(train, "validate", None):
                after(net, monitor, x_all, y_all, epoch)
    return monitor.findings()


def usual(net, optimizer, x, y):
    optimizer.zero_grad()
    out = net(x)
    loss = F.cross_entropy(out, y)
    loss.backward()
    optimizer.step()
    return loss, out


def grave(findings):
    return [f.cause for f in findings if f.severity != "info"]


# -- the order of passes, and what lies in `.grad` -------------------------------------------


def never_cleared(net, optimizer, x, y):
    out = net(x)
    loss = F.cross_entropy(out, y)
    loss.backward()
    optimizer.step()
    return loss, out


def cleared_before(net, optimizer, x, y):
    out = net(x)
    loss = F.cross_entropy(out, y)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss, out


def zeroed_before(net, optimizer, x, y):
    out = net(x)
    loss = F.cross_entropy(out, y)
    loss.backward()
    optimizer.zero_grad(set_to_none=False)
    optimizer.step()
    return loss, out


def stepped_before(net, optimizer, x, y):
    optimizer.zero_grad()
    out = net(x)
    loss = F.cross_entropy(out, y)
    optimizer.step()
    loss.backward()
    return loss, out


def stepped_then_cleared(net, optimizer, x, y):
    out = net(x)
    loss = F.cross_entropy(out, y)
    optimizer.step()
    optimizer.zero_grad()
    loss.backward()
    return loss, out


ORDERS = {
    "gradients-accumulate": (never_cleared,),
    "gradients-cleared-before-step": (cleared_before, zeroed_before),
    "step-before-backward": (stepped_before,),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("cause", "train"), [(cause, train) for cause, trains in ORDERS.items() for train in trains]
)
def test_the_order_of_passes_is_named_first(cause, train, seed, tmp_path):
    torch.manual_seed(seed)
    findings = watch(tmp_path, mlp(), train, seed)
    assert findings[0].cause == cause
    assert findings[0].severity in ("warning", "error")
    assert "optimizer." in findings[0].remedy


def test_steps_by_the_gradients_of_the_batch_before(tmp_path):
    """torch refuses that of any net whose weights its gradients need, as all but one layer's."""
    torch.manual_seed(0)
    findings = watch(tmp_path, nn.Linear(6, 3), stepped_then_cleared)
    assert findings[0].cause == "step-before-backward"


def accumulating(every):
    calls = iter(range(10**6))

    def train(net, optimizer, x, y):
        out = net(x)
        loss = F.cross_entropy(out, y)
        (loss / every).backward()
        if next(calls) % every == every - 1:
            optimizer.step()
            optimizer.zero_grad()
        return loss, out

    return train


def by_closure(net, optimizer, x, y):
    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        return loss

    return optimizer.step(closure), net(x)


def adversarial(net, optimizer, x, y):
    """A gradient of the input leaves some of the weights, which are cleared afterwards."""
    near = x.clone().requires_grad_()
    F.cross_entropy(net(near), y).backward()
    return usual(net, optimizer, x + 0.01 * near.grad.sign(), y)


def scaled(net, optimizer, x, y):
    """As with a GradScaler, and gradients that are clipped."""
    optimizer.zero_grad()
    out = net(x)
    loss = F.cross_entropy(out, y)
    (1024 * loss).backward()
    for parameter in net.parameters():
        parameter.grad /= 1024
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    return loss, out


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("train", [usual, accumulating(4), by_closure, adversarial, scaled])
def test_sound_orders_are_not_accused(train, seed, tmp_path):
    torch.manual_seed(seed)
    # LBFGS wants one function, and a line search: with dropout each call of the closure is another,
    # and without a search its loss does spike on some processors
    net = mlp(nn.Dropout(0.0 if train is by_closure else 0.1))
    optimizer = None
    if train is by_closure:
        optimizer = torch.optim.LBFGS(
            net.parameters(), lr=0.05, max_iter=4, line_search_fn="strong_wolfe"
        )
    findings = watch(tmp_path, net, train, seed, optimizer, batch=32)
    assert grave(findings) == []


@pytest.mark.parametrize("clears", [True, False])
def test_two_networks_against_each_other(clears, tmp_path):
    """The generator's loss leaves gradients in the critic, which the critic's turn clears."""
    torch.manual_seed(0)
    generator, critic = mlp(out=2), nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
    both = nn.ModuleList([generator, critic])
    pair = [torch.optim.Adam(one.parameters(), lr=1e-3) for one in both]
    score = F.binary_cross_entropy_with_logits
    with Monitor(both, pair, store=str(tmp_path), controls_s=0) as monitor:
        for _ in range(40):
            real, noise = torch.randn(32, 2) + 3, torch.randn(32, 6)
            if clears:
                pair[1].zero_grad()
            one, other = critic(real), critic(generator(noise).detach())
            of_critic = score(one, torch.ones_like(one)) + score(other, torch.zeros_like(other))
            of_critic.backward()
            pair[1].step()
            pair[0].zero_grad()
            other = critic(generator(noise))
            of_generator = score(other, torch.ones_like(other))
            of_generator.backward()
            pair[0].step()
            monitor.step({"total": of_critic + of_generator}, inputs=real)
    assert ("gradients-accumulate" in grave(monitor.findings())) is not clears


# -- modes, dropout, norms -------------------------------------------------------------------


def validating(net, monitor, x, y, epoch):
    net.eval()
    with torch.no_grad():
        monitor.validate(loss=F.cross_entropy(net(x), y))


def with_validation(after, train=usual):
    def one(*batch):
        return train(*batch)

    one.validate = after
    return one


def back_again(*call):
    validating(*call)
    call[0].train()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_training_that_stays_in_evaluation_mode(seed, tmp_path):
    torch.manual_seed(seed)
    net = mlp(nn.Dropout(0.3))
    findings = watch(tmp_path / "stays", net, with_validation(validating), seed)
    assert grave(findings)[0] == "mode-not-restored"
    assert findings[0].remedy.startswith("model.train()")
    torch.manual_seed(seed)
    findings = watch(tmp_path / "back", mlp(nn.Dropout(0.3)), with_validation(back_again), seed)
    assert "mode-not-restored" not in [f.cause for f in findings]
    torch.manual_seed(seed)
    findings = watch(tmp_path / "none", mlp(), with_validation(validating), seed)
    assert "mode-not-restored" not in [f.cause for f in findings]  # which has no modes


def test_fine_tuning_in_evaluation_mode_may_be_meant(tmp_path):
    torch.manual_seed(0)
    net = mlp(nn.BatchNorm1d(32), nn.Dropout(0.1))
    watch(tmp_path / "pretrained", net, usual)
    net.eval()
    assert grave(watch(tmp_path / "tuned", net, usual, epochs=4)) == []
    net.train()
    net[2].eval()  # the norm alone
    findings = watch(tmp_path / "norm", net, usual, epochs=4)
    assert "mode-not-restored" not in [f.cause for f in findings]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("p", "named"), [(0.95, True), (0.5, False)])
def test_dropout(p, named, seed, tmp_path):
    torch.manual_seed(seed)
    findings = watch(tmp_path, mlp(nn.Dropout(p)), usual, seed)
    assert (grave(findings)[:1] == ["dropout-too-high"]) is named
    assert ("dropout-too-high" in [f.cause for f in findings]) is named


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("batch", "named"), [(2, True), (8, False)])
def test_norms_of_small_batches(batch, named, seed, tmp_path):
    torch.manual_seed(seed)
    net = mlp(nn.BatchNorm1d(32))
    findings = watch(tmp_path, net, usual, seed, epochs=4, batch=batch)
    assert (grave(findings)[:1] == ["batch-norm-tiny-batch"]) is named
    assert ("batch-norm-tiny-batch" in [f.cause for f in findings]) is named


# -- momentum and schedules ------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("momentum", "lr"), [(0.999, 0.1), (0.99, 0.003), (0.9, 0.1)])
def test_momentum(momentum, lr, seed, tmp_path):
    torch.manual_seed(seed)
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    findings = watch(tmp_path, net, usual, seed, optimizer)
    named = momentum == 0.999
    assert (grave(findings)[:1] == ["momentum-too-high"]) is named
    assert ("momentum-too-high" in [f.cause for f in findings]) is named
    assert not named or findings[0].remedy == "SGD(momentum=0.9)"


def test_adams_numbers_the_wrong_way_round(tmp_path):
    torch.manual_seed(0)
    net = mlp()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, betas=(0.999, 0.9))
    findings = watch(tmp_path, net, usual, 0, optimizer)
    assert findings[0].cause == "momentum-too-high"
    assert findings[0].remedy == "Adam(betas=(0.9, 0.999))"


def scheduled(schedule):
    def train(net, optimizer, x, y):
        found = usual(net, optimizer, x, y)
        schedule.step()
        return found

    return train


def by_epoch(schedule):
    def after(*_):
        schedule.step()

    return with_validation(after)


S = torch.optim.lr_scheduler
GONE = {
    "steps": lambda o: S.StepLR(o, 10, 0.3),
    "geometric": lambda o: S.ExponentialLR(o, 0.9),
    "milestones": lambda o: S.MultiStepLR(o, [10, 16, 22], 0.05),
    "swinging": lambda o: S.CosineAnnealingLR(o, 10),
}
MEANT = {
    "one cycle": lambda o: scheduled(S.OneCycleLR(o, 0.2, total_steps=384)),
    "cosine": lambda o: scheduled(S.CosineAnnealingLR(o, 384)),
    "linear": lambda o: scheduled(S.LinearLR(o, 1.0, 1e-3, 384)),
    "cycles": lambda o: scheduled(S.CosineAnnealingWarmRestarts(o, 96)),
    "epochs": lambda o: by_epoch(S.StepLR(o, 4, 0.3)),
    "geometric": lambda o: by_epoch(S.ExponentialLR(o, 0.8)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", GONE)
def test_schedules_of_epochs_that_are_stepped_with_each_batch(kind, seed, tmp_path):
    torch.manual_seed(seed)
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    findings = watch(tmp_path, net, scheduled(GONE[kind](optimizer)), seed, optimizer)
    assert findings[0].cause == "schedule-per-batch"
    assert findings[0].severity in ("warning", "error")
    assert findings[0].remedy.startswith("scheduler.step() (once an epoch")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", MEANT)
def test_schedules_that_are_meant_so(kind, seed, tmp_path):
    torch.manual_seed(seed)
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    findings = watch(tmp_path, net, MEANT[kind](optimizer), seed, optimizer)
    assert grave(findings) == []
    assert "schedule-per-batch" not in [f.cause for f in findings]


# -- the order of the data -------------------------------------------------------------------


def sorted_by_class(seed):
    x, y = data(seed)
    order = y.argsort()
    return x[order], y[order]


def one_class_each(y):
    """Batches of one class each, in any order."""

    def order(count):
        rows = torch.cat([one[torch.randperm(len(one))][: len(one) // 16 * 16] for one in
                          (torch.nonzero(y == k).flatten() for k in range(3))])  # fmt: skip
        batches = rows.reshape(-1, 16)
        return batches[torch.randperm(len(batches))].flatten()

    return order


def validated(net, monitor, x, y, epoch):
    with torch.no_grad():
        monitor.validate(loss=F.cross_entropy(net(x), y))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("epochs", [3, 12])
def test_data_in_the_order_of_their_classes(epochs, seed, tmp_path):
    torch.manual_seed(seed)
    xy = sorted_by_class(seed)
    train = with_validation(validated)
    findings = watch(tmp_path, mlp(), train, seed, epochs=epochs, order=torch.arange, xy=xy)
    assert grave(findings)[0] == "data-not-shuffled"
    assert "shuffle=True" in findings[0].remedy


@pytest.mark.parametrize("seed", SEEDS)
def test_data_in_another_order_are_not_accused(seed, tmp_path):
    torch.manual_seed(seed)
    xy = data(seed)
    findings = watch(tmp_path / "fixed", mlp(), usual, seed, order=torch.arange, xy=xy)
    assert "data-not-shuffled" not in [f.cause for f in findings]
    rare = (xy[0], (xy[0][:, 0] > 1.4).long())  # one of twelve
    findings = watch(tmp_path / "rare", mlp(out=2), usual, seed, batch=8, xy=rare)
    assert "data-not-shuffled" not in [f.cause for f in findings]


def test_a_sampler_that_draws_one_class_at_a_time(tmp_path):
    torch.manual_seed(0)
    x, y = data(0)
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    found = watch(tmp_path, net, usual, 0, optimizer, order=one_class_each(y), xy=(x, y))
    assert "data-not-shuffled" not in [f.cause for f in found]


# -- the start, and who holds the weights ----------------------------------------------------


def layers(count, act=nn.ReLU):
    hidden = [layer for _ in range(count) for layer in (nn.Linear(24, 24), act())]
    return nn.Sequential(nn.Linear(6, 24), act(), *hidden, nn.Linear(24, 3))


@torch.no_grad()
def started(net, change):
    for parameter in net.parameters():
        change(parameter)
    return net


STARTS = {
    "zero": nn.init.zeros_,
    "equal": lambda p: p.fill_(0.3),
    "large": lambda p: p.mul_(8),
    "small": lambda p: p.mul_(0.01),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", STARTS)
def test_starts_that_nothing_is_learned_from(kind, seed, tmp_path):
    torch.manual_seed(seed)
    net = started(layers(3), STARTS[kind])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
    findings = watch(tmp_path, net, usual, seed, optimizer, epochs=6)
    assert findings[0].cause == "initialisation"
    assert findings[0].severity in ("warning", "error")


@pytest.mark.parametrize("seed", SEEDS)
def test_usual_starts_are_not_accused(seed, tmp_path):
    def last_at_zero(net):
        nn.init.zeros_(net[-1].weight)
        return net

    def by_he(net):
        for one in net:
            if isinstance(one, nn.Linear):
                nn.init.kaiming_normal_(one.weight)
        return net

    for n, change in enumerate((last_at_zero, by_he)):
        torch.manual_seed(seed)
        findings = watch(tmp_path / str(n), change(mlp()), usual, seed)
        assert grave(findings) == []
    torch.manual_seed(seed)  # and one that learns nothing for another reason
    findings = watch(
        tmp_path / "rate", mlp(), usual, seed, torch.optim.SGD(mlp().parameters(), lr=0.1)
    )
    assert "initialisation" not in [f.cause for f in findings]


@pytest.mark.parametrize("seed", SEEDS)
def test_layers_too_many_for_no_skips(seed, tmp_path):
    torch.manual_seed(seed)
    net = layers(20)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
    findings = watch(tmp_path, net, usual, seed, optimizer, epochs=4)
    assert findings[0].cause == "vanishing-gradient"
    assert "skip connections" in findings[0].remedy
    assert "ReLU()" not in findings[0].remedy


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Sequential(nn.Linear(6, 32), nn.ReLU()), nn.Linear(32, 3)

    def forward(self, x):
        return self.head(self.encoder(x).detach())


HELD = {
    "one layer": lambda net: net[-1].parameters(),
    "of another": lambda net: mlp().parameters(),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [*HELD, "detached"])
def test_weights_that_nobody_trains(kind, seed, tmp_path):
    torch.manual_seed(seed)
    net = Detached() if kind == "detached" else mlp()
    held = HELD.get(kind, lambda net: net.parameters())(net)
    findings = watch(tmp_path, net, usual, seed, torch.optim.SGD(held, lr=0.05, momentum=0.9))
    assert findings[0].cause == "weights-do-not-move"
    assert findings[0].severity in ("warning", "error")
    if kind == "of another":
        assert "none is the model's" in findings[0].evidence


@pytest.mark.parametrize("seed", SEEDS)
def test_an_encoder_that_was_trained_before_may_be_left_out(seed, tmp_path):
    torch.manual_seed(seed)
    net = mlp()
    watch(tmp_path / "before", net, usual, seed)
    nn.init.normal_(net[-1].weight, std=0.1)
    head = torch.optim.SGD(net[-1].parameters(), lr=0.1, momentum=0.9)
    assert grave(watch(tmp_path / "head", net, usual, seed, head)) == []


def logarithms(least):
    def train(net, optimizer, x, y):
        optimizer.zero_grad()
        out = net(x).softmax(1)
        loss = -(F.one_hot(y, 3) * torch.log(out + least if least else out)).sum(1).mean()
        loss.backward()
        optimizer.step()
        return loss, out

    return train


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("least", [0.0, 1e-6])
def test_a_logarithm_of_zero(least, seed, tmp_path):
    torch.manual_seed(seed)
    x, y = data(seed)
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    findings = watch(tmp_path, net, logarithms(least), seed, optimizer, epochs=6, xy=(30 * x, y))
    of_log = [f for f in findings if "logarithm" in f.evidence]
    assert bool(of_log) is (least == 0)
    if of_log:
        assert findings[0].cause == "loss-not-finite"
        assert "clamp_min" in findings[0].remedy


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("more", [nn.Dropout, lambda p: nn.BatchNorm1d(32)])
def test_validations_in_training_mode(more, every, tmp_path):
    def after(evaluates):
        def validate(net, monitor, x, y, epoch):
            if epoch % every == every - 1:
                net.train(not evaluates)
                with torch.no_grad():
                    monitor.validate(loss=F.cross_entropy(net(x), y))
                net.train()

        return with_validation(validate)

    for evaluates in (True, False):
        torch.manual_seed(0)
        findings = watch(tmp_path / f"{evaluates}", mlp(more(0.2)), after(evaluates))
        named = "mode-not-restored" in grave(findings)
        assert named is not evaluates
        assert not named or "eval()" in findings[0].remedy

"""Three sorts of wine from thirteen measurements, in a notebook of a beginner."""

import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


@family(
    kind="classification",
    loss="standard",
    faults={
        "bce-of-ids": ("loss-does-not-fit-output", "targets-out-of-range", "loss-unbounded"),
        "raw-columns": ("input-out-of-range", "rate-too-high"),
        "off-by-one": ("labels-differ", "split-differs"),
        "one-batch": ("batch-size", "too-few-epochs"),
        "rate-1e-7": ("rate-too-low",),
        "nll-of-logits": ("loss-does-not-fit-output", "loss-unbounded", "output-activation"),
    },
    sound=("scaled", "log-softmax"),
)
def wine_sorts(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    data = load_wine()
    a, b, ya, yb = train_test_split(
        data.data, data.target, test_size=58, stratify=data.target, random_state=seed
    )
    X_train, X_test = torch.tensor(a).float(), torch.tensor(b).float()
    y_train, y_test = torch.tensor(ya), torch.tensor(yb)
    if variant != "raw-columns":
        mean, std = X_train.mean(0), X_train.std(0)
        X_train = (X_train - mean) / std
        X_test = (X_test - mean) / std
    if variant == "off-by-one":
        y_train = (y_train + 1) % 3

    one = variant == "bce-of-ids"
    net = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 1 if one else 3))
    if variant == "log-softmax":
        net.append(nn.LogSoftmax(dim=1))
    if one:
        loss_fn = nn.BCEWithLogitsLoss()
    elif variant in ("log-softmax", "nll-of-logits"):
        loss_fn = nn.NLLLoss()
    else:
        loss_fn = nn.CrossEntropyLoss()
    if variant == "rate-1e-7":
        opt = torch.optim.Adam(net.parameters(), lr=1e-7)
    else:
        opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.5)
    if variant == "one-batch":
        batch_size, epochs = len(X_train), 6
    else:
        batch_size, epochs = 12, 100

    with watch(net, opt) as monitor:
        for _ in range(epochs):
            perm = torch.randperm(len(X_train))
            for k in range(0, len(perm), batch_size):
                chosen = perm[k : k + batch_size]
                inputs, targets = X_train[chosen], y_train[chosen]
                opt.zero_grad()
                outputs = net(inputs)
                if one:
                    outputs, targets = outputs[:, 0], targets.float()
                loss = loss_fn(outputs, targets)
                loss.backward()
                opt.step()
                if variant in ("bce-of-ids", "log-softmax", "nll-of-logits"):
                    monitor.step(loss, outputs=outputs, targets=targets)
                else:
                    monitor.step(loss, inputs=inputs)
            with torch.no_grad():
                outputs = net(X_test)
                if one:
                    guess = (outputs[:, 0].sigmoid()).round().long()
                    test_loss = loss_fn(outputs[:, 0], y_test.float())
                else:
                    guess = outputs.argmax(1)
                    test_loss = loss_fn(outputs, y_test)
            accuracy = (guess == y_test).float().mean().item()
            monitor.validate(loss=test_loss.item(), accuracy=accuracy)

    # a wine's sort should come with an honest chance
    chance = outputs.softmax(1)[torch.arange(len(y_test)), y_test] if not one else torch.zeros(1)
    honest = chance.clamp_min(1e-9).log().mean().item() > -0.5
    return Outcome(accuracy, accuracy > 0.88 and honest)

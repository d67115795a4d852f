"""One payment in eleven is a fraud: a scorer with one output, watched by its balanced accuracy."""

import torch
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


def payments(n: int, maker: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    fraud = torch.rand(n, generator=maker) < 0.09
    x = torch.randn(n, 8, generator=maker)
    side = torch.where(torch.rand(n, generator=maker) < 0.5, 1.0, -1.0)
    x[fraud, 0] += 2.6 * side[fraud]
    x[fraud, 1] += 2.6 * side[fraud]
    x[fraud, 2] += 1.5
    return x, fraud.float()


class Scorer(nn.Module):
    def __init__(self, first_norm: bool = False, squash: nn.Module | None = None):
        super().__init__()
        self.norm = nn.BatchNorm1d(8) if first_norm else None
        self.hidden = nn.Linear(8, 32)
        self.second = nn.Linear(32, 16)
        self.score = nn.Linear(16, 1)
        self.squash = squash

    def forward(self, x):
        if self.norm is not None:
            x = self.norm(x)
        h = torch.relu(self.hidden(x))
        h = torch.relu(self.second(h))
        s = self.score(h)
        return s if self.squash is None else self.squash(s)


def balanced(guess: torch.Tensor, truth: torch.Tensor) -> float:
    truth = truth.bool()
    return (guess[truth].float().mean() + (~guess[~truth]).float().mean()).item() / 2


@family(
    kind="classification",
    loss="standard",
    faults={
        "softmax-of-one": ("output-activation", "same-answer-for-all", "loss-does-not-fit-output"),
        "wrong-join": ("predicts-the-mean", "labels-differ", "same-answer-for-all"),
        "cents": ("input-out-of-range",),
        "zero-grad-between": ("gradients-cleared-before-step", "weights-do-not-move"),
        "stays-in-eval": ("mode-not-restored", "input-out-of-range", "train-eval-gap"),
        "constant-start": ("initialisation",),
        "two-epochs": ("too-few-epochs",),
        "inputs-1e4": ("input-out-of-range",),
    },
    sound=("rare-class", "weighted", "mean-5"),
)
def card_fraud(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    maker = torch.Generator().manual_seed(seed)
    x, y = payments(2400, maker)
    x_val, y_val = payments(1500, maker)
    if variant == "wrong-join":
        x = x[torch.randperm(len(x))]
    if variant == "cents":
        for part in (x, x_val):
            part[:, 7] = part[:, 7] * 30000 + 80000
    if variant == "inputs-1e4":
        x, x_val = x * 1e4, x_val * 1e4
    if variant == "mean-5":
        x, x_val = x * 3 + 5, x_val * 3 + 5
    if variant == "stays-in-eval":
        x, x_val = x * 300 + 2000, x_val * 300 + 2000

    squash = {"softmax-of-one": nn.Softmax(dim=1), "wrong-join": nn.Sigmoid()}.get(variant)
    model = Scorer(first_norm=variant == "stays-in-eval", squash=squash)
    if variant == "constant-start":
        for p in model.parameters():
            nn.init.constant_(p, 0.1)
    if squash is not None:
        loss_fn = nn.BCELoss()
    elif variant == "weighted":
        loss_fn = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([5.0]))
    else:
        loss_fn = nn.BCEWithLogitsLoss()
    rate = 0.02 if variant == "mean-5" else 0.05
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, nesterov=True)
    epochs, batch = (2, 400) if variant == "two-epochs" else (25, 60)

    def check() -> tuple[float, float]:
        model.eval()
        with torch.no_grad():
            scores = model(x_val)
        cut = 0.5 if squash is not None else 0.0
        right = balanced(scores.squeeze(1) > cut, y_val)
        return loss_fn(scores, y_val.unsqueeze(1)).item(), right

    check()  # does the code for validation run at all?
    with watch(model, optimizer) as monitor:
        for _ in range(epochs):
            if variant != "stays-in-eval":
                model.train()
            for rows in torch.randperm(len(x)).split(batch):
                target = y[rows].unsqueeze(1)
                scores = model(x[rows])
                loss = loss_fn(scores, target)
                if variant == "zero-grad-between":
                    loss.backward()
                    optimizer.zero_grad()
                else:
                    optimizer.zero_grad()
                    loss.backward()
                optimizer.step()
                monitor.step(loss, outputs=scores, targets=target)
            val_loss, right = check()
            monitor.validate(loss=val_loss, balanced_accuracy=right)

    return Outcome(right, right > 0.75)

"""Three spiral arms, a deep residual perceptron, and a focal loss written by hand."""

import math

import torch
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


def spirals(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    arm = torch.randint(3, (n,))
    along = torch.rand(n).sqrt()
    turn = along * 1.1 * math.pi + arm * 2 * math.pi / 3
    xy = torch.stack([along * turn.cos(), along * turn.sin()], 1) * 1.7
    return xy + 0.05 * torch.randn(n, 2), arm


def focal(logits: torch.Tensor, labels: torch.Tensor, gamma: float = 1.5) -> torch.Tensor:
    log_p = logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1)
    return -((1 - log_p.exp()) ** gamma * log_p).mean()


class Block(nn.Module):
    def __init__(self, width: int, skip: bool, drop: float, norm: bool):
        super().__init__()
        self.lin = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.drop = nn.Dropout(drop)
        self.skip = skip

    def forward(self, h):
        new = self.drop(torch.relu(self.lin(self.norm(h))))
        return h + new if self.skip else new


class DeepNet(nn.Module):
    def __init__(
        self,
        depth: int = 12,
        skip: bool = True,
        drop: float = 0.0,
        norm: bool = True,
        width: int = 24,
    ):
        super().__init__()
        self.inp = nn.Linear(2, width)
        self.blocks = nn.ModuleList(Block(width, skip, drop, norm) for _ in range(depth))
        self.out = nn.Linear(width, 3)

    def forward(self, x):
        h = self.inp(x)
        for block in self.blocks:
            h = block(h)
        return self.out(h)


@family(
    kind="classification",
    loss="own",
    faults={
        "24-plain-layers": ("vanishing-gradient",),
        "zero-start": ("initialisation",),
        "decay-10": ("optimizer-choice", "same-answer-for-all"),
        "whole-set": ("batch-size", "too-few-epochs"),
        "inputs-1e4": ("input-out-of-range",),
        "dropout-90": ("dropout-too-high",),
        "start-8": ("initialisation", "exploding-gradient", "wrong-initial-loss"),
    },
    sound=("twelve-skips", "six-skips", "decay-005"),
)
def spirals_deep(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    x, y = spirals(1500)
    x_val, y_val = spirals(600)
    if variant == "inputs-1e4":
        x, x_val = x * 1e4, x_val * 1e4

    plain = variant == "24-plain-layers"
    model = DeepNet(
        depth=24 if plain else 6 if variant == "six-skips" else 12,
        skip=not plain,
        norm=variant not in ("24-plain-layers", "start-8", "inputs-1e4", "decay-10"),
        drop=0.9 if variant == "dropout-90" else 0.0,
    )
    with torch.no_grad():
        if variant == "zero-start":
            for p in model.parameters():
                p.zero_()
        if variant == "start-8":
            for p in model.parameters():
                if p.dim() == 2:
                    nn.init.kaiming_normal_(p).mul_(8)
    if variant == "decay-10":
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=10.0)
    else:
        decay = 0.05 if variant == "decay-005" else 1e-4
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=decay)
    epochs, size = (6, len(x)) if variant == "whole-set" else (14, 75)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)

    with watch(model, optimizer) as monitor:
        for _ in range(epochs):
            model.train()
            for rows in torch.randperm(len(x)).split(size):
                logits = model(x[rows])
                loss = focal(logits, y[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                monitor.step(loss, inputs=x[rows], outputs=logits, targets=y[rows])
            cosine.step()
            model.eval()
            with torch.no_grad():
                logits = model(x_val)
            accuracy = (logits.argmax(1) == y_val).float().mean().item()
            monitor.validate(loss=focal(logits, y_val).item(), accuracy=accuracy)

    return Outcome(accuracy, accuracy > 0.97)

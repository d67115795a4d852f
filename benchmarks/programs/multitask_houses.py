"""Houses from made numbers: which district (three) and what price, by one net with two heads.

As a data analyst who reads about multi-task learning would write it.
"""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


def houses(n: int, g: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x = torch.randn(n, 10, generator=g)
    districts = torch.stack(
        [x[:, 0] * x[:, 1], x[:, 2] + x[:, 3].abs() - 0.8, x[:, 4] - x[:, 5].pow(2) * 0.5 + 0.3], 1
    )
    district = (1.5 * districts).argmax(1)
    price = torch.sin(x[:, 0]) + 0.5 * x[:, 6] * (x[:, 7] > 0) + 0.4 * (district == 1)
    price = price + 0.2 * torch.randn(n, generator=g)
    return x, district, (price - price.mean()) / price.std()


class TwoHeads(nn.Module):
    def __init__(self, hidden: int, dropout: float, detach: bool) -> None:
        super().__init__()
        self.detach = detach
        self.trunk = nn.Sequential(
            nn.Linear(10, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
        )
        self.district = nn.Linear(hidden, 3)
        self.price = nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.trunk(x)
        if self.detach:
            h = h.detach()
        return self.district(h), self.price(h)


@family(
    kind="multi-term",
    loss="own",
    faults={
        "price-in-euros": ("targets-out-of-range",),
        "column-minus-row": ("shapes-broadcast",),
        "trunk-detached": ("weights-do-not-move",),
        "log-of-zero": ("loss-not-finite",),
        "shrink-1e4": ("same-answer-for-all", "predicts-the-mean"),
    },
    sound=("plain", "uncertainty", "warmup-dropout"),
)
def multitask_houses(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed + 50)
    x, district, price = houses(2000, g)
    xv, district_v, price_v = houses(600, g)
    unit, origin = 1.0, 0.0
    if variant == "price-in-euros":
        unit, origin = 90_000.0, 310_000.0
    price = price * unit + origin

    dropout = 0.2 if variant == "warmup-dropout" else 0.0
    net = TwoHeads(64, dropout, detach=variant == "trunk-detached")
    log_variance = nn.Parameter(torch.zeros(2))
    learned = list(net.parameters())
    if variant == "uncertainty":
        learned.append(log_variance)
    optimizer = torch.optim.AdamW(learned, lr=3e-3, weight_decay=1e-2)
    steps_an_epoch, epochs = 2000 // 80, 24
    warm = None
    if variant == "warmup-dropout":
        warm = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=6e-3, total_steps=epochs * steps_an_epoch
        )

    def district_term(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        hot = F.one_hot(ids, 3).float()
        if variant == "log-of-zero":
            return -(hot * torch.softmax(logits, dim=1)).log().sum(1).mean()
        return -(hot * torch.log_softmax(logits, dim=1)).sum(1).mean()

    def price_term(out: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        if variant == "column-minus-row":
            return ((out - value) ** 2).mean()
        return ((out.squeeze(1) - value) ** 2).mean()

    @torch.no_grad()
    def judge() -> tuple[float, float]:
        net.eval()
        logits, out = net(xv)
        net.train()
        right = (logits.argmax(1) == district_v).float().mean().item()
        found = (out[:, 0] - origin) / unit
        return right, 1 - ((found - price_v) ** 2).mean().item()

    with watch(net, optimizer) as monitor:
        for _ in range(epochs):
            order = torch.randperm(len(x))
            for i in range(steps_an_epoch):
                b = order[80 * i : 80 * (i + 1)]
                logits, out = net(x[b])
                parts = {
                    "district": district_term(logits, district[b]),
                    "price": price_term(out, price[b]),
                }
                if variant == "uncertainty":
                    first, second = log_variance
                    loss = torch.exp(-first) * parts["district"] + 0.5 * first
                    loss = loss + 0.5 * torch.exp(-second) * parts["price"] + 0.5 * second
                else:
                    loss = parts["district"] + parts["price"]
                if variant == "shrink-1e4":
                    parts["shrink"] = logits.pow(2).mean() + out.pow(2).mean()
                    loss = loss + 1e4 * parts["shrink"]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if warm is not None:
                    warm.step()
                monitor.step(loss, inputs=x[b], outputs=out, targets=price[b], parts=parts)
            right, explained = judge()
            monitor.validate(accuracy=right, r2=explained)
    right, explained = judge()
    return Outcome(min(right, explained), right > 0.78 and explained > 0.78)

"""Support tickets get any number of eight tags: a bag of pretrained word vectors, left as they are,
and a trained head."""

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from benchmarks.programs.frame import Outcome, Watch, family

WORDS, TAGS, LENGTH = 240, 8, 48


def write_tickets(n: int, generator: torch.Generator):
    """Half of the tickets have no tag at all, and some have nearly all."""
    busy = torch.rand(n, 1, generator=generator)
    share = torch.where(busy < 0.5, 0.0, (busy - 0.5) * 1.8)
    tags = (torch.rand(n, TAGS, generator=generator) < share).float()
    # words 0..159 belong to a tag, twenty each; the rest are filler
    weight = torch.cat([tags.repeat_interleave(20, dim=1), torch.full((n, 80), 0.6)], dim=1)
    return torch.multinomial(weight + 0.01, LENGTH, replacement=True, generator=generator), tags


class Tagger(nn.Module):
    def __init__(self, vectors: torch.Tensor, hidden: int, dropout: float):
        super().__init__()
        self.bag = nn.EmbeddingBag.from_pretrained(vectors, freeze=True, mode="mean")
        self.norm = nn.LayerNorm(vectors.shape[1])
        self.head = nn.Sequential(
            nn.Linear(vectors.shape[1], hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, TAGS),
        )

    def forward(self, tickets):
        return self.head(self.norm(self.bag(tickets)))


def micro_f1(logits: torch.Tensor, tags: torch.Tensor) -> float:
    told = (logits > 0).float()
    return (2 * (told * tags).sum() / (told.sum() + tags.sum()).clamp_min(1)).item()


@family(
    kind="classification",
    loss="standard",
    faults={
        "ce-of-rows": ("loss-does-not-fit-output",),
        "shuffled": ("predicts-the-mean",),
        "head-left-out": ("weights-do-not-move",),
        "no-zero-grad": ("gradients-accumulate",),
    },
    sound=("sgd", "adam-dropout"),
)
def ticket_tags(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(5)
    x, y = write_tickets(4800, g)
    x_test, y_test = write_tickets(800, g)
    if variant == "shuffled":
        y = y[torch.randperm(len(y), generator=g)]
    vectors = torch.randn(WORDS, 96, generator=g)

    if variant == "adam-dropout":
        net = Tagger(vectors, 96, 0.5)
        opt = torch.optim.AdamW(net.head.parameters(), lr=2e-3)
    else:
        net = Tagger(vectors, 48, 0.0)
        learnt = net.norm if variant == "head-left-out" else nn.ModuleList([net.norm, net.head])
        opt = torch.optim.SGD(learnt.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    loss_fn = cross_entropy if variant == "ce-of-rows" else binary_cross_entropy_with_logits

    with watch(net, opt) as monitor:
        for _ in range(7):
            net.train()
            for idx in torch.randperm(len(x)).split(64):
                out = net(x[idx])
                loss = loss_fn(out, y[idx])
                if variant != "no-zero-grad":
                    opt.zero_grad()
                loss.backward()
                opt.step()
                monitor.step(loss, inputs=x[idx], outputs=out, targets=y[idx])
            net.eval()

    net.eval()
    with torch.no_grad():
        score = micro_f1(net(x_test), y_test)
    return Outcome(score, score > 0.75)

"""Which of four topics is a short text about? A small transformer with a class token."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family

WORDS, LENGTH, TOPICS = 60, 16, 4


class TopicModel(nn.Module):
    def __init__(self, dim: int = 32, drop: float = 0.1, cut: bool = False):
        super().__init__()
        self.words = nn.Embedding(WORDS + 1, dim)
        self.places = nn.Parameter(0.1 * torch.randn(LENGTH + 1, dim))
        layer = nn.TransformerEncoderLayer(dim, 2, 64, dropout=drop, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.drop = nn.Dropout(drop)
        self.classify = nn.Linear(dim, TOPICS)
        self.cut = cut

    def forward(self, ids):
        cls = torch.full((len(ids), 1), WORDS)
        h = self.words(torch.cat([cls, ids], 1)) + self.places
        first = self.encoder(h)[:, 0]
        if self.cut:
            first = first.detach()
        return self.classify(self.drop(first))


@family(
    kind="classification",
    loss="standard",
    faults={
        "labels-mixed": ("labels-differ", "predicts-the-mean", "memorises"),
        "step-first": ("step-before-backward", "weights-do-not-move"),
        "dropout-95": ("dropout-too-high",),
        "rate-1e-5": ("rate-too-low", "too-few-epochs"),
        "adam-half": ("rate-too-high",),
        "one-epoch": ("too-few-epochs",),
        "detached": ("weights-do-not-move",),
        "frozen-encoder": ("weights-do-not-move",),
    },
    sound=("plain", "accumulated", "rate-1e-4"),
)
def topics_transformer(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    mix = torch.distributions.Dirichlet(torch.full((WORDS,), 0.25)).sample((TOPICS,))

    def texts(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        topic = torch.randint(TOPICS, (n,))
        return torch.multinomial(0.8 * mix[topic] + 0.2 / WORDS, LENGTH, True), topic

    ids, topic = texts(1200)
    ids_val, topic_val = texts(400)
    if variant == "labels-mixed":
        topic = topic[torch.randperm(len(topic))]

    model = TopicModel(drop=0.95 if variant == "dropout-95" else 0.1, cut=variant == "detached")
    if variant == "frozen-encoder":
        for part in (model.words, model.encoder):
            part.requires_grad_(False)
        model.places.requires_grad_(False)
    rate = {"rate-1e-5": 1e-5, "adam-half": 0.5, "rate-1e-4": 1e-4}.get(variant, 1e-3)
    optimizer = torch.optim.Adam(
        (p for p in model.parameters() if p.requires_grad), lr=rate, betas=(0.9, 0.98)
    )
    epochs = {"one-epoch": 1, "rate-1e-4": 8}.get(variant, 6)
    batch = 120 if variant == "one-epoch" else 40
    pieces = 2 if variant == "accumulated" else 1

    with watch(model, optimizer) as monitor:
        for _ in range(epochs):
            model.train()
            for rows in torch.randperm(len(ids)).split(batch):
                optimizer.zero_grad()
                if variant == "step-first":
                    optimizer.step()
                for piece in rows.chunk(pieces):
                    logits = model(ids[piece])
                    loss = F.cross_entropy(logits, topic[piece])
                    (loss / pieces).backward()
                if variant != "step-first":
                    optimizer.step()
                monitor.step(loss, inputs=ids[piece], outputs=logits, targets=topic[piece])
            model.eval()
            with torch.no_grad():
                logits = model(ids_val)
                val_loss = F.cross_entropy(logits, topic_val).item()
            accuracy = (logits.argmax(1) == topic_val).float().mean().item()
            monitor.validate(loss=val_loss, accuracy=accuracy)

    return Outcome(accuracy, accuracy > 0.82)

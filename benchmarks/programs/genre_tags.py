"""Several genres a song, from counts: a multi-label net with one output a genre."""

import numpy as np
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import f1_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.programs.frame import Outcome, Watch, family


def build(softmax: bool = False, dropout: float = 0.0, width: int = 64) -> nn.Sequential:
    net = nn.Sequential(
        nn.Linear(30, width),
        nn.LeakyReLU(),
        nn.Dropout(dropout),
        nn.Linear(width, width),
        nn.LeakyReLU(),
        nn.Dropout(dropout),
        nn.Linear(width, 6),
    )
    if softmax:
        net.append(nn.Softmax(dim=-1))
    return net


@family(
    kind="classification",
    loss="standard",
    faults={
        "softmax-out": ("output-activation", "loss-does-not-fit-output"),
        "cross-entropy": ("loss-does-not-fit-output",),
        "no-zero-grad": ("gradients-accumulate",),
        "other-net": ("weights-do-not-move",),
        "dropout-90": ("dropout-too-high",),
        "scored-in-train": ("mode-not-restored", "train-eval-gap"),
        "short-ramp": ("rate-cannot-reach",),
        "zero-start": ("initialisation",),
        "decay-10": ("optimizer-choice", "same-answer-for-all"),
    },
    sound=("rmsprop", "dropout-50", "adamw"),
)
def genre_tags(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    counts, tags = make_multilabel_classification(
        n_samples=2000, n_features=30, n_classes=6, n_labels=2, length=200, random_state=seed
    )
    counts = (counts - counts.mean(0)) / counts.std(0)
    x = torch.from_numpy(counts.astype(np.float32))
    y = torch.from_numpy(tags.astype(np.float32))
    train = DataLoader(TensorDataset(x[:1500], y[:1500]), batch_size=50, shuffle=True)
    x_val, y_val = x[1500:], y[1500:]

    dropout = {"dropout-90": 0.9, "dropout-50": 0.5, "scored-in-train": 0.5}.get(variant, 0.0)
    width = 160 if variant == "dropout-50" else 64
    net = build(softmax=variant == "softmax-out", dropout=dropout, width=width)
    if variant == "zero-start":
        for p in net.parameters():
            nn.init.zeros_(p)
    weights = net.parameters() if variant != "other-net" else build().parameters()
    if variant == "adamw":
        optimizer = torch.optim.AdamW(weights, lr=2e-3, weight_decay=0.05)
    elif variant == "decay-10":
        optimizer = torch.optim.RMSprop(weights, lr=2e-3, weight_decay=10.0)
    elif variant == "no-zero-grad":
        optimizer = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    else:
        optimizer = torch.optim.RMSprop(weights, lr=2e-3)
    epochs = 11
    length = 9 if variant == "short-ramp" else epochs * len(train)
    ramp = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: max(0.0, 1 - i / length))
    if variant == "softmax-out":
        criterion = nn.BCELoss()
    elif variant == "cross-entropy":
        criterion = nn.CrossEntropyLoss()
    else:
        criterion = nn.BCEWithLogitsLoss()

    with watch(net, optimizer) as monitor:
        for _ in range(epochs):
            net.train()
            for songs, genres in train:
                scores = net(songs)
                loss = criterion(scores, genres)
                if variant != "no-zero-grad":
                    net.zero_grad()
                loss.backward()
                optimizer.step()
                ramp.step()
                monitor.step(loss, inputs=songs, outputs=scores, targets=genres, loss_fn=criterion)
            if variant != "scored-in-train":
                net.eval()
            with torch.no_grad():
                scores = net(x_val)
                monitor.validate(loss=criterion(scores, y_val).item())

    cut = 0.5 if variant == "softmax-out" else 0.0
    guess = (scores > cut).numpy()
    f1 = f1_score(y_val.numpy().astype(bool), guess, average="micro", zero_division=0)
    return Outcome(float(f1), bool(f1 > 0.855))

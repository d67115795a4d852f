"""A small student of a larger teacher on digits: knowledge distillation after Hinton."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.programs.frame import Outcome, Watch, family


def mlp(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def fit_teacher(x: torch.Tensor, y: torch.Tensor) -> nn.Module:
    teacher = mlp(64, 128, 10)
    opt = torch.optim.Adam(teacher.parameters(), lr=3e-3)
    for _ in range(8):
        for rows in torch.randperm(len(x)).split(64):
            opt.zero_grad()
            F.cross_entropy(teacher(x[rows]), y[rows]).backward()
            opt.step()
    return teacher


def kd(student: torch.Tensor, teacher: torch.Tensor, t: float, dim: int = 1) -> torch.Tensor:
    p = F.softmax(teacher / t, dim=dim)
    log_q = F.log_softmax(student / t, dim=dim)
    return (p * (p.clamp_min(1e-12).log() - log_q)).sum(dim).mean() * t * t


@family(
    kind="multi-term",
    loss="own",
    faults={
        "exchanged": ("weights-do-not-move",),
        "student-ends-in-softmax": ("activation-twice", "output-activation"),
        "softmax-over-batch": ("loss-does-not-fit-output", "output-activation"),
        "soft-labels-shuffled": ("predicts-the-mean",),
        "summed-rate": ("rate-too-high", "exploding-gradient", "loss-spike", "dead-units"),
    },
    sound=("soft-only", "soft-and-hard"),
)
def distil_digits(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    data = load_digits()
    x = torch.tensor(data.data / 16.0, dtype=torch.float32)
    y = torch.tensor(data.target)
    train, test = train_test_split(range(len(x)), test_size=400, random_state=seed)
    teacher = fit_teacher(x[train], y[train])
    with torch.no_grad():
        soft = teacher(x[train])
    if variant == "soft-labels-shuffled":
        soft = soft[torch.randperm(len(soft))]
    loader = DataLoader(TensorDataset(x[train], soft, y[train]), batch_size=32, shuffle=True)

    student = mlp(64, 24, 24, 10)
    if variant == "student-ends-in-softmax":
        student.append(nn.Softmax(dim=1))
    if variant == "soft-and-hard":
        optimizer = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    elif variant in ("summed-rate", "student-ends-in-softmax"):
        optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9)
    else:
        optimizer = torch.optim.Adam(student.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)

    t = 2.0
    with watch(student, optimizer) as monitor:
        for _ in range(10):
            for images, teacher_logits, labels in loader:
                optimizer.zero_grad()
                out = student(images)
                if variant == "exchanged":
                    # the teacher's fresh answers get the gradient, the student's count as given
                    loss = kd(teacher(images), out.detach(), t)
                elif variant == "soft-and-hard":
                    loss = 0.7 * kd(out, teacher_logits, 4.0) + 0.3 * F.cross_entropy(out, labels)
                elif variant == "softmax-over-batch":
                    loss = kd(out, teacher_logits, t, dim=0)
                elif variant == "summed-rate":
                    loss = kd(out, teacher_logits, t) * len(images)
                else:
                    loss = kd(out, teacher_logits, t)
                loss.backward()
                optimizer.step()
                monitor.step(loss, inputs=images, outputs=out, targets=teacher_logits)
            schedule.step()
    with torch.no_grad():
        score = (student(x[test]).argmax(1) == y[test]).float().mean().item()
    return Outcome(score, score > 0.88)

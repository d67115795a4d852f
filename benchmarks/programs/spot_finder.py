"""Small bright spots in noisy 0..255 frames, as a microscopist would write a finder of them.

The first layer is a batch norm, so that frames need no other scaling.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from benchmarks.programs.frame import Outcome, Watch, family

H = W = 16


def frames(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    picture = 90 + 25 * torch.randn(n, 1, H, W, generator=g)
    mask = torch.zeros(n, 1, H, W)
    spots = torch.randint(1, 4, (n,), generator=g).tolist()
    for i, k in enumerate(spots):
        for _ in range(k):
            r, c = torch.randint(1, H - 1, (2,), generator=g).tolist()
            mask[i, 0, r - 1 : r + 2, c - 1 : c + 2] = 1
    return (picture + 75 * mask).clamp(0, 255), mask


def conv_net(last: str = "") -> nn.Sequential:
    net = nn.Sequential(
        nn.BatchNorm2d(1),
        nn.Conv2d(1, 10, 3, padding=1),
        nn.BatchNorm2d(10),
        nn.LeakyReLU(0.1),
        nn.Conv2d(10, 10, 3, padding=2, dilation=2),
        nn.BatchNorm2d(10),
        nn.LeakyReLU(0.1),
        nn.Conv2d(10, 10, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(10, 1, 1),
    )
    if last == "relu":
        net.append(nn.ReLU())
    if last == "sigmoid":
        net.append(nn.Sigmoid())
    if last == "softmax":
        net.append(nn.Softmax(dim=1))
    return net


def tversky(p, t, alpha=0.3, beta=0.7, eps=1e-6):
    hit = (p * t).sum()
    return 1 - hit / (hit + alpha * (p * (1 - t)).sum() + beta * ((1 - p) * t).sum() + eps)


def focal(logits, t, gamma=2.0, alpha=0.75):
    bce = F.binary_cross_entropy_with_logits(logits, t, reduction="none")
    weight = (1 - torch.exp(-bce)) ** gamma
    return ((alpha * t + (1 - alpha) * (1 - t)) * weight * bce).mean()


def own_bce(p, t):
    return -(t * (p + 1e-6).log() + (1 - t) * (1 - p + 1e-6).log()).mean()


def soft_dice(net, x, y, activation):
    net.eval()
    with torch.no_grad():
        found = activation(net(x))
    return (2 * (found * y).sum() / (found.sum() + y.sum() + 1e-6)).item()


@family(
    kind="segmentation",
    loss="own",
    faults={
        "relu-before-focal": ("output-activation", "loss-does-not-fit-output"),
        "softmax-of-one-channel": ("output-activation", "same-answer-for-all"),
        "eval-since-sanity-check": ("mode-not-restored", "input-out-of-range"),
        "channel-lost": ("shapes-broadcast",),
        "sigmoid-and-sigmoid": ("activation-twice",),
    },
    sound=("focal", "tversky"),
)
def spot_finder(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    x, y = frames(320, seed)
    xt, yt = frames(120, 1000 + seed)
    net = conv_net(
        {
            "relu-before-focal": "relu",
            "softmax-of-one-channel": "softmax",
            "sigmoid-and-sigmoid": "sigmoid",
        }.get(variant, "")
    )
    activation = nn.Identity() if variant == "softmax-of-one-channel" else torch.sigmoid
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    if variant == "tversky":
        opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    if variant == "eval-since-sanity-check":
        soft_dice(net, xt, yt, activation)
    with watch(net, opt) as monitor:
        for _epoch in range(18):
            if variant != "eval-since-sanity-check":
                net.train()
            order = torch.randperm(len(x))
            for part in order.split(32):
                out = net(x[part])
                target = y[part]
                if variant == "tversky":
                    loss = tversky(torch.sigmoid(out), target)
                elif variant == "softmax-of-one-channel":
                    loss = own_bce(out, target)
                elif variant == "sigmoid-and-sigmoid":
                    loss = own_bce(torch.sigmoid(out), target)
                elif variant == "channel-lost":
                    target = target.squeeze(1)
                    loss = own_bce(torch.sigmoid(out), target)
                else:
                    loss = focal(out, target)
                opt.zero_grad()
                loss.backward()
                opt.step()
                monitor.step(loss, outputs=out, targets=target)
    score = soft_dice(net, xt, yt, activation)
    return Outcome(score, score > 0.6)

"""A convolutional autoencoder for 8 by 8 crops: raw camera brightness in, contrast 0..1 out."""

import torch
import torch.nn.functional as F
from torch import nn, optim

from benchmarks.programs.frame import Outcome, Watch, family


def crops(n, seed):
    """Smooth random fields between 0 and 1: coarse noise, blown up, with one edge each."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.randn(n, 1, 3, 3, generator=g)
    field = F.interpolate(coarse, size=(8, 8), mode="bicubic", align_corners=True)
    normal = torch.randn(n, 2, 1, 1, generator=g)
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 8)] * 2, indexing="ij"))
    side = (normal * grid).sum(1, keepdim=True) > 0
    return torch.sigmoid(field + 1.5 * side.float() - 0.75)


def camera(contrast):
    """Raw brightness, as the file holds it."""
    return (contrast * 60 + 150).round()


class AutoEncoder(nn.Module):
    def __init__(self, code=12, flat_output=False, softmax=False, dropout=0.0):
        super().__init__()
        self.bn_in = nn.BatchNorm2d(1)
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(16, momentum=0.05)
        self.drop = nn.Dropout(dropout)
        self.squeeze = nn.Linear(256, code)
        self.expand1 = nn.Linear(code, 96)
        self.expand2 = nn.Linear(96, 64)
        self.flat_output = flat_output
        self.softmax = softmax

    def forward(self, x):
        h = F.elu(self.conv1(self.bn_in(x)))
        h = F.elu(self.bn(self.conv2(h)))
        code = self.squeeze(self.drop(h.flatten(1)))
        y = self.expand2(F.elu(self.expand1(code)))
        if self.softmax:
            y = torch.softmax(y, dim=1)
        return y if self.flat_output else y.view(-1, 1, 8, 8)


@family(
    kind="autoencoder",
    loss="standard",
    faults={
        "flat-against-rows": ("shapes-broadcast",),
        "softmax-pixels": ("output-activation",),
        "all-zero": ("initialisation",),
        "left-in-eval": ("mode-not-restored",),
    },
    sound=("plain", "absolute-error"),
)
def crops_autoencoder(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    train_x, val_x = crops(2000, 7 * seed), crops(400, 7 * seed + 1)
    net = AutoEncoder(
        flat_output=variant == "flat-against-rows", softmax=variant == "softmax-pixels"
    )
    if variant == "all-zero":
        for p in net.parameters():
            nn.init.zeros_(p)
    loss_fn = F.l1_loss if variant == "absolute-error" else F.mse_loss
    opt = optim.RMSprop(net.parameters(), lr=2e-3)
    sched = optim.lr_scheduler.CosineAnnealingLR(opt, T_max=15)

    net.train(variant != "left-in-eval")
    with watch(net, opt) as m:
        for _ in range(15):
            perm = torch.randperm(len(train_x))
            for b in range(0, len(train_x), 64):
                t = train_x[perm[b : b + 64]]
                y = net(camera(t))
                if variant == "flat-against-rows":
                    t = t.flatten(2)
                loss = loss_fn(y, t)
                opt.zero_grad()
                loss.backward()
                opt.step()
                m.step(loss, outputs=y, targets=t)
            sched.step()

    net.eval()
    with torch.no_grad():
        y = net(camera(val_x)).view_as(val_x)
        ratio = (F.mse_loss(y, val_x) / F.mse_loss(train_x.mean(0).expand_as(val_x), val_x)).item()
    return Outcome(ratio, ratio < 0.4)

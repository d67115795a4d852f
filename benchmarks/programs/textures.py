"""Which of four textures does each pixel show? Cross entropy and Dice over classes, by hand."""

import torch
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family

N_CLASSES, SIZE = 4, 16


def textures(n: int, gen: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Four quadrants about a random centre, each filled with a texture drawn at random."""
    i = torch.arange(SIZE)
    yy, xx = torch.meshgrid(i, i, indexing="ij")
    fills = torch.stack(
        [
            torch.where(yy % 4 < 2, 1.0, -1.0),
            torch.where(xx % 4 < 2, 1.0, -1.0),
            torch.where((xx + yy) % 2 == 0, 1.0, -1.0),
            torch.zeros(SIZE, SIZE),
        ]
    )
    image = torch.empty(n, 1, SIZE, SIZE)
    label = torch.empty(n, SIZE, SIZE, dtype=torch.long)
    for k in range(n):
        cy, cx = torch.randint(5, 12, (2,), generator=gen).tolist()
        quadrant = 2 * (yy >= cy).long() + (xx >= cx).long()
        kinds = torch.randint(0, N_CLASSES, (4,), generator=gen)
        label[k] = kinds[quadrant]
        image[k, 0] = fills.gather(0, label[k][None])[0]
    return image + 0.4 * torch.randn(image.shape, generator=gen), label


class SegNet(nn.Module):
    def __init__(self, width: int = 9, softmax: bool = False, activation=nn.ReLU) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 5, padding=2)
        self.mid = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.GroupNorm(3, width)
        self.last = nn.Conv2d(width, N_CLASSES, 3, padding=1)
        self.act = activation()
        self.softmax = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.stem(x))
        x = self.act(self.norm(self.mid(x)))
        return self.softmax(self.last(x))


class CeDice(nn.Module):
    """Cross entropy + mean over classes of 1 - Dice, from logits and class ids."""

    def __init__(self, shift: int = 0, smoothing: float = 0.0) -> None:
        super().__init__()
        self.shift, self.smoothing = shift, smoothing

    def forward(self, logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        hot = nn.functional.one_hot((ids + self.shift) % N_CLASSES, N_CLASSES)
        hot = hot.permute(0, 3, 1, 2).float()
        soft = hot * (1 - self.smoothing) + self.smoothing / N_CLASSES
        ce = -(soft * logits.log_softmax(1)).sum(1).mean()
        p = logits.softmax(1)
        overlap = (p * hot).sum((0, 2, 3))
        total = p.sum((0, 2, 3)) + hot.sum((0, 2, 3))
        return ce + (1 - (2 * overlap + 1) / (total + 1)).mean()


@family(
    kind="segmentation",
    loss="own",
    faults={
        "softmax-twice": ("activation-twice",),
        "ids-shifted": ("labels-differ",),
        "sgd-rate-10": ("rate-too-high", "exploding-gradient", "loss-spike", "dead-units"),
        "zero-weights": ("initialisation",),
    },
    sound=("plain", "smoothed-gelu", "sgd"),
)
def textures_ce_dice(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    gen = torch.Generator().manual_seed(10 * seed)
    images, labels = textures(360, gen)
    test_images, test_labels = textures(80, gen)

    if variant == "smoothed-gelu":
        net = SegNet(12, activation=nn.GELU)
    else:
        net = SegNet(softmax=variant == "softmax-twice")
    if variant == "zero-weights":
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
    criterion = CeDice(
        shift=1 if variant == "ids-shifted" else 0,
        smoothing=0.1 if variant == "smoothed-gelu" else 0.0,
    )
    true_criterion = CeDice()
    if variant in ("sgd", "softmax-twice", "sgd-rate-10"):
        opt = torch.optim.SGD(
            net.parameters(), lr=10.0 if variant == "sgd-rate-10" else 0.05, momentum=0.9
        )
    else:
        opt = torch.optim.Adam(net.parameters(), lr=4e-3)

    def accuracy() -> tuple[float, float]:
        net.eval()
        with torch.no_grad():
            out = net(test_images)
            right = (out.argmax(1) == test_labels).float().mean().item()
            loss = true_criterion(out, test_labels).item()
        net.train()
        return loss, right

    batch = 20
    with watch(net, opt) as monitor:
        for _epoch in range(12):
            perm = torch.randperm(len(images))
            for k in range(len(images) // batch):
                take = perm[k * batch : (k + 1) * batch]
                x, y = images[take], labels[take]
                opt.zero_grad(set_to_none=True)
                out = net(x)
                loss = criterion(out, y)
                loss.backward()
                opt.step()
                monitor.step(loss, inputs=x, outputs=out, targets=y)
            loss, right = accuracy()
            monitor.validate(loss=loss, accuracy=right)
    net.eval()
    with torch.no_grad():
        probability = net(test_images).softmax(1).gather(1, test_labels[:, None])
    score = probability.mean().item()  # what pixels' true classes are given
    return Outcome(score, score > 0.75)

"""How far does diabetes progress in a year? A small net on ten columns, as an analyst writes it."""

import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


class Regressor(nn.Module):
    def __init__(self, width: int = 24, norm: bool = False, positive: bool = False):
        super().__init__()
        self.fc1 = nn.Linear(10, width)
        self.norm = nn.BatchNorm1d(width) if norm else nn.Identity()
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(width, 1)
        self.out = nn.ReLU() if positive else nn.Identity()

    def forward(self, x):
        return self.out(self.fc2(self.act(self.norm(self.fc1(x)))))


@family(
    kind="regression",
    loss="standard",
    faults={
        "row-against-column": ("shapes-broadcast",),
        "relu-out": ("output-activation", "targets-out-of-range", "dead-units"),
        "raw-targets": ("targets-out-of-range", "wrong-initial-loss", "rate-too-low"),
        "rebuilt": ("weights-do-not-move",),
        "thirty-people": ("memorises",),
        "rate-1e-5": ("rate-too-low", "too-few-epochs"),
        "huge-column": ("input-out-of-range",),
    },
    sound=("standardised", "batch-norm", "lbfgs"),
)
def diabetes_regression(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    table, progress = load_diabetes(return_X_y=True)
    x_tr, x_te, y_tr, y_te = train_test_split(table, progress, test_size=110, random_state=seed)
    scaler = StandardScaler().fit(x_tr)
    x_tr = torch.tensor(scaler.transform(x_tr), dtype=torch.float32)
    x_te = torch.tensor(scaler.transform(x_te), dtype=torch.float32)
    y_tr = torch.tensor(y_tr, dtype=torch.float32).view(-1, 1)
    y_te = torch.tensor(y_te, dtype=torch.float32).view(-1, 1)
    if variant != "raw-targets":
        centre, spread = y_tr.mean(), y_tr.std()
        y_tr, y_te = (y_tr - centre) / spread, (y_te - centre) / spread
    if variant == "huge-column":
        x_tr[:, 4] = x_tr[:, 4] * 4000 + 90000  # a salary beside nine scores
        x_te[:, 4] = x_te[:, 4] * 4000 + 90000
    if variant == "thirty-people":
        x_tr, y_tr = x_tr[:30], y_tr[:30]
    if variant == "row-against-column":
        y_tr = y_tr.squeeze(1)

    model = Regressor(
        width={"thirty-people": 256, "lbfgs": 8}.get(variant, 24),
        norm=variant == "batch-norm",
        positive=variant == "relu-out",
    )
    loss_fn = nn.MSELoss()
    if variant == "lbfgs":
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=1, history_size=5)
    else:
        rate = {"rate-1e-5": 1e-5, "thirty-people": 5e-3}.get(variant, 2e-3)
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    batch = {"lbfgs": len(x_tr), "thirty-people": 10}.get(variant, 32)
    epochs = {"lbfgs": 160, "thirty-people": 300}.get(variant, 40)

    with watch(model, optimizer) as monitor:
        for _ in range(epochs):
            model.train()
            for rows in torch.randperm(len(x_tr)).split(batch):
                x, y = x_tr[rows], y_tr[rows]

                def closure(x=x, y=y):
                    optimizer.zero_grad()
                    loss = loss_fn(model(x), y)
                    loss.backward()
                    return loss

                if variant == "lbfgs":
                    loss = optimizer.step(closure)
                    monitor.step(loss, inputs=x)
                    continue
                optimizer.zero_grad()
                prediction = model(x)
                if variant == "rebuilt":
                    prediction = torch.tensor(prediction.tolist()).requires_grad_()
                loss = loss_fn(prediction, y)
                loss.backward()
                optimizer.step()
                monitor.step(loss, inputs=x, outputs=prediction, targets=y)
            model.eval()
            with torch.no_grad():
                val = loss_fn(model(x_te), y_te).item()
            monitor.validate(loss=val)

    r2 = 1 - val / y_te.var(correction=0).item()
    return Outcome(r2, r2 > 0.27)

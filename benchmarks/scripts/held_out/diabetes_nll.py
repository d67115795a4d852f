# Progression of diabetes after one year: a network that also says how sure it is (Gaussian NLL).
import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

torch.manual_seed(0)
np.random.seed(0)

X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=1)
x_scaler = StandardScaler().fit(X_train)
y_scaler = StandardScaler().fit(y_train[:, None])


def to_tensors(X, y):
    X = torch.from_numpy(x_scaler.transform(X)).float()
    y = torch.from_numpy(y_scaler.transform(y[:, None])).float()
    return X, y[:, 0]


X_train, y_train = to_tensors(X_train, y_train)
X_test, y_test = to_tensors(X_test, y_test)


class MeanVariance(nn.Module):
    def __init__(self, n_in, n_hidden=24):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, n_hidden), nn.SiLU(), nn.Dropout(0.2))
        self.head = nn.Linear(n_hidden, 2)

    def forward(self, x):
        mean, log_var = self.head(self.body(x)).unbind(dim=1)
        return mean, log_var.clamp(-6, 6)


def gaussian_nll(mean, log_var, y):
    return 0.5 * (log_var + (y - mean) ** 2 * torch.exp(-log_var)).mean()


net = MeanVariance(X_train.shape[1])
opt = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=1e-2)

for epoch in range(40):
    net.train()
    for i in torch.randperm(len(X_train)).split(32):
        opt.zero_grad()
        mean, log_var = net(X_train[i])
        loss = gaussian_nll(mean, log_var, y_train[i])
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        mean, log_var = net(X_test)
        test_nll = gaussian_nll(mean, log_var, y_test).item()
    if epoch % 10 == 9:
        r2 = r2_score(y_test.numpy(), mean.numpy())
        print(f"{epoch + 1:3d}  test NLL {test_nll:.3f}  R2 {r2:.3f}")

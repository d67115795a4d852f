import torch
from sklearn.datasets import make_classification
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)

# data
x, y = make_classification(
    n_samples=4000,
    n_features=20,
    n_informative=10,
    n_redundant=4,
    n_classes=4,
    n_clusters_per_class=1,
    class_sep=1.5,
    random_state=0,
)
x = torch.from_numpy(x).float()
y = torch.from_numpy(y).long()
x = (x - x.mean(0)) / x.std(0)

# shuffle, then split
perm = torch.randperm(len(x))
x, y = x[perm], y[perm]
train_loader = DataLoader(TensorDataset(x[:3200], y[:3200]), batch_size=64, shuffle=True)
valid_loader = DataLoader(TensorDataset(x[3200:], y[3200:]), batch_size=200)

# model
device = "cuda" if torch.cuda.is_available() else "cpu"
net = nn.Sequential(
    nn.Linear(20, 64),
    nn.BatchNorm1d(64),
    nn.ReLU(),
    nn.Linear(64, 64),
    nn.BatchNorm1d(64),
    nn.ReLU(),
    nn.Linear(64, 4),
).to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
scheduler = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=5e-3, epochs=8, steps_per_epoch=len(train_loader)
)

for epoch in range(8):
    net.train()
    for inputs, targets in train_loader:
        inputs, targets = inputs.to(device), targets.to(device)
        optimizer.zero_grad()
        loss = criterion(net(inputs), targets)
        loss.backward()
        optimizer.step()
        scheduler.step()

    net.eval()
    val_loss, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for inputs, targets in valid_loader:
            inputs, targets = inputs.to(device), targets.to(device)
            outputs = net(inputs)
            val_loss += criterion(outputs, targets).item() * len(targets)
            correct += (outputs.argmax(1) == targets).sum().item()
            count += len(targets)
    print("epoch", epoch, "val loss", round(val_loss / count, 4), "val acc", correct / count)

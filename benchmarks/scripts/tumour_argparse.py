"""Benign or malignant? A small network on the Wisconsin breast cancer table."""

import argparse
import random

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn, optim


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--weight-decay", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--log-interval", type=int, default=5)
    return parser.parse_args()


def set_seed(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def load_data(seed):
    table = load_breast_cancer()
    x_train, x_test, y_train, y_test = train_test_split(
        table.data, table.target, test_size=0.25, stratify=table.target, random_state=seed
    )
    scaler = StandardScaler().fit(x_train)
    x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)
    return [torch.as_tensor(a, dtype=torch.float32) for a in (x_train, x_test, y_train, y_test)]


def train(args, model, x, y, optimizer, criterion):
    model.train()
    losses = []
    permutation = torch.randperm(x.size(0))
    for i in range(0, x.size(0), args.batch_size):
        idx = permutation[i : i + args.batch_size]
        optimizer.zero_grad()
        logits = model(x[idx]).squeeze(-1)
        loss = criterion(logits, y[idx])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def test(model, x, y, criterion):
    model.eval()
    with torch.no_grad():
        logits = model(x).squeeze(-1)
        loss = criterion(logits, y).item()
        accuracy = ((logits > 0).float() == y).float().mean().item()
    return loss, accuracy


def main():
    args = parse_args()
    set_seed(args.seed)
    x_train, x_test, y_train, y_test = load_data(args.seed)
    model = nn.Sequential(
        nn.Linear(x_train.size(1), args.hidden),
        nn.ReLU(),
        nn.Linear(args.hidden, args.hidden),
        nn.ReLU(),
        nn.Linear(args.hidden, 1),
    )
    criterion = nn.BCEWithLogitsLoss()
    optimizer = optim.SGD(
        model.parameters(), lr=args.lr, momentum=0.9, weight_decay=args.weight_decay
    )
    for epoch in range(args.epochs):
        train_loss = train(args, model, x_train, y_train, optimizer, criterion)
        test_loss, acc = test(model, x_test, y_test, criterion)
        if (epoch + 1) % args.log_interval == 0:
            print(f"Epoch {epoch + 1}: {train_loss:.4f} test {test_loss:.4f} accuracy {acc:.3f}")


if __name__ == "__main__":
    main()

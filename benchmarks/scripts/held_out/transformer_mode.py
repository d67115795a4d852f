"""Most frequent symbol of a sequence: a small transformer encoder with warmup."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


def get_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--steps", type=int, default=350)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--symbols", type=int, default=6)
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def get_batch(n, length, symbols):
    """Sequences (n, length); of symbols that are equally frequent the smallest is the answer."""
    weights = torch.rand(n, symbols) ** 2 + 0.1
    tokens = torch.multinomial(weights, length, replacement=True)
    return tokens, F.one_hot(tokens, symbols).sum(1).argmax(1)


class Encoder(nn.Module):
    def __init__(self, symbols, length, dim, heads=4, layers=2):
        super().__init__()
        self.embed = nn.Embedding(symbols, dim)
        self.position = nn.Parameter(0.02 * torch.randn(1, length + 1, dim))
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        layer = nn.TransformerEncoderLayer(
            dim, heads, 2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, symbols)

    def forward(self, tokens):
        h = self.embed(tokens)
        h = torch.cat([self.cls.expand(len(h), -1, -1), h], dim=1) + self.position
        return self.head(self.norm(self.blocks(h)[:, 0]))


def main():
    args = get_args()
    torch.manual_seed(args.seed)
    model = Encoder(args.symbols, args.length, args.dim)
    decay = [p for p in model.parameters() if p.dim() > 1]
    no_decay = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": no_decay, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=args.lr)

    def lr_lambda(step):
        return min((step + 1) / args.warmup, (args.warmup / (step + 1)) ** 0.5)

    scheduler = LambdaLR(optimizer, lr_lambda)
    held_out = get_batch(1000, args.length, args.symbols)

    for step in range(1, args.steps + 1):
        model.train()
        tokens, target = get_batch(args.batch_size, args.length, args.symbols)
        loss = F.cross_entropy(model(tokens), target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        if step % 50 == 0:
            model.eval()
            with torch.no_grad():
                logits = model(held_out[0])
                val_loss = F.cross_entropy(logits, held_out[1]).item()
                accuracy = (logits.argmax(-1) == held_out[1]).float().mean().item()
            print(f"step {step}: loss {loss.item():.3f}, val {val_loss:.3f}, acc {accuracy:.3f}")


if __name__ == "__main__":
    main()

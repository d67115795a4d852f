"""Which of 24 notes sound? A multi-label tagger of chords from their spectrum."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

N_NOTES = 24
N_BINS = 64
HARMONICS = (0, 12, 19, 24, 28)  # semitones above the fundamental


def make_chords(n):
    """Spectra (n, 1, N_BINS), a bin for each semitone, and notes (n, N_NOTES) of 0 and 1."""
    notes = (torch.rand(n, N_NOTES) < 0.12).float()
    loudness = notes * (0.5 + torch.rand(n, N_NOTES))
    spectrum = torch.zeros(n, N_BINS)
    for rank, semitones in enumerate(HARMONICS, start=1):
        decay = (0.5 + torch.rand(n, 1)) / rank
        spectrum[:, semitones : semitones + N_NOTES] += decay * loudness
    spectrum = (1 + 10 * spectrum).log() + 0.1 * torch.randn(n, N_BINS)
    return (spectrum - spectrum.mean()).unsqueeze(1), notes


class ChordTagger(nn.Module):
    def __init__(self, channels=16, hidden=128):
        super().__init__()
        self.conv = nn.Conv1d(1, channels, 5, padding=2)
        self.norm = nn.BatchNorm1d(channels)
        self.pool = nn.MaxPool1d(2)
        self.hidden = nn.Linear(channels * N_BINS // 2, hidden)
        self.out = nn.Linear(hidden, N_NOTES)
        self.act = nn.ReLU()

    def forward(self, x):
        x = self.pool(self.act(self.norm(self.conv(x))))
        x = self.act(self.hidden(x.flatten(1)))
        return self.out(x)


class Lit:
    """The hooks of a Lightning module, without Lightning."""

    def __init__(self):
        self.model = ChordTagger()
        self.loss = nn.BCEWithLogitsLoss()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=1e-3)

    def training_step(self, batch):
        spectrum, notes = batch
        return self.loss(self.model(spectrum), notes)

    def validation_step(self, batch):
        spectrum, notes = batch
        logits = self.model(spectrum)
        tags = (logits > 0).float()
        f1 = 2 * (tags * notes).sum() / (tags.sum() + notes.sum())
        return self.loss(logits, notes), f1


def fit(lit, train_loader, val_loader, max_epochs):
    optimizer = lit.configure_optimizers()
    for epoch in range(max_epochs):
        lit.model.train()
        for batch in train_loader:
            loss = lit.training_step(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        lit.model.eval()
        with torch.no_grad():
            scores = [lit.validation_step(batch) for batch in val_loader]
        val_loss, f1 = (torch.stack(score).mean().item() for score in zip(*scores, strict=True))
        print(f"epoch {epoch:2d} loss {loss.item():.4f} val_loss {val_loss:.4f} f1 {f1:.3f}")


def main():
    torch.manual_seed(3)
    train = TensorDataset(*make_chords(3000))
    val = TensorDataset(*make_chords(600))
    fit(
        Lit(),
        DataLoader(train, batch_size=100, shuffle=True, drop_last=True),
        DataLoader(val, batch_size=300),
        max_epochs=15,
    )


if __name__ == "__main__":
    main()

"""A word-level LSTM language model of a made-up grammar with agreement in number."""

import math
import random

import torch
import torch.nn as nn
from torch.utils.data import DataLoader

NOUNS = ("cat", "dog", "bird", "fox")
VERBS = ("sees", "likes", "hears")
ADJECTIVES = ("old", "small", "red")
BPTT = 24


def noun_phrase(rng):
    plural = rng.random() < 0.5
    words = ["these" if plural else "this"]
    while rng.random() < 0.4:
        words.append(rng.choice(ADJECTIVES))
    words.append(rng.choice(NOUNS) + ("s" if plural else ""))
    return words, plural


def sentence(rng):
    subject, plural = noun_phrase(rng)
    verb = rng.choice(VERBS)
    words = [*subject, verb[:-1] if plural else verb, *noun_phrase(rng)[0]]
    if rng.random() < 0.3:
        words += ["near", *noun_phrase(rng)[0]]
    return [*words, "."]


def corpus(n_sentences, seed):
    rng = random.Random(seed)
    return [word for _ in range(n_sentences) for word in sentence(rng)]


class Vocabulary:
    def __init__(self, words):
        self.words = sorted(set(words))
        self.index = {word: i for i, word in enumerate(self.words)}

    def __len__(self):
        return len(self.words)

    def encode(self, words):
        return torch.tensor([self.index[word] for word in words])


def collate(chunks):
    """Tokens (B, T) and for each the one that follows it; the last has none."""
    tokens = torch.stack(chunks)
    following = torch.roll(tokens, -1, dims=1)
    following[:, -1] = -100
    return tokens, following


class LanguageModel(nn.Module):
    def __init__(self, n_tokens, n_embed=32, n_hidden=64, dropout=0.1):
        super().__init__()
        self.encoder = nn.Embedding(n_tokens, n_embed)
        self.rnn = nn.LSTM(n_embed, n_hidden, batch_first=True)
        self.drop = nn.Dropout(dropout)
        self.decoder = nn.Linear(n_hidden, n_tokens)

    def forward(self, tokens, state=None):
        out, state = self.rnn(self.encoder(tokens), state)
        return self.decoder(self.drop(out)), state


def evaluate(model, loader, criterion):
    model.eval()
    losses = []
    with torch.no_grad():
        for tokens, following in loader:
            logits, _ = model(tokens)
            losses.append(criterion(logits.flatten(0, 1), following.flatten()).item())
    return sum(losses) / len(losses)


def sample(model, vocabulary, length=14):
    token, state, words = vocabulary.encode(["."]).unsqueeze(0), None, []
    with torch.no_grad():
        for _ in range(length):
            logits, state = model(token, state)
            token = torch.multinomial(logits[:, -1].softmax(-1), 1)
            words.append(vocabulary.words[token.item()])
    return " ".join(words)


def main():
    torch.manual_seed(11)
    train_words, val_words = corpus(4000, seed=1), corpus(600, seed=2)
    vocabulary = Vocabulary(train_words)

    def loader(words, **options):
        chunks = [c for c in vocabulary.encode(words).split(BPTT) if len(c) == BPTT]
        return DataLoader(chunks, batch_size=32, collate_fn=collate, **options)

    train_loader, val_loader = loader(train_words, shuffle=True), loader(val_words)
    model = LanguageModel(len(vocabulary))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(1, 9):
        model.train()
        for tokens, following in train_loader:
            model.zero_grad()
            logits, _ = model(tokens)
            loss = criterion(logits.flatten(0, 1), following.flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
        val_loss = evaluate(model, val_loader, criterion)
        print(f"| epoch {epoch} | loss {val_loss:.3f} | perplexity {math.exp(val_loss):.2f}")
    print(sample(model, vocabulary))


if __name__ == "__main__":
    main()

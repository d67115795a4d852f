"""A codebook's use, found where a layer takes its rows, against counts of a brute-force search."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus.diagnosis.probes.codebook import APART, of_codes, tables, use
from famulus.diagnosis.probes.probe import Probe

K, D, N = 12, 6, 40
NOTHING = 1e-6  # of distances by products in float32


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def searched(vectors_ND, table_KD):
    """(perplexity, used, size, vectors, apart), each vector held against each row in float64."""
    vectors, table = (np.asarray(t, dtype=np.float64) for t in (vectors_ND, table_KD))
    squares = np.array([[((v - row) ** 2).sum() for row in table] for v in vectors])
    counts = np.bincount(squares.argmin(1), minlength=len(table))
    share = counts[counts > 0] / len(vectors)
    perplexity = np.prod(share**-share)
    apart = squares.min(1).sum() / (vectors**2).sum()
    return [perplexity, (counts > 0).sum(), len(table), len(vectors), apart]


def asked(ids, codebook):
    """Rows that some codes alone serve: a third of the samples each of three, say."""
    return codebook[torch.as_tensor(ids) % len(codebook)]


IDS = {
    "few": [0, 0, 3, 5] * 10,
    "one": [7] * N,
    "all": list(range(N)),
    "uneven": [1] * 30 + [2] * 10,
}


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("noise", [0.0, 0.03, 0.5])
def test_figures_are_those_of_a_search(ids, noise):
    codebook = drawn(K, D)
    vectors = asked(IDS[ids], codebook) + noise * drawn(N, D, seed=1)
    found = use(vectors, [codebook])
    assert found.tolist() == pytest.approx(searched(vectors, codebook), rel=1e-4, abs=NOTHING)


def laid(vectors_ND, layout):
    """The same vectors as layers take them: (B, D, H, W), (B, T, D), or flattened."""
    grid = vectors_ND.reshape(4, 2, 5, D)
    return {
        "pictures": grid.movedim(-1, 1),
        "words": vectors_ND.reshape(4, 10, D),
        "flattened words": vectors_ND.reshape(4, 10 * D),
        "flattened pictures": grid.movedim(-1, 1).flatten(1),
    }[layout]


@pytest.mark.parametrize("layout", ["pictures", "words", "flattened words", "flattened pictures"])
def test_vectors_are_found_in_any_layout(layout):
    codebook = drawn(K, D)
    vectors = asked(IDS["few"], codebook)
    found = use(laid(vectors, layout), [codebook])
    assert found.tolist() == pytest.approx(searched(vectors, codebook), rel=1e-4, abs=NOTHING)


def test_of_several_tables_the_nearest_counts():
    near, far = drawn(K, D), drawn(3 * K, D, seed=5)
    vectors = asked(IDS["few"], near)
    for each in ([near, far], [far, near]):
        assert float(use(vectors, each)[2]) == K
    assert use(vectors, [drawn(K, D + 1)]) is None  # of another width
    assert use(vectors[:, 0], [near]) is None


def test_of_many_vectors_an_even_part_is_looked_at():
    codebook = drawn(K, D)
    vectors = asked(IDS["few"] * 1000, codebook)
    perplexity, used, _, count, apart = use(vectors, [codebook]).tolist()
    assert count <= 2048
    assert (used, apart) == (3, pytest.approx(0, abs=NOTHING))
    assert perplexity == pytest.approx(2 ** (0.5 * 1 + 0.25 * 2 + 0.25 * 2), rel=0.05)


@pytest.mark.parametrize("size", [None, K])
def test_codes_that_are_handed_over(size):
    ids = torch.tensor(IDS["few"]).reshape(4, 2, 5)
    found = of_codes(ids, size)
    assert found["perplexity"] == pytest.approx(2**1.5)  # of shares 1/2, 1/4, 1/4
    assert (found["used"], found["vectors"]) == (3, N)
    assert found.get("size") == size


# -- in nets ---------------------------------------------------------------------------------


class Quantizer(nn.Module):
    """The rows nearest to a layer's vectors; the table is a parameter, an embedding's, or a buffer
    that moves a hundredth of the way to the vectors in each forward pass."""

    def __init__(self, kind, at=1.0):
        super().__init__()
        self.kind, table = kind, at * drawn(K, D)
        if kind == "embedding":
            self.table = nn.Embedding.from_pretrained(table, freeze=False)
        elif kind == "parameter":
            self.table = nn.Parameter(table)
        else:
            self.register_buffer("table", table)

    @property
    def rows(self):
        return self.table.weight if self.kind == "embedding" else self.table

    def forward(self, z_ND):
        ids = torch.cdist(z_ND, self.rows).argmin(1)
        q_ND = self.rows[ids].clone()
        if self.kind == "average":
            with torch.no_grad():
                for k in ids.unique():
                    self.table[k] += 0.01 * (z_ND[ids == k].mean(0) - self.table[k])
        return z_ND + (q_ND - z_ND).detach(), ids  # straight-through


class Coded(nn.Module):
    """Its encoder's hidden layer is as wide as a code, too."""

    def __init__(self, kind="parameter", at=1.0, flat=False):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(9, D), nn.ReLU(), nn.Linear(D, 10 * D))
        self.quantizer = Quantizer(kind, at)
        self.decoder = nn.Linear(10 * D if flat else D, 3)
        self.flat, self.ids = flat, None

    def forward(self, x):
        q_ND, self.ids = self.quantizer(self.encoder(x).reshape(-1, D))
        return self.decoder(q_ND.reshape(len(x), -1) if self.flat else q_ND)


def probed(net, x):
    probe = Probe(net)
    probe.begin(0)
    net(x).square().mean().backward()
    (event,) = probe.take()
    return event.get("codebook")


@pytest.mark.parametrize("kind", ["parameter", "embedding", "average"])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("at", [0.3, 30.0])
def test_a_codebook_is_found_whoever_holds_it(kind, flat, at):
    net = Coded(kind, at, flat)
    found = probed(net, drawn(8, 9, seed=2))
    counts = np.bincount(net.ids.numpy())
    share = counts[counts > 0] / counts.sum()
    assert found["perplexity"] == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-3)
    assert found["used"] == (counts > 0).sum()
    assert (found["size"], found["vectors"]) == (K, 80)


def test_vectors_a_hundredth_away_are_rows_and_others_are_none():
    codebook = drawn(64, 256)
    vectors = asked(range(64), codebook)
    for share, rows in ((0.01, True), (0.5, False)):
        noise = drawn(64, 256, seed=3)
        moved = vectors + share * noise * vectors.norm() / noise.norm()
        assert bool(use(moved, [codebook])[-1] <= APART) is rows


class Labelled(nn.Module):
    """A label's embedding, and a linear layer of one's own."""

    def __init__(self):
        super().__init__()
        self.of_label = nn.Embedding(K, D)
        self.weight = nn.Parameter(drawn(K, D))
        self.last = nn.Linear(D, 3)

    def forward(self, x):
        return self.last(self.of_label(x[:, 0].long().abs() % K)).sum(1) + F.linear(
            self.last.weight.sum(1)[:1] * x[:, :D], self.weight
        ).sum(1)


class Own(nn.Module):
    """A linear layer of one's own, whose weights are a table as well."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(drawn(K, D))
        self.first, self.last = nn.Linear(9, D), nn.Linear(K, 3)

    def forward(self, x):
        return self.last(F.linear(self.first(x).relu(), self.weight))


@pytest.mark.parametrize("net", [Labelled, Own, lambda: nn.Sequential(nn.Linear(9, D))])
def test_what_is_no_codebook(net):
    assert probed(net(), drawn(8, 9, seed=2)) is None


def test_tables_are_those_of_embeddings_and_of_modules_of_ones_own():
    net = nn.ModuleList([Coded(), Coded("embedding"), Coded("average"), nn.BatchNorm1d(8)])
    assert [tuple(t.shape) for t in tables(net)] == [(K, D)] * 3


def test_words_beside_their_places_are_compared_with_nothing():
    """Whose gradient goes to both tables: a large one would be searched at each layer."""
    words, places = nn.Embedding(50, 8), nn.Parameter(torch.zeros(6, 8))
    value = words(torch.arange(24).reshape(4, 6) % 50) + places
    assert use(value, [words.weight]) is None
    assert use(value.detach(), [words.weight]) is not None

"""The examiner against sorting everything."""

import pytest
import torch

from famulus.tasks.pretext.examiner import Examiner, examine, table_picture


def answers(count=300, classes=4, seed=0):
    stream = torch.Generator().manual_seed(seed)
    p = torch.randn(count, classes, generator=stream).mul(2).softmax(1).double()
    return p, torch.randint(classes, (count,), generator=stream), torch.arange(count)


def parts(p, y, i, size=37):
    return zip(p.split(size), y.split(size), i.split(size), strict=True)


def test_lists_are_those_of_a_full_sort():
    p, y, i = answers()
    examiner = examine(parts(p, y, i), 4, keep=7)
    sure, said = p.max(1)
    order = sure.argsort(descending=True)
    wrong = [int(n) for n in order if said[n] != y[n]]
    right = [int(n) for n in order if said[n] == y[n]]
    ids = {
        name: [a.id for a in examiner.select(name, 7)]
        for name in (
            "most wrong",
            "least wrong",
            "most right",
            "least right",
            "most sure",
            "least sure",
        )
    }
    assert ids["most wrong"] == wrong[:7]
    assert ids["least wrong"] == wrong[::-1][:7]
    assert ids["most right"] == right[:7]
    assert ids["least right"] == right[::-1][:7]
    assert ids["most sure"] == order[:7].tolist()
    assert ids["least sure"] == order.flip(0)[:7].tolist()
    two = [n for n in wrong if y[n] == 2]
    assert [a.id for a in examiner.select("most wrong", 7, true=2)] == two[:7]
    assert examiner.accuracy == pytest.approx(len(right) / 300)


def test_counts_are_of_the_right_axis():
    p = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    examiner = examine([(p, torch.tensor([1, 1, 1]), torch.arange(3))], 2)
    assert examiner.true_counts == [0, 3]
    assert examiner.said_counts == [2, 1]
    assert examiner.confusions(5) == [(1, 0, 2)]


def test_confident_misses_of_a_binary_net_come_first():
    """Ranked by P(class 1), the surest false negative would come last."""
    p1 = torch.tensor([0.01, 0.4, 0.6, 0.95])
    p = torch.stack([1 - p1, p1], 1)
    examiner = examine([(p, torch.tensor([1, 1, 0, 0]), torch.arange(4))], 2)
    assert [a.id for a in examiner.select("most wrong", 4)] == [0, 3, 1, 2] or [
        a.id for a in examiner.select("most wrong", 4)
    ] == [0, 3, 2, 1]


def test_random_is_fair_and_the_same_every_time():
    p, y, i = answers(2000)
    examiner = examine(parts(p, y, i), 4, keep=200)
    chosen = [a.id for a in examiner.select("random", 200)]
    assert chosen == [a.id for a in examine(parts(p, y, i, 500), 4, keep=200).select("random", 200)]
    assert 800 < sum(chosen) / 200 < 1200


def test_memory_is_bounded_and_labels_are_checked():
    p, y, i = answers(3000)
    examiner = examine(parts(p, y, i), 4, keep=5)
    assert all(len(k) <= 5 for heaps in examiner._heaps.values() for k in heaps.values())
    with pytest.raises(ValueError, match=r"labels in 0\.\.3, received 0 to 4"):
        Examiner(4).add(p[:2], torch.tensor([0, 4]), i[:2])
    with pytest.raises(ValueError, match="most wrong"):
        examiner.select("worst", 3)


def test_the_table_is_dark_where_answers_are():
    picture = table_picture(torch.tensor([[9, 1], [0, 0]]), cell=10)
    assert picture.shape == (1, 1, 20, 20)
    assert picture[0, 0, 5, 5] < 0.15
    assert picture[0, 0, 5, 15] > 0.85
    assert picture[0, 0, 15, 5] == 1.0


def test_a_table_of_many_classes_keeps_those_of_most_mistakes_and_all_samples():
    examiner = Examiner(30)
    generator = torch.Generator().manual_seed(3)
    examiner.confusion = torch.randint(0, 3, (30, 30), generator=generator)
    examiner.confusion[7, 21] = 500
    examiner.confusion.diagonal().add_(100)  # right answers bring no class to the front
    names = [f"class {n}" for n in range(30)]
    table = examiner.table(names, most=4)
    counts = examiner.confusion.tolist()
    assert len(table.names) == len(table.counts) == 5
    assert {"class 7", "class 21"} < set(table.names)
    assert table.names[-1] == "26 others"
    assert sum(map(sum, table.counts)) == sum(map(sum, counts))
    kept = [names.index(name) for name in table.names[:-1]]
    assert kept == sorted(kept)
    rest = [n for n in range(30) if n not in kept]
    for row, a in zip(table.counts, kept, strict=False):
        assert row[:-1] == [counts[a][b] for b in kept]
        assert row[-1] == sum(counts[a][b] for b in rest)
    assert table.counts[-1][:-1] == [sum(counts[a][b] for a in rest) for b in kept]


def test_a_table_of_few_classes_is_the_confusion_itself():
    examiner = Examiner(2)
    examiner.confusion = torch.tensor([[44, 84], [1, 127]])
    table = examiner.table(["horse", "human"])
    assert (table.names, table.counts) == (["horse", "human"], [[44, 84], [1, 127]])

import itertools
import random

from rtcprobe.verdict.letters import grouped, ordered


def test_of_three_in_a_row_the_middle_one_is_told_from_neither():
    # C 127, A 162, B 187: only C and B differ.
    assert grouped([2, 0, 1], [(1, 2)]) == {2: "a", 0: "ab", 1: "b"}


def test_all_alike_share_one_letter_and_all_apart_have_one_each():
    assert grouped([0, 1, 2], []) == {0: "a", 1: "a", 2: "a"}
    assert grouped([2, 0, 1], [(0, 1), (0, 2), (1, 2)]) == {2: "a", 0: "b", 1: "c"}


def test_two_sides_share_a_letter_exactly_where_no_difference_is_shown():
    rng = random.Random(1)
    for _ in range(200):
        size = rng.randint(2, 7)
        apart = [pair for pair in itertools.combinations(range(size), 2) if rng.random() < 0.5]
        order = rng.sample(range(size), size)
        found = grouped(order, apart)
        for one, two in itertools.combinations(range(size), 2):
            assert bool(set(found[one]) & set(found[two])) == ((one, two) not in apart)
        assert found[order[0]].startswith("a")


def test_a_side_shown_to_be_worse_never_stands_above_a_better_one():
    assert ordered([1.0, 3.0, 2.0], []) == [0, 2, 1]
    assert ordered([1.0, 3.0, 2.0], [(0, 2)]) == [2, 0, 1]  # 0 has the smaller figure, and is shown to be worse than 2
    rng = random.Random(2)
    for _ in range(200):
        size = rng.randint(2, 7)
        truth = rng.sample(range(size), size)
        beaten = [(worse, better) for better, worse in itertools.combinations(truth, 2) if rng.random() < 0.4]
        order = ordered([rng.random() for _ in range(size)], beaten)
        assert all(order.index(better) < order.index(worse) for worse, better in beaten)
    assert ordered([2.0, 1.0, 3.0], [(0, 1), (1, 2), (2, 0)])[0] == 1  # a circle: the figures decide

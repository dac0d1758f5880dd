"""Sizes of search spaces: counted, or estimated within their stated error."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nas.space.chooser import Chooser
from nas.space.size import EnumeratingChooser, space_size


def slots(chooser: Chooser, count: int = 4, options: int = 3) -> None:
    """``sum(options**depth for depth in 1..count)`` networks; questions of skipped slots are inactive."""
    depth = int(chooser.choose("depth", range(1, count + 1), ordered=True))  # type: ignore[arg-type]
    for slot in range(count):
        chooser.choose(f"slot{slot}", range(options), active=slot < depth)


def test_a_small_space_is_counted() -> None:
    size = space_size(slots)
    assert (size.exact, size.size, size.relative_error) == (True, 3 + 9 + 27 + 81, 0.0)
    assert str(size) == "120"


def test_a_large_space_is_estimated_within_its_error() -> None:
    true = sum(5**depth for depth in range(1, 13))
    size = space_size(lambda chooser: slots(chooser, 12, 5))
    assert not size.exact
    assert 0 < size.relative_error < 0.05
    assert abs(size.size - true) < 0.05 * true
    assert str(size).startswith("about 3")


def test_an_estimate_without_error_reads_like_a_count() -> None:
    def build(chooser: Chooser) -> None:
        for layer in range(6):
            chooser.choose(f"bits{layer}", (8, 32))

    counted, estimated = space_size(build), space_size(build, limit=1)
    assert (counted.exact, estimated.exact) == (True, False)
    assert str(counted) == str(estimated) == "64"


def test_many_stages_that_decide_about_slots_stay_precise() -> None:
    def stages(chooser: Chooser) -> None:
        for stage in range(5):
            depth = int(chooser.choose(f"{stage}.depth", (1, 2, 3), ordered=True))  # type: ignore[arg-type]
            for slot in range(3):
                for part, options in (("width", 8), ("kernel", 4)):
                    chooser.choose(f"{stage}.{slot}.{part}", range(options), active=slot < depth)

    true = float(32 + 32**2 + 32**3) ** 5
    size = space_size(stages)
    assert size.relative_error < 0.02
    assert abs(size.size - true) < 4 * 0.02 * true


def test_estimates_are_unbiased_and_repeatable() -> None:
    def build(chooser: Chooser) -> None:
        slots(chooser, 6, 4)

    true = sum(4**depth for depth in range(1, 7))
    sizes = [space_size(build, limit=1, walks=200, seed=seed) for seed in range(30)]
    assert abs(sum(size.size for size in sizes) / 30 - true) < 0.05 * true
    assert space_size(build, limit=1, walks=200, seed=7) == sizes[7]


def test_no_time_is_spent_beyond_the_limit_of_leaves() -> None:
    builds = 0

    def counted(chooser: Chooser) -> None:
        nonlocal builds
        builds += 1
        slots(chooser, 6, 4)

    assert not space_size(counted, limit=100, walks=50).exact
    assert builds <= 20 + 100 + 60


def test_without_time_only_the_fewest_walks_are_made() -> None:
    builds = 0

    def counted(chooser: Chooser) -> None:
        nonlocal builds
        builds += 1
        slots(chooser)

    assert not space_size(counted, max_seconds=0.0).exact
    assert builds == 40


def test_a_space_without_choices_has_one_network() -> None:
    assert space_size(lambda chooser: None).size == 1


@settings(max_examples=40, deadline=None)
@given(st.recursive(st.none(), lambda child: st.lists(child, min_size=1, max_size=3), max_leaves=25))
def test_every_leaf_of_any_tree_is_visited_once(tree: object) -> None:
    seen: list[tuple[int, ...]] = []

    def build(chooser: Chooser) -> None:
        node, path = tree, []
        while node is not None:
            path.append(int(chooser.choose(f"at{path}", range(len(node)))))  # type: ignore[arg-type]
            node = node[path[-1]]  # type: ignore[index]
        seen.append(tuple(path))

    def leaves(node: object) -> int:
        return 1 if node is None else sum(leaves(child) for child in node)  # type: ignore[attr-defined]

    path: list[int] | None = []
    while path is not None:
        chooser = EnumeratingChooser(path)
        build(chooser)
        path = chooser.next_path()
    assert len(set(seen)) == len(seen) == leaves(tree)
    assert space_size(build).size == leaves(tree)

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.browser.seed import seed_database
from tests.browser.seed_hostile import HOSTILE, NAME, seed_hostile
from tests.browser.seed_sparse import seed_sparse
from tests.browser.seed_targets import seed_targets
from trials.analysis.network import folded, stages_of
from trials.reporting.charts.network import MAX_NODES, network_dot, quoted
from trials.store.database.engine import open_engine
from trials.store.read.candidate import CandidateDetail, candidate_detail


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('network') / 'nas.db'}")
    seed_database(engine)
    seed_sparse(engine)
    seed_targets(engine)
    yield engine
    engine.dispose()


def layer(name: str, op: str = "conv2d", macs: int = 100, bits: int = 32) -> dict[str, Any]:
    return {"name": name, "op": op, "output_shape": [1, 8, 4, 4], "parameters": 9, "macs": macs, "bits": bits}


def with_layers(engine: Engine, layers: list[dict[str, Any]]) -> CandidateDetail:
    return replace(candidate_detail(engine, "digits", 0), layers=tuple(layers))


def nodes(dot: str) -> list[str]:
    return re.findall(r"^n\d+ \[.*\]$", dot, re.MULTILINE)


def test_layers_without_macs_join_the_operator_before_them(engine: Engine) -> None:
    names = ["stages.0.blocks.0.expand.conv", "stages.0.blocks.0.expand.norm", "stages.0.blocks.1.conv", "head.fc"]
    detail = with_layers(engine, [layer(name, macs=0 if "norm" in name else 100) for name in names])
    stages = stages_of(detail)
    assert [stage.name for stage in stages] == ["stages.0", "head"]
    assert [block.name for block in stages[0].blocks] == ["blocks.0", "blocks.1"]
    (operator,) = stages[0].blocks[0].operators
    assert (operator.name, operator.ops, operator.shape) == ("expand.conv", ("conv2d", "conv2d"), (8, 4, 4))
    assert operator.parameters == 18


def test_equal_neighbours_fold_and_others_do_not(engine: Engine) -> None:
    blocks = [layer(f"stage.block{place}.conv", bits=8 if place == 5 else 32) for place in range(8)]
    (stage,) = folded(stages_of(with_layers(engine, blocks)))
    assert [(block.name, block.count) for block in stage.blocks] == [
        ("block0 to block4", 5),
        ("block5", 1),
        ("block6 to block7", 2),
    ]


def test_a_large_network_is_drawn_with_few_nodes_and_says_how_often_a_block_repeats(engine: Engine) -> None:
    names = [f"stages.{stage}.blocks.{block}.conv" for stage in range(4) for block in range(125)]
    detail = with_layers(engine, [layer(name, bits=2 ** (1 + int(name[7]))) for name in names])
    dot = network_dot(detail)
    assert len(nodes(dot)) == 4
    assert dot.count("× 125") == 4
    few = with_layers(engine, [layer(name) for name in names[:MAX_NODES]])
    assert len(nodes(network_dot(few))) == MAX_NODES


def test_nodes_say_bits_density_and_time(engine: Engine) -> None:
    profiled = nodes(network_dot(candidate_detail(engine, "pair", 0), "local"))
    assert "80 µs, 39% of the time" in profiled[3]
    assert "8 bits" in profiled[0]
    assert "32 bits" in profiled[3]
    assert "µs" not in network_dot(candidate_detail(engine, "pair", 0))
    sparse = nodes(network_dot(candidate_detail(engine, "sparse", 9)))
    assert [("dashed" in node, "density 0.104" in node) for node in sparse[:2]] == [(False, False), (True, True)]


def test_arrows_follow_the_order_of_execution(engine: Engine) -> None:
    detail = with_layers(engine, [layer("a.x"), layer("a.y"), layer("b.x"), layer("b.y")])
    dot = network_dot(detail)
    assert {"n0 -> n1", "n2 -> n3", "n1 -> n2 [constraint=false]"} <= set(dot.splitlines())
    assert network_dot(replace(detail, layers=())) == ""


@pytest.mark.parametrize(
    "text", ['"]; x [URL="javascript:1', "a\\", "\\N \\G", "a\nb", "&lt;b&gt;", "<b>h</b>", HOSTILE]
)
def test_hostile_names_cannot_leave_their_string(text: str) -> None:
    string = quoted(text, "second row")
    assert re.fullmatch(r'"(?:[^"\\\n&]|\\["\\n]|&amp;)*"', string)


def test_hostile_networks_are_drawn_as_text(tmp_path: Any) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'nas.db'}")
    seed_hostile(engine)
    dot = network_dot(candidate_detail(engine, NAME, 0))
    engine.dispose()
    strings = re.findall(r'label=("(?:[^"\\]|\\.)*")', dot)
    assert len(strings) == dot.count("label=")
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", dot)
    assert not re.search("URL|href|image|lure|script", outside)

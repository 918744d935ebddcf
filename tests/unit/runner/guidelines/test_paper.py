"""The tables' networks: equal work, the paper's channels, and what a graph of them holds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.operators import is_conv, operator_of
from edgeshuffle.runner.guidelines.blocks import TOLERANCE, equal_work
from edgeshuffle.runner.guidelines.networks import to_onnx
from edgeshuffle.runner.guidelines.paper import GUIDELINES, SIZES

TABLES = [(name, size) for name in GUIDELINES for size in SIZES]
# Figures of Tables 1 to 3 for x1 on ARM; of G1, c1 and c2.
CHANNELS = {
    "g1": [(32, 32), (22, 44), (13, 78), (9, 108)],
    "g2": [64, 90, 128, 180],
    "g3": [64],
}


def networks(name, size):
    guideline = GUIDELINES[name]
    return [guideline.network(row, size) for row in guideline.rows]


@pytest.mark.parametrize(("name", "size"), TABLES)
def test_the_rows_of_a_table_have_the_same_work(name, size):
    first, *others = networks(name, size)
    for other in others:
        assert abs(other.macs / first.macs - 1) <= TOLERANCE == 0.02


@pytest.mark.parametrize("name", GUIDELINES)
def test_the_work_is_that_of_the_paper(name):
    (first, *_), (twice, *_), (four, *_) = (networks(name, size) for size in ("x1", "x2", "x4"))
    assert (
        first.macs
        == {"g1": 20 * 32**2, "g2": 10 * 64**2, "g3": 10 * 64**2}.get(
            name, 10 * (2 * 32 * 8 + 9 * 8**2)
        )
        * 56**2
    )
    assert (twice.macs, four.macs) == (4 * first.macs, 16 * first.macs)


def test_channels_are_the_papers_where_these_are_equal_work():
    pairs = [(convs[0].inputs, convs[0].outputs) for convs in convs_of("g1")]
    assert [pair for pair, paper in zip(pairs, CHANNELS["g1"], strict=True) if pair != paper] == [
        # 22 x 44 and 9 x 108 are 5 % less than 32 x 32.
        (22, 47),
        (9, 114),
    ]
    widths = [tuple(dict.fromkeys((c[0].inputs, c[0].outputs))) for c in convs_of("g2")]
    # 180 is no multiple of 8.
    assert widths == [(64,), (90,), (128,), (176, 184)]
    assert [convs[0].inputs for convs in convs_of("g3")] == [64, 45, 32, 45, 32]


def convs_of(name):
    return [network.block.convs for network in networks(name, "x1")]


def test_memory_access_is_equation_1_and_2():
    equal, *_, unequal = networks("g1", "x1")
    hw = 56 * 56
    assert equal.memory_access == 20 * (hw * 64 + 32 * 32)
    assert unequal.memory_access == 20 * (hw * (9 + 114) + 9 * 114)
    *_, grouped = networks("g2", "x1")
    assert grouped.memory_access == 10 * (hw * (176 + 184) + 176 * 184 // 8)


@settings(deadline=None)
@given(
    width=st.integers(16, 600),
    ratio=st.sampled_from([1, 2, 6, 12]),
    groups=st.sampled_from([1, 2, 4, 8]),
)
def test_channels_are_whole_groups_and_the_nearest_work(width, ratio, groups):
    weights = width**2
    first, second = equal_work(weights, ratio, groups)
    assert first % groups == second % groups == 0
    error = abs(first * second / groups / weights - 1)
    # A step of c2 is this share of the work.
    assert error <= max(TOLERANCE, first / 2 / weights) + 1e-9


@pytest.mark.parametrize("name", GUIDELINES)
def test_a_graph_has_the_convolutions_of_its_row_and_nothing_that_moves(name):
    for row, network in zip(GUIDELINES[name].rows, networks(name, "small"), strict=True):
        model = to_ir(to_onnx(network, 0))
        ops = Counter(node.op_type for node in model.graph)
        blocks, block = network.blocks, network.block
        adds = len(block.branches) - 1 + block.shortcut
        relus = sum(conv.relu for conv in block.convs) + block.relu
        assert ops["Conv"] == blocks * len(block.convs), row.name
        assert (ops["Add"], ops["Relu"]) == (blocks * adds, blocks * relus)
        assert ops.total() == ops["Conv"] + ops["Add"] + ops["Relu"]
        costs = [operator_of(node).cost(node).macs for node in model.graph if is_conv(node)]
        assert sum(costs) == network.macs


def test_the_variants_of_g3_and_g4_are_what_they_are_called():
    shapes = {
        row.name: [len(branch) for branch in GUIDELINES["g3"].network(row, "x1").block.branches]
        for row in GUIDELINES["g3"].rows
    }
    assert shapes == {
        "1": [1],
        "2 series": [2],
        "4 series": [4],
        "2 parallel": [1, 1],
        "4 parallel": [1, 1, 1, 1],
    }
    kept = {row.name: GUIDELINES["g4"].network(row, "x1").block for row in GUIDELINES["g4"].rows}
    assert {name: (block.relu, block.shortcut) for name, block in kept.items()} == {
        "ReLU, shortcut": (True, True),
        "ReLU": (True, False),
        "shortcut": (False, True),
        "neither": (False, False),
    }
    assert [conv.kernel for conv in kept["neither"].convs] == [1, 3, 1]


def test_weights_are_the_seeds_and_values_keep_their_size():
    network = networks("g3", "small")[-1]
    same, again, other = (to_onnx(network, seed) for seed in (3, 3, 4))
    assert same.SerializeToString() == again.SerializeToString() != other.SerializeToString()
    session = ReferenceEvaluator(same)
    shape = (1, network.block.channels, *network.pixels)
    image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    assert 0.5 < np.std(session.run(None, {"input": image})[0]) < 2

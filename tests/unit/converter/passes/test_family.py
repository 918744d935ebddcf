"""Every pass on random members of the family: grouped convolutions, residuals, several outputs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from networks import Graph, noise, run_all
from random_graphs import STEPS, family_like, gated, unit_v1

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.graph import constant
from edgeshuffle.converter.operators import KINDS
from edgeshuffle.converter.passes import PASSES, run_passes
from edgeshuffle.converter.passes.dissolve_shuffle.staircase import (
    order_of_reader,
    order_of_source,
)
from edgeshuffle.converter.passes.dissolve_shuffle.trace import is_move


def equal_after_every_pass(graph, proto):
    image = noise(graph.size)
    expected = run_all(proto, image)
    model = to_ir(proto)

    def check(name, changed):
        found = run_all(changed, image)
        assert list(found) == list(expected), name
        for output, value in expected.items():
            assert found[output].shape == value.shape
            assert np.abs(found[output] - value).max() <= 2e-5 * np.abs(value).max(), (name, output)
        assert PASSES[name].run(changed).rewrites == 0, name

    return model, run_passes(model, after=check)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(family_like())
def test_random_graphs_compute_the_same(drawn):
    equal_after_every_pass(*drawn)


def test_the_random_graphs_have_every_operator():
    drawn = set()
    for step in STEPS:

        @settings(max_examples=25, deadline=None, derandomize=True, phases=[Phase.generate])
        @given(family_like([step]))
        def draw(made):
            drawn.update(node.op_type for node in made[1].graph.node)

        draw()
    # The number of a class, which two equal logits may change, is no measure of equal floats.
    assert drawn == set(KINDS) - {"ArgMax"}


def test_what_remains_of_the_shuffle_between_groups_is_one_gather_and_is_told():
    graph = Graph()
    x = graph.relu(graph.conv("input", 24))
    for down in (False, True, False):
        x = unit_v1(graph, x, "5d", 3, down=down)
    model, logs = equal_after_every_pass(graph, graph.classifier(x))
    moves = [node.op_type for node in model.graph if is_move(node)]
    assert sorted(moves) == ["Concat", "Flatten", "Gather", "Gather", "Gather"]
    left = logs[-1].outcome.left
    assert len(left) == 3
    assert all("groups of a grouped convolution" in reason for reason in left)


@pytest.mark.parametrize("groups", [2, 3, 4, 8])
def test_it_has_as_few_runs_as_there_can_be(groups):
    graph = Graph()
    x = graph.relu(graph.conv("input", 72 if groups == 3 else 64))
    for _ in range(2):
        x = unit_v1(graph, x, "5d", groups)
    model, _ = equal_after_every_pass(graph, graph.classifier(x))
    picked = [constant(node.inputs[1]) for node in model.graph if node.op_type == "Gather"]
    runs = [1 + int((np.diff(order) != 1).sum()) for order in picked]
    # Of two runs, a Split and a Concat.
    assert runs == ([] if groups == 2 else [groups**2 - 2 * (groups - 1)] * 2)
    if groups == 2:
        assert [node.op_type for node in model.graph].count("Split") == 2


@settings(max_examples=40, deadline=None)
@given(sources=st.integers(2, 12), readers=st.integers(2, 12))
def test_a_staircase_has_the_same_blocks_on_both_sides_and_fewest_runs(sources, readers):
    made = [(s, d) for s in range(sources) for d in order_of_source(s, readers)]
    read = [(s, d) for d in range(readers) for s in order_of_reader(d, sources, readers)]
    assert sorted(made) == sorted(read)
    follows = dict(itertools.pairwise(made))
    runs = 1 + sum(follows.get(one) != other for one, other in itertools.pairwise(read))
    assert runs == sources * readers - (sources - 1) - (readers - 1)


def test_a_dense_convolution_before_a_shuffle_makes_the_groups_itself():
    graph = Graph()
    x = graph.shuffle(graph.relu(graph.conv("input", 24)), groups=3)
    model, logs = equal_after_every_pass(graph, graph.classifier(graph.grouped(x, 12, 4)))
    assert [node.op_type for node in model.graph if is_move(node)] == ["Flatten"]
    assert logs[-1].outcome.left == ()


def test_an_output_has_the_given_order_and_the_way_to_it_costs_one_gather():
    graph = Graph()
    x = graph.relu(graph.conv("input", 16))
    for _ in range(2):
        kept, y = graph.split(x, 8, 8)
        x = graph.shuffle(graph.concat(kept, graph.relu(graph.conv(y, 8))))
    inner = x
    kept, y = graph.split(x, 8, 8)
    x = graph.shuffle(graph.concat(kept, graph.relu(graph.conv(y, 8))))
    model, _ = equal_after_every_pass(graph, graph.classifier(graph.conv(x, 4), others=[inner]))
    assert [node.op_type for node in model.graph].count("Gather") <= 1


def test_residuals_and_gates_inside_a_unit_need_no_moves_of_their_own():
    counts = []
    for kind in ("plain", "gate", "residual"):
        graph = Graph()
        x = graph.relu(graph.conv("input", 16))
        for _ in range(3):
            kept, y = graph.split(x, 8, 8)
            made = graph.conv(graph.depthwise(graph.relu(graph.conv(y, 8))), 8)
            if kind == "gate":
                made = gated(graph, made)
            elif kind == "residual":
                made = graph.both("Add", y, made)
            x = graph.shuffle(graph.concat(kept, graph.relu(made)))
        model, logs = equal_after_every_pass(graph, graph.classifier(graph.conv(x, 4)))
        assert logs[-1].outcome.left == ()
        counts.append(sum(map(is_move, model.graph)))
    assert counts == [counts[0]] * 3


def test_numbers_a_channel_go_along():
    graph = Graph()
    x = graph.relu(graph.conv("input", 16))
    kept, y = graph.split(graph.shuffle(x), 8, 8)
    slopes = graph.constant(np.float32(graph.random.uniform(0, 1, (8, 1, 1))))
    y = graph.both("Mul", slopes, graph.conv(y, 8))
    x = graph.shuffle(graph.concat(kept, y))
    factors = graph.constant(np.float32(graph.random.uniform(1, 2, (1, 16, 1, 1))))
    x = graph.both("Add", x, factors)
    model, _ = equal_after_every_pass(graph, graph.classifier(graph.conv(graph.shuffle(x), 4)))
    assert not {"Reshape", "Transpose", "Gather"} & {node.op_type for node in model.graph}


def test_a_shuffle_by_a_permutation_matrix_dissolves_too():
    graph = Graph()
    x = graph.relu(graph.conv("input", 16))
    for _ in range(2):
        kept, y = graph.split(x, 8, 8)
        x = graph.concat(kept, graph.relu(graph.conv(y, 8)))
        weight = np.eye(16, dtype=np.float32)[np.arange(16).reshape(2, 8).T.reshape(-1)]
        x = graph._like(graph.add("Conv", x, graph.constant(weight[:, :, None, None]))[0], x)
    model, logs = equal_after_every_pass(graph, graph.classifier(graph.conv(x, 4)))
    assert {log.name: log.outcome.rewrites for log in logs}["permutation_conv"] == 2
    ops = [node.op_type for node in model.graph]
    assert ops.count("Conv") == 5
    assert "Gather" not in ops


def test_a_matrix_with_another_number_or_a_bias_is_a_convolution():
    graph = Graph()
    x = graph.relu(graph.conv("input", 4))
    weight = np.eye(4, dtype=np.float32)[:, :, None, None]
    bias = graph.constant(np.float32([0, 0, 1, 0]))
    x = graph._like(graph.add("Conv", x, graph.constant(weight), bias)[0], x)
    x = graph._like(graph.add("Conv", x, graph.constant(2 * weight))[0], x)
    model, _ = equal_after_every_pass(graph, graph.model(x))
    assert [node.op_type for node in model.graph].count("Conv") == 3


@pytest.mark.parametrize("kind", ["Mul", "Pad", "both"])
def test_what_a_dissolved_shuffle_parted_is_folded(kind):
    graph = Graph()
    x = graph.relu(graph.conv("input", 8))
    if kind != "Mul":
        padded = graph.add("Pad", x, graph.ints(0, 0, 1, 1, 0, 0, 1, 1))[0]
        x = graph._like(padded, x)
        graph.sizes[x] += 2
    if kind != "Pad":
        x = graph.both("Mul", x, graph.constant(np.float32(2)))
    x = graph.conv(graph.shuffle(x), 8)
    model, logs = equal_after_every_pass(graph, graph.classifier(x))
    ops = [node.op_type for node in model.graph]
    assert ops == ["Conv", "Relu", "Conv", "GlobalAveragePool", "Conv", "Flatten"]
    assert [log.name for log in logs] == list(PASSES)


def test_factors_and_pads_before_a_convolution_are_folded_in_turn():
    graph = Graph()
    x = graph.relu(graph.conv("input", 8))
    for pads in (1, 2):
        for _ in range(pads):
            x = graph._like(graph.add("Pad", x, graph.ints(0, 0, 1, 1, 0, 0, 1, 1))[0], x)
            graph.sizes[x] += 2
        x = graph.both("Mul", x, graph.constant(np.float32(2)))
    model, _ = equal_after_every_pass(graph, graph.classifier(graph.conv(x, 8)))
    assert not {"Mul", "Pad"} & {node.op_type for node in model.graph}

"""One model file on a device: its layers, and what each of them costs."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from edgeshuffle.device import replies
from edgeshuffle.device.session import AgentSession, open_agent
from edgeshuffle.errors import needs_extra
from edgeshuffle.runner.profile.costs import Costs, counted_cuts, profiled, timed_cuts
from edgeshuffle.runner.profile.layer import Layer, ProfiledLayer
from edgeshuffle.runner.profile.results import ProfiledFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.device import Device
    from edgeshuffle.progress import Progress
    from edgeshuffle.runner.profile.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """Where and how files are measured; `counts` where instructions are, not times."""

    device: Device
    counts: bool
    cycles: bool
    threads: int
    cores: tuple[int, ...]
    seed: int
    progress: Progress


def measure(measuring: Measuring, subject: Subject) -> ProfiledFile:
    """Profile one file; raises what `profile` does."""
    session = open_agent(
        measuring.device,
        subject,
        subject.path,
        threads=measuring.threads,
        cores=measuring.cores,
        seed=measuring.seed,
    )
    with closing(session), needs_extra(f"Reading {subject.path.name}", "export"):
        of_runtime = _onnx if subject.runtime == "ort" else _tflite
        costs, layers = of_runtime(measuring, session, subject)
    cycles = costs.cycles
    by_profiler = subject.runtime == "ort" and not measuring.counts
    return ProfiledFile(
        runtime=subject.runtime,
        runtime_version=session.ready.runtime_version,
        precision=subject.precision,
        variant=subject.variant,
        path=str(subject.path),
        method="profiler" if by_profiler else "differences",
        whole=costs.whole,
        empty=costs.empty,
        overhead=costs.overhead,
        cycles=cycles.whole if cycles else None,
        layers=tuple(
            ProfiledLayer(**asdict(layer), cost=cost, cycles=own)
            for layer, cost, own in zip(
                layers,
                costs.operators,
                cycles.operators if cycles else [None] * len(layers),
                strict=True,
            )
        ),
    )


def _onnx(
    measuring: Measuring, session: AgentSession, subject: Subject
) -> tuple[Costs, list[Layer]]:
    from edgeshuffle.runner.inspect.onnx_graph import load
    from edgeshuffle.runner.profile.onnx_cuts import onnx_cuts, read_graph
    from edgeshuffle.runner.profile.onnx_layers import OnnxLayers
    from edgeshuffle.runner.profile.told import by_node

    told = session.graph()
    if told is None:
        raise replies.wrong(replies.Graph, session.where, "no graph")
    try:
        graph = read_graph(told)
        nodes = list(graph.graph.node)
        progress = partial(measuring.progress, f"profile {subject.name}")
        if measuring.counts:
            run = by_node(nodes, session.profile(1))
            cuts = [partial(_replace, content=content) for content in onnx_cuts(graph)]
            costs = counted_cuts(session, cuts, progress, cycles=measuring.cycles)
        else:
            costs, run = profiled(session, partial(by_node, nodes), progress)
    except ValueError as err:
        raise replies.wrong(replies.Profile, session.where, str(err)) from err
    shapes = {
        value: shape
        for node, one in zip(nodes, run, strict=True)
        for value, shape in zip(node.output, one.shapes, strict=False)
    }
    source = load(subject.path)
    for name in source.inputs:
        shapes[name] = source.shapes.get(name, session.ready.input_shape)
    return costs, OnnxLayers(source, subject.names).layers(nodes, shapes)


def _tflite(
    measuring: Measuring, session: AgentSession, subject: Subject
) -> tuple[Costs, list[Layer]]:
    from edgeshuffle.runner.inspect.tflite_graph import load
    from edgeshuffle.runner.profile.tflite_cuts import tflite_cut
    from edgeshuffle.runner.profile.tflite_layers import tflite_layers

    content = subject.path.read_bytes()
    found = tflite_layers(load(subject.path), subject.names)
    ends = [0, *(end for end, _ in found)]
    cuts = [partial(_change, changes=tflite_cut(content, end)) for end in ends]
    progress = partial(measuring.progress, f"profile {subject.name}")
    if measuring.counts:
        costs = counted_cuts(session, cuts, progress, cycles=measuring.cycles)
    else:
        uncut = partial(_change, changes=[])
        costs = timed_cuts(session, cuts, uncut, measuring.seed, progress)
    return costs, [layer for _, layer in found]


def _replace(session: AgentSession, *, content: bytes) -> None:
    session.cut([(0, content)])


def _change(session: AgentSession, *, changes: Sequence[tuple[int, bytes]]) -> None:
    session.cut(changes)

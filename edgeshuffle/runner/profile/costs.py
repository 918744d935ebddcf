"""What each layer costs, on the device: by the runtime's profiler, or by cutting the model.

A model of the first k operators costs what these cost, so an operator costs the difference to the
model without it. The differences add up to the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeshuffle.device import replies
    from edgeshuffle.device.session import AgentSession

    # How many of how many measurements are made.
    Done = Callable[[int, int], None]
    # What makes a session's agent run a part of its model.
    Cut = Callable[[AgentSession], None]

ROUNDS: Final = 5
SAMPLES: Final = 20
# Of a round, so that slow boards come to an end.
SECONDS: Final = 0.05
LEAST: Final = 3
WARMUP: Final = 2
COUNTED: Final = 3


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What an inference costs, and its operators, in order: nanoseconds or instructions.

    `empty` is what a model without operators costs, where that is known. `overhead` was taken off
    each operator. `cycles` are the same in estimated cycles, where these were asked for.
    """

    whole: int
    operators: list[int]
    empty: int = 0
    overhead: int = 0
    cycles: Costs | None = None


def profiled(
    session: AgentSession,
    in_order: Callable[[Sequence[replies.OperatorTime]], list[replies.OperatorTime]],
    done: Done,
) -> tuple[Costs, list[replies.OperatorTime]]:
    """By the runtime's profiler, whose operators are put `in_order`; and what it told at last.

    Profiled inferences take turns with others, which tell the whole. The profiler itself takes the
    same few microseconds for every operator: what they take together beyond the whole is that.
    """
    wholes: list[float] = []
    rounds: list[list[int]] = []
    told: list[replies.OperatorTime] = []
    for index in range(ROUNDS):
        done(index, ROUNDS)
        wholes.append(_time(session, SAMPLES))
        told = in_order(session.profile(SAMPLES))
        rounds.append([one.ns for one in told])
    whole = round(min(wholes))
    fastest = [min(times) for times in zip(*rounds, strict=True)]
    overhead = _surplus(fastest, whole)
    operators = [max(0, time - overhead) for time in fastest]
    return Costs(whole=whole, operators=operators, overhead=overhead), told


def timed_cuts(
    session: AgentSession, cuts: Sequence[Cut], whole: Cut, seed: int, done: Done
) -> Costs:
    """By the times of models that are cut, each with more operators, the first without any.

    All of them are measured in turns, in an order that the seed decides. The fastest of several
    rounds counts: what else runs on a device only ever makes it slower. More operators never take
    less time, so where noise says so, the times are evened out (isotonic regression).
    """
    order = np.random.default_rng(seed)
    every = [*cuts, whole]
    found: list[list[float]] = [[] for _ in every]
    for turn in range(ROUNDS):
        for count, index in enumerate(order.permutation(len(every))):
            done(turn * len(every) + count, ROUNDS * len(every))
            every[index](session)
            first = _time(session, WARMUP)
            fitting = int(SECONDS * 1e9 / max(1.0, first))
            found[index].append(_time(session, max(LEAST, min(SAMPLES, fitting))))
    fastest = [min(times) for times in found]
    return _of_marks(round(fastest[-1]), [round(one) for one in _ascending(fastest[:-1])])


def counted_cuts(
    session: AgentSession, cuts: Sequence[Cut], done: Done, *, cycles: bool = False
) -> Costs:
    """By the instructions of models that are cut, which hardly vary, and by estimated cycles."""
    counted, estimated = [], []
    for index, cut in enumerate((None, *cuts)):
        done(index, 1 + len(cuts))
        if cut is not None:
            cut(session)
        session.samples(1)
        counted.append(_instructions(session))
        if cycles:
            estimated.append(session.cycles().estimate)
    return replace(
        _of_marks(counted[0], counted[1:]),
        cycles=_of_marks(estimated[0], estimated[1:]) if cycles else None,
    )


def _of_marks(whole: int, marks: Sequence[int]) -> Costs:
    operators = [after - before for before, after in pairwise(marks)]
    return Costs(whole=whole, operators=operators, empty=marks[0])


def _time(session: AgentSession, n: int) -> float:
    """The mean of the middle half of `n` inferences."""
    samples = sorted(session.samples(n).samples_ns)
    quarter = n // 4
    kept = samples[quarter : n - quarter]
    return sum(kept) / len(kept)


def _instructions(session: AgentSession) -> int:
    return min(counts["instructions"] for counts in session.count(COUNTED))


def _surplus(times: Sequence[int], whole: int) -> int:
    """What to take off each of these for them to add up to the whole, without going below zero."""
    left = sorted(times)
    surplus = sum(left) - whole
    for index, shortest in enumerate(left):
        even = surplus / (len(left) - index)
        if even <= shortest:
            return max(0, math.ceil(even))
        surplus -= shortest
    return 0


def _ascending(values: Sequence[float]) -> list[float]:
    """The nearest values, by least squares, of which none is below the one before.

    Those that are in the wrong order get their mean, with their neighbours if need be (pool
    adjacent violators).
    """
    pools: list[tuple[float, int]] = []
    for value in values:
        mean, size = value, 1
        while pools and pools[-1][0] > mean:
            before, others = pools.pop()
            mean = (before * others + mean * size) / (others + size)
            size += others
        pools.append((mean, size))
    return [mean for mean, size in pools for _ in range(size)]

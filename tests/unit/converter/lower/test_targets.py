from __future__ import annotations

import pytest

from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.lower import REWRITES
from edgeshuffle.converter.lower.targets import TARGETS, candidates, lowering_for, read_costs

KINDS = [(name, precision) for name in EMITTERS for precision in ("fp32", "int8")]


def total(candidate, processors, network):
    return sum(candidate.costs[processor][network] for processor in processors)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", KINDS, ids=".".join)
def test_no_network_gets_dearer_than_without_a_lowering(target, kind):
    found = candidates(target, *kind)
    plain = next(candidate for candidate in found if not candidate.lowering)
    best = found[0]
    assert lowering_for(target, *kind) == best.lowering
    processors = TARGETS[target].processors
    measured = plain.costs.get(processors[0], {})
    assert measured or not best.lowering
    for network in measured:
        assert total(best, processors, network) <= total(plain, processors, network)


def test_small_files_have_no_further_channels():
    for kind in KINDS:
        assert not any(REWRITES[name].ADDS_CHANNELS for name in lowering_for("size", *kind))


def test_every_candidate_can_be_made():
    for candidate in read_costs().candidates:
        assert set(candidate.lowering) <= set(REWRITES)

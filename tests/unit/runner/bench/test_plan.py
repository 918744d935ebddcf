"""Cases, rounds, and how long a case is measured."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_device import (
    FILES,
)
from small_models import artifact

from edgeshuffle.errors import (
    ArtifactError,
    UnknownNameError,
)
from edgeshuffle.runner.bench.plan import SAMPLINGS, BenchOptions, plan, rounds


class TestPlan:
    def test_every_file_is_a_case(self, small):
        cases = plan(BenchOptions(artifact=small)).cases
        assert [case.name for case in cases] == ["ort/fp32", "ort/int8", "litert/fp32"]
        assert [case.path for case in cases] == [small.folder / name for name, _ in FILES]

    def test_runtimes_are_chosen(self, small):
        (case,) = plan(BenchOptions(artifact=small, runtimes=("litert",))).cases
        assert case.name == "litert/fp32"

    def test_an_unknown_runtime(self, small):
        with pytest.raises(UnknownNameError, match="Did you mean 'litert'"):
            plan(BenchOptions(artifact=small, runtimes=("litrt",)))

    def test_no_file_for_a_runtime(self, tmp_path, small):
        only = artifact(tmp_path, FILES[:1], num_classes=2, size=4)
        with pytest.raises(ArtifactError, match="no model file for litert"):
            plan(BenchOptions(artifact=only, runtimes=("litert",)))

    def test_a_runtime_is_not_imported(self, small, monkeypatch):
        monkeypatch.setattr("edgeshuffle.plugins.import_module", pytest.fail)
        assert len(plan(BenchOptions(artifact=small, runtimes=("ort",))).cases) == 2


class TestRounds:
    @settings(max_examples=50, deadline=None)
    @given(cases=st.integers(1, 12), seed=st.integers(0, 2**64))
    def test_each_is_a_permutation_that_the_seed_decides(self, cases, seed):
        first = list(itertools.islice(rounds(cases, seed), 10))
        assert first == list(itertools.islice(rounds(cases, seed), 10))
        for order in first:
            assert sorted(order) == list(range(cases))

    def test_no_case_has_a_place_of_its_own(self):
        orders = list(itertools.islice(rounds(4, 0), 100))
        for place in range(4):
            assert {order[place] for order in orders} == {0, 1, 2, 3}
        assert orders != list(itertools.islice(rounds(4, 1), 100))


@pytest.mark.parametrize(
    ("mode", "samples", "seconds", "enough"),
    [
        ("quick", 127, 9.9, False),
        ("quick", 128, 0.1, True),
        ("quick", 30, 10, True),
        ("quick", 29, 1000, False),
        ("full", 1024, 59.9, False),
        ("full", 1023, 600, False),
        ("full", 1024, 60, True),
    ],
)
def test_a_budget(mode, samples, seconds, enough):
    assert (SAMPLINGS[mode].share(samples, seconds) == 1) == enough


@settings(max_examples=50, deadline=None)
@given(
    mode=st.sampled_from(list(SAMPLINGS)),
    samples=st.integers(0, 10**6),
    seconds=st.floats(0, 10**4),
)
def test_a_share_never_shrinks(mode, samples, seconds):
    sampling = SAMPLINGS[mode]
    share = sampling.share(samples, seconds)
    assert 0 <= share <= 1
    assert sampling.share(samples + 1, seconds) >= share
    assert sampling.share(samples, seconds + 1) >= share

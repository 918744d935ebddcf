from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from places import GOLDEN
from small_models import run

from edgeshuffle.errors import ArtifactError
from edgeshuffle.runner.bench.against import count_changes, refuse_incomparable, time_changes
from edgeshuffle.runner.bench.events import from_line
from edgeshuffle.runner.bench.reading import Measured, read_measured
from edgeshuffle.runner.bench.record import Count
from edgeshuffle.runner.bench.results import report_of
from edgeshuffle.runner.bench.stats import summarize
from edgeshuffle.runner.bench.verdict import judge, slowdown, steady_state

RECORDS = GOLDEN / "bench"
RECORD = read_measured(RECORDS / "version_2.jsonl").records[0]
RUN = from_line((RECORDS / "version_2.jsonl").read_bytes().splitlines(keepends=True)[0])
EMULATED = replace(RECORD.device, emulated=True, counted=True)


def counted(**changes):
    counts = {"instructions": 1_000_000, "dot": 600_000, "widening_mac": 0, "fmla": 400_000}
    return Count(
        manifest_sha256="0" * 64,
        model="made_up",
        device=EMULATED,
        runtime="ort",
        runtime_version="1.32.0",
        precision="int8",
        file="made_up_int8.onnx",
        file_sha256="1" * 64,
        inferences=({**counts, **changes},),
    )


def test_a_change_is_the_ratio_of_medians():
    slower = replace(RECORD, blocks=tuple(tuple(2 * x for x in b) for b in RECORD.blocks))
    (change,) = time_changes([slower], Measured(records=(RECORD,)))
    assert change.ratio.value == 2
    assert change.ratio.low <= 2 <= change.ratio.high
    assert change.same_file
    assert change.significant
    assert change.then.valid


def test_variants_are_compared_each_with_itself():
    slow, fast = (replace(RECORD, variant=name) for name in ("slow", "fast"))
    slow = replace(slow, blocks=tuple(tuple(3 * x for x in b) for b in RECORD.blocks))
    changes = time_changes([fast, slow], Measured(records=(slow, fast)))
    assert [(change.name.split()[-1], change.ratio.value) for change in changes] == [
        ("fast", 1),
        ("slow", 1),
    ]


def test_equal_runs_show_no_difference():
    (change,) = time_changes([RECORD], Measured(records=(RECORD,)))
    assert change.ratio.value == 1
    assert change.significant is False


def test_one_block_is_too_little_to_say():
    one = replace(RECORD, blocks=RECORD.blocks[:1])
    (change,) = time_changes([one], Measured(records=(one,)))
    assert change.significant is None


def test_sustained_runs_are_compared_by_what_has_steady_state():
    random = np.random.default_rng(1)

    def sustained(first):
        half = np.full((16, 32), first), np.full((16, 32), 200_000)
        blocks = np.concatenate(half) + random.integers(0, 1000, (32, 32))
        return replace(
            RECORD, mode="sustained", minutes=1.0, blocks=tuple(map(tuple, blocks.tolist()))
        )

    (change,) = time_changes([sustained(100_000)], Measured(records=(sustained(400_000),)))
    assert change.ratio.value == pytest.approx(1, abs=0.001)


def test_the_other_run_is_judged_too():
    torn = replace(RECORD, finished=False)
    (change,) = time_changes([RECORD], Measured(records=(torn,)))
    assert str(change.then) == "INVALID"
    assert "the device failed before the end" in change.then.reasons[0]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"threads": 2}, "threads is 1 in one run and 2"),
        ({"cores": (4,)}, "cores"),
        ({"mode": "full"}, "mode"),
        ({"runtime_version": "9"}, "runtime_version"),
        ({"model": "other"}, "model"),
        ({"batch": 4}, "batch is 1 in one run and 4"),
        ({"device": replace(RECORD.device, governor="powersave")}, "governor"),
        ({"device": replace(RECORD.device, cpu="other")}, "cpu"),
        ({"device": replace(RECORD.device, hostname="other")}, "hostname is pi in one run"),
        ({"device": replace(RECORD.device, kernel="5.10")}, "kernel is 6.12.25 in one run"),
        ({"minutes": 2.0}, "minutes is 1.0 in one run and 2.0"),
    ],
)
def test_different_conditions_are_refused_by_name(changed, field):
    now = replace(RECORD, minutes=1.0)
    then = replace(now, **changed)
    with pytest.raises(ArtifactError, match=f"cannot be compared: {field}"):
        time_changes([now], Measured(records=(then,)))
    if "runtime_version" not in changed:
        with pytest.raises(ArtifactError, match=f"cannot be compared: {field}"):
            refuse_incomparable(replace(RUN, minutes=1.0), Measured(records=(then,)))


def test_what_earlier_versions_did_not_record_is_not_compared():
    old = replace(RECORD, device=replace(RECORD.device, hostname=None, kernel=None))
    assert len(time_changes([RECORD], Measured(records=(old,)))) == 1


def test_times_and_instructions_are_refused():
    with pytest.raises(ArtifactError, match="instruction counts"):
        time_changes([RECORD], Measured(counts=(counted(),)))
    with pytest.raises(ArtifactError, match="instruction counts"):
        count_changes([counted()], Measured(records=(RECORD,)))
    with pytest.raises(ArtifactError, match="This run is of times, the one to compare with of"):
        refuse_incomparable(RUN, Measured(counts=(counted(),)))


class TestCounts:
    def change(self, **changes):
        (found,) = count_changes([counted(**changes)], Measured(counts=(counted(),)))
        return found

    def test_equal_ones(self):
        found = self.change()
        assert (found.ratio, found.significant, found.classes) == (1, False, {})

    def test_what_changed_is_named(self):
        found = self.change(instructions=1_100_000, dot=400_000, load=300_000)
        assert found.ratio == 1.1
        assert found.significant
        assert found.classes == {"dot": (600_000, 400_000), "load": (0, 300_000)}

    def test_what_counts_vary_by_is_no_change(self):
        found = self.change(instructions=1_000_900, dot=600_900)
        assert (found.significant, found.classes) == (False, {})

    def test_the_host_of_an_emulated_board_does_not_matter(self):
        other = replace(counted(), device=replace(EMULATED, hostname="x", kernel="y", python="z"))
        assert len(count_changes([counted()], Measured(counts=(other,)))) == 1

    def test_another_board_does(self):
        other = replace(counted(), device=replace(EMULATED, cpu="other"))
        with pytest.raises(ArtifactError, match="cannot be compared: cpu"):
            count_changes([counted()], Measured(counts=(other,)))


def test_runs_without_a_common_file():
    with pytest.raises(ArtifactError, match="in common"):
        time_changes([RECORD], Measured(records=(replace(RECORD, precision="int8"),)))


def test_the_report_command_compares(tmp_path, capsys):
    file = RECORDS / "valid.jsonl"
    assert run("report", file, "--against", file) == 0
    assert "1.000 (" in capsys.readouterr().out
    assert run("report", tmp_path / "none.jsonl") == ArtifactError.exit_code
    assert "There is no file" in capsys.readouterr().err
    (tmp_path / "text.jsonl").write_text("hello\n")
    assert run("report", tmp_path / "text.jsonl") == ArtifactError.exit_code
    assert "holds no records" in capsys.readouterr().err


def test_a_sustained_run_is_judged_by_its_second_half():
    blocks = ((100,) * 32,) * 10 + ((200,) * 32,) * 10
    record = replace(RECORD, mode="sustained", blocks=blocks, threads=1)
    assert steady_state(record) == ((200,) * 32,) * 10
    assert slowdown(blocks) == 2
    assert steady_state(replace(record, mode="full")) == blocks
    hot = replace(
        record,
        during=(replace(RECORD.before, throttled=0x4, clock_khz=1),),
        before=replace(RECORD.before, throttled=0, clock_khz=2),
    )
    assert judge(hot, summarize(steady_state(hot))).valid


def test_what_cannot_be_compared_is_shown_all_the_same(tmp_path):
    other = replace(RECORD, runtime_version="9")
    report = report_of(
        Measured(records=(RECORD,), missing=("ort int8",)), tmp_path, Measured(records=(other,))
    )
    assert report.changes == ()
    assert "runtime_version is 1.32.0 in one run and 9 in the other" in str(report.problem)
    assert report.cases[0].verdict.valid
    assert report.notes == ("ort int8 has no samples: the run was cut off",)

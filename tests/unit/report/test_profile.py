"""Tables and words of a profile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeshuffle.device import DeviceInfo
from edgeshuffle.report import profile as shown
from edgeshuffle.report.table.text import text
from edgeshuffle.runner.profile.kinds import ELEMENT_WISE, OUTSIDE, POINTWISE, SHUFFLE
from edgeshuffle.runner.profile.layer import ProfiledLayer
from edgeshuffle.runner.profile.results import ProfiledFile, ProfileReport

DEVICE = DeviceInfo(
    machine="aarch64",
    cpu="Raspberry Pi 4",
    cores=4,
    is_arm=True,
    governor=None,
    clock_khz=None,
    temperature_mc=None,
    load=None,
    python="3.11",
)


def layer(name, kind, cost):
    macs = 1000 if kind == POINTWISE else 0
    return ProfiledLayer(name=name, op="Conv", kind=kind, macs=macs, accesses=500, cost=cost)


STOCK = ProfiledFile(
    runtime="ort",
    runtime_version="1.32.0",
    precision="fp32",
    variant="stock.onnx",
    path="stock.onnx",
    method="profiler",
    whole=1_000_000,
    empty=0,
    overhead=2000,
    layers=(
        layer("stage2.0.branch1.0", POINTWISE, 500_000),
        layer("add", ELEMENT_WISE, 150_000),
        layer("shuffle", SHUFFLE, 250_000),
        layer("strange", POINTWISE, 50_000),
    ),
)
OURS = replace(
    STOCK,
    variant="ours.onnx",
    path="ours.onnx",
    whole=700_000,
    layers=(*STOCK.layers[:2], STOCK.layers[3]),
)
REPORT = ProfileReport(device=DEVICE, threads=1, unit="ns", files=(STOCK, OURS))


def words(report):
    return " ".join(" ".join(text(table) for table in shown.tables(report, 2)).split())


def test_kinds_add_up_to_the_whole():
    costs = {part.kind: part.cost for part in STOCK.parts}
    assert costs == {POINTWISE: 550_000, ELEMENT_WISE: 150_000, SHUFFLE: 250_000, OUTSIDE: 50_000}
    assert STOCK.explained == pytest.approx(95)


def test_the_costliest_layers_stand_in_their_order():
    table = shown.tables(REPORT, 2)[1]
    assert [row[0] for row in table.rows] == ["stage2.0.branch1.0", "shuffle"]
    assert "the 2 costliest of 4 layers" in table.title
    assert len(shown.tables(REPORT)[1].rows) == 4


def test_what_shuffles_cost_is_said():
    found = words(REPORT)
    assert "stock.onnx: channel shuffles are 25.0 % of it; ours.onnx, which has none" in found
    assert "takes 0.700 of its time" in found
    (one,) = shown.data(REPORT)["comparisons"]
    assert one["ratio"] == pytest.approx(0.7)
    other = replace(REPORT, files=(STOCK, replace(OURS, precision="int8")))
    assert not shown.data(other)["comparisons"]


def test_disturbed_times_are_told():
    assert "Do not quote" not in words(REPORT)
    late = replace(REPORT, files=(replace(STOCK, whole=9_000_000),))
    assert "ort fp32 stock.onnx: its operators explain 11 % of it" in words(late)
    assert shown.data(late)["files"][0]["disturbed"] is True
    counted = replace(late, unit="instructions")
    assert "Do not quote" not in words(counted)


def test_tables_fit_and_no_name_is_cut():
    name = "backbone.body.stages.2.blocks.11.branch_main.depthwise_separable.0"
    long = replace(STOCK, layers=(layer(name, POINTWISE, 10**9),))
    for table in shown.tables(replace(REPORT, files=(long,)), 2):
        lines = text(table).splitlines()
        assert max(map(len, lines)) <= 80
        if table.key.endswith("layers"):
            rule = next(index for index, line in enumerate(lines) if line.startswith("─"))
            assert "".join(line.split()[0] for line in lines[rule + 1 :]) == name


def test_plots_have_a_bar_for_each_kind():
    (plot,) = shown.plots(REPORT)
    assert plot.groups == (POINTWISE, ELEMENT_WISE, SHUFFLE, OUTSIDE)
    assert plot.series[1].bars[2] is None
    assert plot.series[0].bars[2].value == pytest.approx(0.25)


def test_what_was_taken_off_for_the_profiler_is_told():
    found = words(replace(REPORT, files=(STOCK,)))
    # Four layers of 2 us each, of 1 ms.
    assert "taken off them evenly (2.0 us each, 1 % of the whole in all)" in found


def test_a_smaller_network_says_nothing_of_shuffles():
    smaller = replace(OURS, layers=OURS.layers[:2])
    assert [one.dissolved for one in replace(REPORT, files=(STOCK, OURS)).comparisons] == [OURS]
    assert not replace(REPORT, files=(STOCK, smaller)).comparisons

"""Files of the tables' rows: both formats compute the same, of nothing but what a row has."""

from __future__ import annotations

import numpy as np
import pytest

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.runner.guidelines.build import build_table
from edgeshuffle.runner.guidelines.paper import GUIDELINES

EVERYTHING = {"precisions": ("fp32", "int8"), "runtimes": tuple(RUNTIMES)}
COMPUTING = {"Conv", "Add", "Relu", "CONV_2D", "ADD"}
ENDS = {"QuantizeLinear", "DequantizeLinear"}


@pytest.mark.parametrize("name", GUIDELINES)
def test_both_formats_compute_the_same(name, tmp_path):
    made = build_table(name, "small", **EVERYTHING, folder=tmp_path, seed=0)
    by_model = {(s.cases[0].file.runtime, s.cases[0].file.precision): s.cases for s in made}
    assert len(by_model) == 4
    for index, row in enumerate(GUIDELINES[name].rows):
        cases = {key: cases[index] for key, cases in by_model.items()}
        assert {case.variant for case in cases.values()} == {row.name}
        outputs = {key: output(case) for key, case in cases.items()}
        exact = outputs["ort", "fp32"]
        np.testing.assert_allclose(
            outputs["litert", "fp32"], exact, atol=1e-4 * np.abs(exact).max()
        )
        noise = outputs["ort", "int8"] - exact
        assert np.square(exact).mean() > 50 * np.square(noise).mean() > 0
        step = cases["litert", "int8"].file.outputs[0].scale
        assert np.abs(outputs["ort", "int8"] - outputs["litert", "int8"]).max() < 2.01 * step


def output(case):
    session = RUNTIMES[case.file.runtime].open_session(str(case.path), 1)
    image = np.random.default_rng(5).standard_normal(session.input_shape, dtype=np.float32)
    return session.run(image)[0]


def test_files_hold_what_computes_and_nothing_that_moves(tmp_path):
    for name in GUIDELINES:
        for subject in build_table(name, "small", **EVERYTHING, folder=tmp_path, seed=0):
            for case in subject.cases:
                more = (
                    ENDS if (case.file.format, case.file.precision) == ("onnx", "int8") else set()
                )
                assert set(case.file.ops) <= COMPUTING | more
                case.check()


def test_a_seed_gives_the_same_files_and_another_one_others(tmp_path):
    options = {"precisions": ("int8",), "runtimes": ("litert",)}
    first, again, other = (
        build_table("g1", "small", **options, folder=tmp_path, seed=seed)[0].manifest_sha256
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_only_what_was_asked_for_is_written(tmp_path):
    options = {"precisions": ("fp32",), "runtimes": ("ort",)}
    (subject,) = build_table("g2", "small", **options, folder=tmp_path, seed=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        case.file.path for case in subject.cases
    ]
    assert {case.file.precision for case in subject.cases} == {"fp32"}

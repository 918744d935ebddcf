"""A public CIFAR-10 checkpoint and its whole test set: accuracy that others measured too."""

from __future__ import annotations

import pytest
from places import CHECKOUT
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.runner.compare import CompareOptions, compare
from edgeshuffle.runner.evaluate import EvaluateOptions, evaluate

DATA = CHECKOUT.parent / "shared" / "data"
CHECKPOINT = DATA / "cifar10_shufflenetv2_x0_5-1308b4e9.pt"
TEST = DATA / "cifar10_test.npz"
CALIBRATION = DATA / "cifar10_calib1000.npz"

pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in (CHECKPOINT, TEST, CALIBRATION)),
    reason=f"no CIFAR-10 checkpoint and images in {DATA}",
)


@pytest.fixture(scope="module", params=["fast", "accurate"])
def artifact(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar") / request.param
    code = run(
        *("export", "--weights", CHECKPOINT, "--int8", "--calib", CALIBRATION, "-o", folder),
        *("--recipe", request.param),
        *("--mean", ".4914,.4822,.4465", "--std", ".2023,.1994,.2010"),
    )
    assert code == 0
    return Artifact.load(folder)


@pytest.fixture(scope="module")
def results(artifact):
    found = evaluate(EvaluateOptions(artifact=artifact, data=TEST))
    return {(result.runtime, result.precision): result for result in found.results}


@pytest.mark.parametrize("runtime", ["ort", "litert"])
def test_float_accuracy_is_reproduced(results, runtime):
    assert results[runtime, "fp32"].n == 10_000
    assert results[runtime, "fp32"].top1 == pytest.approx(90.65, abs=0.005)
    assert results[runtime, "fp32"].top5 == pytest.approx(99.69, abs=0.005)


@pytest.mark.parametrize("runtime", ["ort", "litert"])
def test_int8_keeps_it(results, runtime):
    assert results[runtime, "int8"].top1 >= results[runtime, "fp32"].top1 - 0.2
    assert results[runtime, "int8"].agreement >= 98.8


def test_both_formats_give_the_same_labels(artifact):
    found = compare(CompareOptions(artifact=artifact, data=TEST, limit=1000))
    assert found.agreement["onnx/tflite"] >= 99.9
    assert found.first_wrong is None

"""Whether an answer with exit code 0 is the right one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from campaign.case import Outcome
    from campaign.seeds import Seeds

# Float models are rewritten exactly; only the order of their sums may differ.
TOLERANCE = 1e-3
_PICTURES = 3


def same_outputs(source: Path, artifact: Path) -> str | None:
    """Compare an exported artifact's float files with the model that they were made of."""
    expected, images = _source_outputs(source)
    if not np.isfinite(expected).all():
        return "a model whose outputs are no numbers was exported"
    scale = max(float(expected.std()), 1e-6 * float(np.abs(expected).max()), 1e-30)
    for entry in json.loads((artifact / "manifest.json").read_text())["files"]:
        if entry["precision"] != "fp32":
            continue
        outputs = np.stack([_outputs(artifact / entry["path"], image) for image in images])
        worst = float(np.abs(outputs - expected).max()) / scale
        if not worst <= TOLERANCE:
            return f"{entry['format']} differs from its source by {worst:.3g} standard deviations"
    return None


def same_evaluation(outcome: Outcome, seeds: Seeds) -> str | None:
    """Compare what `evaluate --json` says with what it said of the seed."""
    found, expected = json.loads(outcome.out), seeds.evaluation
    for one, other in zip(found["results"], expected["results"], strict=False):
        for key in ("top1", "agreement", "n"):
            if one[key] != other[key]:
                return f"{key} of {one['file']} is {one[key]} instead of {other[key]}"
        if not _close(one["sqnr_db"], other["sqnr_db"]):
            return f"SQNR of {one['file']} is {one['sqnr_db']} instead of {other['sqnr_db']}"
    return None


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < 1e-3
    return bool(one == other)


def _source_outputs(source: Path) -> tuple[Any, list[Any]]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # The model as it stands, before anybody's optimizations.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in given.shape]
    random = np.random.default_rng(5)
    images = [random.standard_normal(shape, dtype=np.float32) for _ in range(_PICTURES)]
    outputs = [session.run(None, {given.name: image})[0].reshape(-1) for image in images]
    return np.stack(outputs), images


def _outputs(path: Path, image: Any) -> Any:
    from edgeshuffle.artifact.runtimes import RUNTIMES

    session = RUNTIMES["ort" if path.suffix == ".onnx" else "litert"].open_session(str(path), 1)
    (output,) = session.run(image)
    return output.reshape(-1)

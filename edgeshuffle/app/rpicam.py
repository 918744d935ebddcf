"""The JSON for `rpicam-hello --post-process-file`, where its classifier can read the model.

Its conditions are those of rpicam-apps' `tf_stage.cpp` and `object_classify_tf_stage.cpp`: uint8
RGB of 224 x 224 pixels, uint8 scores of which 255 is 1, and a label for each.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edgeshuffle.artifact.metadata import Metadata

SIDE: Final = 224


def why_not(pixels: Metadata | None) -> str | None:
    """Why the model that reads pixels cannot be used by it, or None where it can."""
    if pixels is None or pixels.preprocess is None:
        return (
            "the artifact has no model that reads pixels: export it with --pixels, and make the "
            "folder again"
        )
    if pixels.preprocess.crop != (SIDE, SIDE) or pixels.preprocess.channels != "rgb":
        height, width = pixels.preprocess.crop
        return (
            f"it reads RGB pictures of {SIDE}x{SIDE} pixels only, and the model's are "
            f"{pixels.preprocess.channels.upper()} of {height}x{width}"
        )
    if not pixels.gives_bytes:
        return (
            "it reads probabilities as bytes, and the model gives them as float32: export it with "
            "--pixels uint8"
        )
    if not pixels.labels:
        return "it needs names of the classes: export it with --labels"
    return None


def post_process(model: str, folder: str) -> str:
    """Its two stages: the classifier, and the text in the picture."""
    stages = {
        "object_classify_tf": {
            "number_of_results": 2,
            "number_of_threads": 2,
            "refresh_rate": 5,
            "threshold_high": 0.3,
            "threshold_low": 0.1,
            "model_file": f"/home/pi/{folder}/{model}",
            "labels_file": f"/home/pi/{folder}/labels.txt",
            "display_labels": 1,
            "verbose": 1,
        },
        "annotate_cv": {"fg": 255, "bg": 0, "scale": 1.0, "thickness": 2, "alpha": 0.3},
    }
    return json.dumps(stages, indent=4) + "\n"

"""How the app uses its model: `model.json` for Python, and `settings.h` for C++."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.artifact.preprocess import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.runner.classify.source import Candidate, Source

_VERSION: Final = 1


def settings_json(source: Source, model: Candidate, files: Sequence[str]) -> str:
    """What `agent/classify.py` reads, and which `files` belong to it."""
    told = {
        "version": _VERSION,
        "name": source.name,
        "model": model.path.name,
        "runtime": model.runtime,
        "output": model.gives or "logits",
        "labels": None if source.labels is None else "labels.txt",
        **asdict(source.preprocess_for(model)),
        "files": list(files),
    }
    return json.dumps(told, indent=2, allow_nan=False) + "\n"


def settings_header(source: Source, model: Candidate) -> str:
    """What the C++ program is compiled with."""
    preprocess = source.preprocess_for(model)
    height, width = preprocess.crop
    count = CHANNELS[preprocess.channels]
    return f"""// Made by edgeshuffle, from what the model's artifact says.
#pragma once

constexpr const char* kModel = {json.dumps(model.path.name, ensure_ascii=False)};
constexpr bool kGivesProbabilities = {_truth(model.gives == "probabilities")};
constexpr int kResize = {preprocess.resize}, kHeight = {height}, kWidth = {width};
constexpr int kChannels = {count};
constexpr bool kBgr = {_truth(preprocess.channels == "bgr")};
constexpr float kMean[kChannels] = {{{_floats(preprocess.mean)}}};
constexpr float kStd[kChannels] = {{{_floats(preprocess.std)}}};
"""


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _floats(numbers: tuple[float, ...]) -> str:
    """Literals of the nearest float32."""
    return ", ".join(f"{np.float32(number)!s}f" for number in numbers)

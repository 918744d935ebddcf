"""edgeshuffle puts ShuffleNetV2 on ARM CPUs: export, quantization and trustworthy measurement.

What is public: `export`, `evaluate`, `classify` and `bench` with their options, imported when first
used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from edgeshuffle.artifact import Artifact
    from edgeshuffle.converter.export import Exported, ExportOptions, export
    from edgeshuffle.runner.bench import BenchOptions, bench
    from edgeshuffle.runner.bench.results import BenchReport, InstructionReport, TimeReport
    from edgeshuffle.runner.classify import Classification, ClassifyOptions, classify
    from edgeshuffle.runner.evaluate import EvaluateOptions, Evaluation, evaluate

__version__ = "0.1.0"
__all__ = [
    "Artifact",
    "BenchOptions",
    "BenchReport",
    "Classification",
    "ClassifyOptions",
    "EvaluateOptions",
    "Evaluation",
    "ExportOptions",
    "Exported",
    "InstructionReport",
    "TimeReport",
    "bench",
    "classify",
    "evaluate",
    "export",
]
_HOME: Final = {
    "Artifact": "artifact",
    **dict.fromkeys(("ExportOptions", "Exported", "export"), "converter.export"),
    **dict.fromkeys(("ClassifyOptions", "Classification", "classify"), "runner.classify"),
    **dict.fromkeys(("EvaluateOptions", "Evaluation", "evaluate"), "runner.evaluate"),
    **dict.fromkeys(("BenchOptions", "bench"), "runner.bench"),
    **dict.fromkeys(("BenchReport", "InstructionReport", "TimeReport"), "runner.bench.results"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'edgeshuffle' has no attribute '{name}'")
    return getattr(import_module(f"edgeshuffle.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

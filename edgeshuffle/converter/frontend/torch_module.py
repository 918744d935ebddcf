"""A torch module to an ONNX model, by torch's own exporter."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import onnx


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the exporter's remarks, which speak to torch's developers."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def to_onnx(
    module: torch.nn.Module,
    shape: tuple[int, int, int],
    output_names: Sequence[str] = ("logits",),
) -> onnx.ModelProto:
    """Export for one float32 `input` of `shape` (C, H, W), with a name for each of its outputs."""
    image = torch.zeros(1, *shape)
    with _quiet():
        program = torch.onnx.export(
            module,
            (image,),
            input_names=["input"],
            output_names=list(output_names),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return program.model_proto

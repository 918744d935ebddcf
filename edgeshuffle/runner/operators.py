"""What the converter's operator table says of the operators in a finished ONNX file."""

from __future__ import annotations


def only_moves(kind: str) -> bool:
    """Whether an ONNX operator computes no new numbers: it gives elements of what it reads."""
    from edgeshuffle.converter.operators import KINDS, OPERATORS, Channels, Scale

    if kind not in KINDS:
        return False
    operator = OPERATORS[KINDS[kind]].OPERATOR
    chooses = operator.scale is Scale.TIED and operator.activation == "none"
    return operator.channels is Channels.MOVES or (chooses and not operator.between)

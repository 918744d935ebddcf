"""What the converter's operator table says of the operators in a finished ONNX file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeshuffle.converter.operators import Operator


def known(kind: str) -> Operator | None:
    """All that there is to say of an ONNX operator; None where it has no place in the table."""
    from edgeshuffle.converter.operators import KINDS, OPERATORS

    return OPERATORS[KINDS[kind]].OPERATOR if kind in KINDS else None


def only_moves(kind: str) -> bool:
    """Whether an ONNX operator computes no new numbers: it gives elements of what it reads."""
    from edgeshuffle.converter.operators import Channels, Scale

    operator = known(kind)
    if operator is None:
        return False
    chooses = operator.scale is Scale.TIED and operator.activation == "none"
    return operator.channels is Channels.MOVES or (chooses and not operator.between)

"""How often a layer touches memory, as ShuffleNetV2's guidelines count it."""

from __future__ import annotations


def memory_access_cost(
    *, read: int, written: int, inputs: int, outputs: int, taps: int = 1, groups: int = 1
) -> int:
    """Elements that a convolution reads and writes once each: input, output and weights.

    For a 1x1 convolution over h x w pixels it is hw(c1 + c2) + c1c2/g (arXiv:1807.11164, equations
    1 and 2); a stride makes `written` less than `read`, a kernel of k x k pixels has k*k `taps`,
    and a fully connected layer has one pixel. Biases are left out, as there, and so are caches.

    Args:
        read: Pixels of the input.
        written: Pixels of the output.
        inputs: Channels of the input, c1.
        outputs: Channels of the output, c2.
        taps: Pixels of the kernel.
        groups: Groups of the convolution, `inputs` for a depthwise one.

    Raises:
        ValueError: The groups divide the channels not evenly.
    """
    if inputs % groups or outputs % groups:
        raise ValueError(f"{groups} groups do not divide {inputs} and {outputs} channels")
    return read * inputs + written * outputs + taps * inputs * outputs // groups

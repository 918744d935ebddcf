"""Orders between two grouped convolutions that leave their shuffle in the fewest runs.

Channels of group s that group d reads form the block (s, d). A grouped convolution is free to order
the blocks of each s, the next one those of each d. Two blocks are one run where they follow each
other on both sides: (s, d), (s, d + 1) where d ends, and (s, d), (s + 1, d) where s ends. So S D
blocks make S D - (S - 1) - (D - 1) runs at best, as here: groups s and s + 1 meet in d = 0 for even
s, in the last d for odd s; groups d and d + 1 meet in s = 1 for even d, in s = 0 for odd d.
"""

from __future__ import annotations


def order_of_source(source: int, readers: int) -> list[int]:
    """Groups of the next convolution, in the order in which this group keeps what they read."""
    groups = list(range(readers))
    if source == 0:
        return [*groups[1:], 0]
    return groups if source % 2 else [groups[-1], *groups[1:-1], 0]


def order_of_reader(reader: int, sources: int, readers: int) -> list[int]:
    """Groups of the convolution before, in the order in which this group reads them."""
    groups = list(range(sources))
    if reader == 0:
        return [*groups[2:], 0, 1]
    if reader % 2:
        return [*groups[1:], 0]
    return groups if reader == readers - 1 else [0, *groups[2:], 1]

"""What leaving a device tells: its own failure, unless the block has one that says more."""

from __future__ import annotations

import pytest

from edgeshuffle.device.in_use import InUse
from edgeshuffle.errors import DeviceError, UnknownNameError


class Lost(InUse):
    def _let_go(self):
        return DeviceError("its link broke")


def test_a_failure_at_the_end_is_told():
    with pytest.raises(DeviceError, match="its link broke"), Lost():
        pass


def test_it_does_not_hide_the_block_s_own():
    with pytest.raises(ValueError, match="first"), Lost():
        raise ValueError("first")


def test_cycles_are_for_emulated_boards_only():
    with pytest.raises(UnknownNameError, match="leave out `cycles`"):
        Lost().prepare_cycles()

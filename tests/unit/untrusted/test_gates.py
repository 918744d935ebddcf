from __future__ import annotations

import math

import pytest

from edgeshuffle.errors import UnknownNameError
from edgeshuffle.untrusted.gates import check_gate


@pytest.mark.parametrize("limit", [None, 0, 0.5, 10**400])
def test_a_limit_in_its_range(limit):
    check_gate("`most`", limit, 0)


@pytest.mark.parametrize("limit", [math.nan, math.inf, -math.inf, -0.5, -(10**400)])
def test_no_limit(limit):
    with pytest.raises(
        UnknownNameError, match=r"^`most` .{1,30} is no limit: it must be .* from 0"
    ):
        check_gate("`most`", limit, 0)


def test_both_ends_are_told():
    with pytest.raises(UnknownNameError, match=r"`most` 101 is no limit.* from 0 to 100"):
        check_gate("`most`", 101, 0, 100)

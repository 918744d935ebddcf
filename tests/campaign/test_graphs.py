"""Random members of the family: float-equal after every pass, 10,000 in the long form."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from random_graphs import family_like
from unit.converter.passes.test_family import equal_after_every_pass

from campaign.test_cases import MINUTES

pytestmark = pytest.mark.slow

GRAPHS = 10_000 if MINUTES else 60


@settings(
    max_examples=GRAPHS,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    derandomize=not MINUTES,
    suppress_health_check=list(HealthCheck),
)
@given(family_like())
def test_random_graphs_compute_the_same(drawn):
    equal_after_every_pass(*drawn)

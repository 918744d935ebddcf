"""Thousands of hostile cases: every one ends right or in one line, in time, and leaves nothing."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

import pytest

from campaign.families import FAMILIES
from campaign.pool import Pool, counted, summary

pytestmark = pytest.mark.slow

MINUTES = float(os.environ.get("EDGESHUFFLE_CAMPAIGN_MINUTES") or 0)
FIRST = random.SystemRandom().randrange(10**9) if MINUTES else 0
SHARE = float(os.environ.get("CAMPAIGN_SHARE") or 1)
TOTAL = sum(family.count for family in FAMILIES.values())


@pytest.fixture(scope="module")
def pool(seeds, tmp_path_factory):
    with Pool(seeds, tmp_path_factory.mktemp("pool") / "log") as running:
        yield running


def test_there_are_enough():
    assert TOTAL >= 2500


@pytest.mark.parametrize("family", FAMILIES)
def test_cases(pool, family, capsys):
    count = int(SHARE * FAMILIES[family].count)
    started = time.monotonic()
    # A third of the long form; kills and races take the rest of thirty minutes.
    deadline = started + 60 * MINUTES / 3 * count / TOTAL if MINUTES else None
    results = list(pool.run(family, counted(FIRST, count, deadline)))
    seconds = time.monotonic() - started
    codes = sorted({found["code"] for found in results})
    told = (
        f"{len(results)} cases of {family} from seed {FIRST}, {seconds:.0f} s, exit codes {codes}"
    )
    if MINUTES:
        with capsys.disabled():
            sys.stdout.write(f"\n{told}\n")
    if log := os.environ.get("CAMPAIGN_LOG"):
        with Path(log).open("a") as file:
            file.writelines(json.dumps(found) + "\n" for found in results)
    failed = [found for found in results if found["failures"]]
    assert not failed, f"{told}; {len(failed)} failed\n{summary(failed)}"

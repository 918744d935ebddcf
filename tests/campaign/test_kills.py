"""Commands that are ended at any moment: nothing finished is lost, nothing changed stays so."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import pytest
from running import agents

from campaign import victims
from campaign.test_cases import FIRST, MINUTES

pytestmark = pytest.mark.device

KINDS = ("SIGTERM twice", "SIGKILL", "SIGINT")
LOCAL, REMOTE = (70, 30) if MINUTES else (9, 3)


def schedule(commands, count):
    """Each command with each kind of end, as far as there are enough."""
    return list(islice(zip(cycle(commands), cycle(KINDS)), count))


def test_kills_here(seeds, tmp_path):
    wrong = []
    # Two at once: neither the processor nor anything else is shared well with another one.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = [
            pool.submit(victims.kill, victim, kind, random.Random(f"{FIRST} {i}"), seeds, tmp_path)
            for i, (victim, kind) in enumerate(schedule(victims.local(seeds), LOCAL))
        ]
        for job in jobs:
            wrong += job.result()
    assert not wrong, f"seed {FIRST}\n" + "\n".join(wrong)


def test_kills_on_a_board(seeds, board, tmp_path):
    wrong = []
    commands = victims.remote(seeds, board.address)
    for number, (victim, kind) in enumerate(schedule(commands, REMOTE)):
        found = victims.kill(victim, kind, random.Random(f"{FIRST} {number}"), seeds, tmp_path)
        found += contact(board, tmp_path)
        wrong += [f"{number}: {one}" for one in found]
    assert not wrong, f"seed {FIRST}\n" + "\n".join(wrong)


def contact(board, folder):
    """What is still not as it was after the next contact."""
    code, _, err = victims.Place(folder / "contact").run("devices", "test", board.address)
    if code:
        return [f"the next contact fails: {err}"]
    deadline = time.monotonic() + victims.SETTLE_SECONDS
    while board.left() or agents(board):
        if time.monotonic() > deadline:
            return [f"left on the board: {board.left()} {agents(board)}"]
        time.sleep(0.1)
    now = board.governor_file.read_text().strip()
    board.governor("ondemand")
    return [] if now == "ondemand" else [f"the governor stays {now}"]

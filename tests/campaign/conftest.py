"""Valid files that the whole campaign starts from."""

from __future__ import annotations

import os
from pathlib import Path

import devices
import pytest
from sharing import once

from campaign.seeds import Seeds, make


@pytest.fixture(scope="session")
def seeds(request):
    """Made once; `CAMPAIGN_SEEDS` keeps them for other runs."""

    def fill(folder):
        folder.mkdir()
        make(folder)

    kept = os.environ.get("CAMPAIGN_SEEDS")
    if kept and not Path(kept).exists():
        fill(Path(kept))
    return Seeds(Path(kept) if kept else once(request, "seeds", fill))


@pytest.fixture
def board(tmp_path, monkeypatch):
    """One over ssh, whose governor has something to be set back to."""
    (tmp_path / "boards").mkdir()
    for made in devices.boards("ssh", tmp_path / "boards", monkeypatch):
        started = made()
        started.governor("ondemand")
        yield started

"""Valid files that the whole campaign starts from."""

from __future__ import annotations

import os
from pathlib import Path

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

"""Valid files that the whole campaign starts from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from campaign.seeds import Seeds, make


@pytest.fixture(scope="session")
def seeds(tmp_path_factory):
    """Made once; `CAMPAIGN_SEEDS` keeps them for other runs."""
    made = Seeds(
        Path(os.environ.get("CAMPAIGN_SEEDS") or tmp_path_factory.mktemp("campaign") / "seeds")
    )
    if not made.folder.exists():
        made.folder.mkdir()
        make(made.folder)
    return made

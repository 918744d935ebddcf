"""What all tests share, and what was not tested: told at the very end, in two lines."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

PACKAGES = Path(__file__).with_name("packages.txt")
# Where it is set, a test that a package would have run is a failure.
STRICT = "EDGESHUFFLE_TEST_ALL"
# Small layers on many threads wait for one another, the longer the more processes there are.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def state_of_its_own(tmp_path_factory):
    """Runs of this session do not wait for those of others on this machine."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


def missing_packages(lines):
    """Packages whose program or file is not on this machine."""
    pairs = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return [name for name, brings in pairs if not (shutil.which(brings) or Path(brings).exists())]


def told(skipped, missing):
    """Two lines on how many tests of which files were skipped, and what would run them."""
    counts = ", ".join(f"{name} {count}" for name, count in sorted(skipped.items()))
    yield f"Not tested: {skipped.total()} tests ({counts})."
    if missing:
        yield f"To test them: apt-get install {' '.join(missing)}"
    else:
        yield "No package would change that; the reasons are above."


def is_worker(config):
    """Whether this process runs tests for another one, which tells of them."""
    return hasattr(config, "workerinput")


class Skips:
    """Counts skipped tests by file, whichever process ran them."""

    def __init__(self):
        self.counted = Counter()

    def pytest_runtest_logreport(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            self.counted[Path(report.location[0]).stem.removeprefix("test_")] += 1


SKIPS = pytest.StashKey[Skips]()


def pytest_configure(config):
    if not is_worker(config):
        config.stash[SKIPS] = Skips()
        config.pluginmanager.register(config.stash[SKIPS])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if is_worker(session.config):
        return
    skipped = session.config.stash[SKIPS].counted
    missing = missing_packages(PACKAGES.read_text().splitlines())
    if os.environ.get(STRICT) and skipped and missing and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    skips = config.stash.get(SKIPS, None)
    if skips is not None and skips.counted:
        for line in told(skips.counted, missing_packages(PACKAGES.read_text().splitlines())):
            print(line)  # noqa: T201

"""The set-up of the tests themselves: what they skip is told, and CI does not go on without it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from places import CHECKOUT

SKIPPING = """
import pytest

@pytest.mark.skip(reason="adb is not installed")
def test_phone(): pass

def test_board():
    pytest.skip("qemu-user is not installed")

def test_done(): pass
"""


@pytest.fixture
def suite(tmp_path):
    """A test suite with this one's conftest, that needs two programs of which there is one."""
    shutil.copy(CHECKOUT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "packages.txt").write_text("# a comment\ndash  sh\nqemu-none  qemu-of-no-kind\n")
    (tmp_path / "test_devices.py").write_text(SKIPPING)
    return tmp_path


def run_suite(suite, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=suite,
        env={**os.environ, "EDGESHUFFLE_TEST_ALL": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_what_was_skipped_is_told_in_the_last_two_lines(suite, workers):
    done = run_suite(suite, "-n", str(workers))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-2:] == [
        "Not tested: 2 tests (devices 2).",
        "To test them: apt-get install qemu-none",
    ]


def test_nothing_is_told_where_nothing_was_skipped(suite):
    assert "Not tested" not in run_suite(suite, "-k", "done").stdout


def test_where_all_should_be_tested_a_skip_for_want_of_a_package_fails(suite):
    for workers in ("0", "2"):
        assert run_suite(suite, "-n", workers, EDGESHUFFLE_TEST_ALL="1").returncode == 1
    (suite / "packages.txt").write_text("dash  sh\n")
    done = run_suite(suite, EDGESHUFFLE_TEST_ALL="1")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("No package would change that")


@pytest.fixture
def machine(tmp_path):
    """A checkout with .ci/run, and programs that note how they were called."""
    for file in (".ci/run", "tests/packages.txt"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / file, tmp_path / file)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "sed", "id"):
        (programs / name).symlink_to(shutil.which(name))

    def run(**said):
        for name, status in said.items():
            program = programs / name.replace("_", "-")
            program.write_text(
                f'#!{shutil.which("bash")}\necho "{program.name} $EDGESHUFFLE_TEST_ALL $*" '
                f">> {tmp_path}/calls\nexit {status}\n"
            )
            program.chmod(0o755)
        done = subprocess.run(
            [tmp_path / ".ci" / "run"],
            env={"PATH": str(programs)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done, (tmp_path / "calls").read_text()

    return run


def test_ci_fails_where_packages_cannot_be_installed(machine):
    done, calls = machine(apt_get=100, dpkg=1, sudo=1, python3=0)
    assert done.returncode == 1
    assert "apt-get install adb buildah" in done.stderr
    assert "python3" not in calls


def test_ci_installs_what_is_missing_and_then_tests_all(machine):
    done, calls = machine(apt_get=0, dpkg=1, sudo=0, python3=0)
    assert done.returncode == 0
    assert re.search(r"(apt-get|sudo)  .*install .*qemu-user-static", calls)
    assert calls.splitlines()[-1] == "python3 1 tools/run.py test"


def test_ci_without_apt_tests_what_it_can(machine):
    done, calls = machine(python3=0)
    assert (done.returncode, calls) == (0, "python3  tools/run.py test\n")


@pytest.mark.parametrize(
    "arguments", [[], ["nothing"], ["test", "5"], ["campaign", "x"], ["campaign", "1", "2"]]
)
def test_a_job_that_is_none_is_explained(arguments):
    done = subprocess.run(
        [sys.executable, CHECKOUT / "tools" / "run.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "campaign [MINUTES]" in done.stderr

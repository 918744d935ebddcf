"""CONTRIBUTING.md's pages are followed to the letter, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from places import CHECKOUT

pytestmark = pytest.mark.slow

TEXT = (CHECKOUT / "CONTRIBUTING.md").read_text("utf-8")
PAGES = dict(re.findall(r"^## (Add [^\n]+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def copy(tmp_path):
    """The package and the tests, with the models linked."""
    folder = tmp_path / "copy"
    for name in ("edgeshuffle", "tests", "models"):
        shutil.copytree(
            CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(CHECKOUT / "pyproject.toml", folder)
    return folder


def follow(page, folder):
    """Do what a page says; the tests that it adds."""
    tests = []
    for kind, text in BLOCK.findall(PAGES[page]):
        first, _, rest = text.partition("\n")
        name = first.removeprefix("# ")
        file = folder / name
        if kind == "diff":
            lines = rest.splitlines()
            old = "\n".join(line[1:] for line in lines if line.startswith("-"))
            new = "\n".join(line[1:] for line in lines if line.startswith("+"))
            before = file.read_text("utf-8")
            assert before.count(old) == 1, f"{name} has changed: {old}"
            file.write_text(before.replace(old, new), "utf-8")
            continue
        assert not file.exists(), name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(rest, "utf-8")
        if name.startswith("tests/"):
            tests.append(name)
    return tests


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_right(page, copy):
    tests = follow(page, copy)
    assert tests, "a page ends with its test"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert f"{len(tests)} passed" in done.stdout


def test_linters_find_nothing_in_what_the_pages_add(copy):
    for page in PAGES:
        follow(page, copy)
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy", "edgeshuffle"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=copy, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_one(page):
    assert len(PAGES[page].splitlines()) <= 80

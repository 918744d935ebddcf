"""Which engine is taken: the one that was asked for, or the first that answers."""

from __future__ import annotations

import pytest

from edgeshuffle.containers.engines import ENGINES, answers, choose_engine
from edgeshuffle.errors import ContainerError, UnknownNameError


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Puts programs there that end with a status, and nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(**statuses):
        for name, status in statuses.items():
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\nexit {status}\n")
            program.chmod(0o755)

    return put


def test_a_program_answers_if_it_ends_well(programs):
    programs(good=0, bad=1)
    assert answers("good", "info")
    assert not answers("bad")
    assert not answers("none")


def test_the_first_that_works_is_taken(programs):
    programs(docker=1, podman=0, buildah=0)
    name, engine = choose_engine(None)
    assert name == "podman"
    assert engine is ENGINES["podman"]


def test_one_that_is_asked_for_has_to_work(programs):
    programs(docker=0, podman=1, buildah=0)
    assert choose_engine("docker")[0] == "docker"
    with pytest.raises(ContainerError, match="podman does not work here"):
        choose_engine("podman")
    with pytest.raises(UnknownNameError, match="docker, podman, buildah"):
        choose_engine("lxc")

"""Every engine's commands: what an image may do, and where names end up."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import CHECKOUT
from small_models import run

from edgeshuffle import __version__
from edgeshuffle.containers import engines
from edgeshuffle.containers.engines import ENGINES, ContainerRun, ImageBuild, choose_engine
from edgeshuffle.containers.follow import follow
from edgeshuffle.containers.targets import TARGETS, base_images, tag
from edgeshuffle.errors import ContainerError

BAKE = (CHECKOUT / "docker/docker-bake.hcl").read_text()


def build(engine, target="runner", platform="linux/arm64", **given):
    settings = {"PYTHON_IMAGE": "base", "PIP_INDEX_URL": "http://index/simple"}
    return ENGINES[engine].build(
        ImageBuild(
            target=TARGETS[target],
            platform=platform,
            checkout=CHECKOUT,
            settings=settings,
            pip_conf=given.get("pip_conf"),
        )
    )


def pairs(argv):
    return set(itertools.pairwise(argv))


@pytest.mark.parametrize("engine", ENGINES)
def test_building(engine):
    argv = build(engine, pip_conf=Path("/home/me/pip.conf"))
    assert argv[0] == engine
    said = " ".join(argv)
    assert "linux/arm64" in said
    assert "edgeshuffle-runner:arm64" in said
    assert "PYTHON_IMAGE=base" in said
    assert "PIP_INDEX_URL=http://index/simple" in said
    assert "id=pip_conf,src=/home/me/pip.conf" in said


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bundle_is_a_folder(engine):
    said = " ".join(build(engine, "bundle"))
    assert "--tag" not in said
    assert ".tags=" not in said
    # Bake has the folder from its own file.
    assert engine == "docker" or "type=local,dest=build/bundle" in said


@pytest.mark.parametrize("board", [None, Path("/board")])
@pytest.mark.parametrize("engine", ENGINES)
def test_running(engine, board):
    argv = ENGINES[engine].run(
        ContainerRun(
            image="edgeshuffle:arm64",
            platform="linux/arm64",
            arguments=("bench", "a b; rm -rf /"),
            environment={"QEMU_CPU": "cortex-a76"},
            folder=Path("/my work"),
            board=board,
            network=False,
        )
    )
    assert argv[-2:] == ["bench", "a b; rm -rf /"]
    assert {("--volume", "/my work:/work"), ("--env", "QEMU_CPU=cortex-a76")} <= pairs(argv)
    assert (board is not None) == any("/board" in part for part in argv)
    if engine != "buildah":
        assert {
            ("--network", "none"), ("--cap-drop", "ALL"), ("--tmpfs", "/tmp"), ("--pull", "never"),
        } <= pairs(argv)  # fmt: skip
        assert "--read-only" in argv


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_the_targets_are_those_of_the_bake_file(target):
    block = re.search(rf'target "{target.name}" \{{(.*?)\n\}}', BAKE, re.DOTALL).group(1)
    assert f'dockerfile = "{target.dockerfile}"' in block
    listed = re.search(r"platforms\s*= \[(.*?)\]", block).group(1)
    assert tuple(re.findall(r'"(.*?)"', listed)) == target.platforms
    if target.image:
        assert f"${{REGISTRY}}{target.image}:" in block
    else:
        assert f"dest={target.output}" in block
    assert (CHECKOUT / target.dockerfile).is_file()


def test_every_base_image_is_a_variable_of_the_bake_file():
    for name, image in base_images(CHECKOUT).items():
        assert re.search(rf"^    {name} += {name}$", BAKE, re.MULTILINE)
        for file in sorted((CHECKOUT / "docker").glob("*.Dockerfile")):
            assert f"ARG {name}={image.partition('@')[0]}\n" in file.read_text()


def test_tags():
    assert f'variable "VERSION" {{ default = "{__version__}" }}' in BAKE
    assert tag(TARGETS["runner"], "linux/arm/v7") == "edgeshuffle-runner:arm-v7"


def test_no_engine(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ContainerError, match="install Docker and start it"):
        choose_engine(None)
    assert run("image", "build", "--checkout", CHECKOUT, "--engine", "podman") == 12
    assert "podman does not work here" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["#!/bin/sh\nexec /bin/sleep 60\n", "#!/bin/sh\nexit 1\n", "\0"])
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_does_not_answer(engine, script, tmp_path, monkeypatch, capsys):
    program = tmp_path / engine
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(engines, "_ANSWER_SECONDS", 0.2)
    assert run("image", "build", "--checkout", CHECKOUT, "--engine", engine) == 12
    assert f"{engine} does not work here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("exec /usr/bin/python3.11: exec format error", "qemu-user-static"),
        ("ERROR: no match for platform in manifest sha256:1", "another `platform`"),
        ("no image found in image index for architecture s390x", "another `platform`"),
        ("permission denied while trying to connect to the Docker daemon", "group docker"),
        ("Cannot connect to the Docker daemon at unix:///x", "start it"),
        ("E: Temporary failure resolving 'deb.debian.org'", "`mirror`"),
        ("build_root: pip cannot fetch the files (ERROR: none)", "`index`"),
        ("pinging container registry registry-1.docker.io: lookup", "base image"),
        ("write /x: no space left on device", "disk is full"),
        ("docker: unknown command: docker buildx", "docker-buildx-plugin"),
        ("something else", "Run it again in a terminal"),
    ],
)
def test_what_engines_say(said, advice):
    heard = []
    with pytest.raises(ContainerError, match=re.escape(advice)) as caught:
        follow(["sh", "-c", 'echo "$0"; exit 3', said], heard.append, what="Building")
    assert heard == [said]
    assert "\n" not in str(caught.value)
    assert said in str(caught.value)


def test_a_command_s_own_status_and_words(capfd):
    script = "seq 200 >&2; echo out; exit 7"
    assert follow(["sh", "-c", script], None, what="Running", forgiving=True) == 7
    out, err = capfd.readouterr()
    assert out == "out\n"
    assert err.split() == [str(number) for number in range(1, 201)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("build", "exporter", "--platform", "linux/arm/v7"), 2, "has no platform"),
        (("build", "--checkout", "none"), 12, "Run it in a checkout"),
        (("build", "--checkout", CHECKOUT, "--pip-conf", "none"), 12, "no file none"),
        (("build", "s390x"), 2, "is not one of"),
        (("run", "--platform", "linux/arm/v7", "--", "bench"), 2, "is not one of"),
    ],
)
def test_what_is_refused(arguments, code, message, capsys):
    assert run("image", *arguments) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "file", sorted((CHECKOUT / "docker").glob("*.Dockerfile")), ids=lambda file: file.stem
)
def test_hadolint_has_nothing_to_say(file):
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([program, file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")

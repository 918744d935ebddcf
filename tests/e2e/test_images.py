"""Images that are really built here, by buildah, and really run, by qemu: both runner images."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import devices
import pytest
from places import CHECKOUT
from running import until
from small_models import run
from standins import docker, images

import edgeshuffle
from edgeshuffle.artifact import Artifact
from edgeshuffle.device import open_device
from edgeshuffle.device.emulated.boards import BOARDS, write_board
from edgeshuffle.errors import ArtifactError, ContainerError, DeviceError
from edgeshuffle.payload import rootfs
from edgeshuffle.payload.wheels import download_wheels

MOST_MB = {"arm64": 250, "arm-v7": 100}
# Cores of the boards, and what each image can run.
CORES = {"arm64": BOARDS["pi4"].qemu_cpu, "arm-v7": "cortex-a15"}
RUNTIMES = {"arm64": ("ort", "litert"), "arm-v7": ("litert",)}

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(images.missing() is not None, reason=str(images.missing())),
]


@pytest.fixture(scope="module")
def storage():
    """A buildah with a base image, on the PATH of this module's tests."""
    folder = Path(tempfile.mkdtemp(prefix="images-"))
    made = images.start(folder, CHECKOUT)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment().items():
            patch.setenv(name, value)
        yield made
    made.close()


@pytest.fixture(scope="module")
def built(storage):
    """How long both images took to build, first and then again."""
    seconds = []
    for _ in range(4):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "edgeshuffle",
                *("image", "build", "--engine", "buildah", "--json"),
            ],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        found = json.loads(done.stdout)["built"]
        assert [one["platform"] for one in found] == ["linux/arm64", "linux/arm/v7"]
        seconds.append(sum(one["seconds"] for one in found))
    return seconds


@pytest.fixture(scope="module")
def emulators():
    reason = images.missing_emulator()
    if reason:
        pytest.skip(reason)
    made = images.Emulators()
    yield
    made.close()


@pytest.fixture(scope="module")
def roots(storage, built):
    return {name: storage.mounted(f"edgeshuffle-runner:{name}") for name in MOST_MB}


def test_building_again_takes_a_fifth_of_the_time(built):
    assert min(built[1:]) <= built[0] / 5


@pytest.fixture(scope="module")
def exporter(storage, built, tmp_path_factory):
    """What the exporter image is without torch: the command line on the runner image's Python."""
    folder = tmp_path_factory.mktemp("exporter")
    wheels = download_wheels(
        ["click", "filelock", "msgspec", "pillow", "rich", "tomlkit"],
        machine="aarch64",
        python=rootfs.PYTHON,
        glibc=rootfs.GLIBC,
        folder=folder / "wheels",
    )
    site = folder / "root" / rootfs.SITE
    rootfs._unpack_wheels(wheels, site)
    package = Path(edgeshuffle.__file__).parent
    shutil.copytree(package, site / "edgeshuffle", ignore=shutil.ignore_patterns("__pycache__"))
    program = folder / "root/usr/local/bin/edgeshuffle"
    program.parent.mkdir(parents=True)
    program.write_text("#!/usr/bin/python3.11\nfrom edgeshuffle.cli import main\nmain()\n")
    program.chmod(0o755)
    container = storage.buildah("from", "--pull-never", "edgeshuffle-runner:arm64")
    storage.buildah("add", "--quiet", container, folder / "root", "/")
    storage.buildah("commit", "--quiet", "--rm", container, "edgeshuffle:arm64")


IN_ARM64 = ("image", "run", "--engine", "buildah", "--platform", "linux/arm64", "--")


def test_a_program_of_another_platform_without_an_emulator(exporter, capfd):
    with images.no_emulator():
        assert run(*IN_ARM64, "bench") == ContainerError.exit_code
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "qemu-user-static" in err


def test_bench_in_an_emulated_container_gives_no_times(
    exporter, emulators, demo, tmp_path, monkeypatch, capfd
):
    shutil.copytree(demo, tmp_path / "build" / "demo")
    monkeypatch.chdir(tmp_path)
    assert run(*IN_ARM64, "bench") == 0
    out, _ = capfd.readouterr()
    assert out.startswith("shufflenet_v2_x0_5 on aarch64, 1 thread: emulated, no times\n")
    for runtime in ("ort", "litert"):
        for precision in ("fp32", "int8"):
            assert f"{runtime} {precision}: shufflenet_v2_x0_5_{precision}" in out
    assert not re.search(r"\d ms|p50|speed-up", out)
    assert list((tmp_path / "build" / "bench").glob("*.jsonl"))


def test_the_status_of_what_is_run_is_kept(exporter, emulators, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run(*IN_ARM64, "bench", "none") == ArtifactError.exit_code
    assert "There is no none. Make an artifact" in capfd.readouterr().err


@pytest.mark.parametrize("name", MOST_MB)
def test_what_an_image_holds(storage, roots, name):
    listed = json.loads(storage.buildah("inspect", "--type", "image", f"edgeshuffle-runner:{name}"))
    config = listed["OCIv1"]["config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/usr/bin/python3.11", "/opt/edgeshuffle/agent.py"]
    assert {key.rpartition(".")[2] for key in config["Labels"]} >= {"title", "licenses"}
    assert listed["OCIv1"]["architecture"] == name.partition("-")[0]
    files = [path for path in roots[name].rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) <= MOST_MB[name] * 1e6
    assert not [path for path in files if path.name in ("sh", "pip.conf", "sources.list")]
    site = roots[name] / "usr/lib/python3/dist-packages"
    lock = CHECKOUT / "docker" / f"runner-{'aarch64' if name == 'arm64' else 'armv7l'}.lock"
    for line in lock.read_text().splitlines():
        package, _, version = line.partition(" ")[0].partition("==")
        if version:
            assert (site / f"{package.replace('-', '_')}-{version}.dist-info").is_dir()


@pytest.mark.parametrize("name", MOST_MB)
def test_without_rights_and_with_a_root_that_cannot_be_written(
    emulators, roots, name, tmp_path, demo
):
    board, at = tmp_path / "board", tmp_path / "at"
    at.mkdir()
    write_board(BOARDS["pi4"], board)
    models = Path(tempfile.mkdtemp(prefix="models-"))
    models.chmod(0o755)
    file = next(f for f in Artifact.load(demo).manifest.files if f.path.endswith("int8.tflite"))
    (models / "model.tflite").write_bytes((demo / file.path).read_bytes())
    script = (
        "import os, sys; sys.path.insert(0, '/opt/edgeshuffle'); import litert\n"
        "assert os.getuid()\n"
        f"print(litert.open_session('{models}/model.tflite', 1).input_shape)\n"
        "for place in ('/', '/opt/edgeshuffle', '/usr/lib'):\n"
        "    try: open(place + '/x', 'w'); print('written to', place)\n"
        "    except OSError: pass\n"
        "open('/tmp/x', 'w')\n"
    )
    done = subprocess.run(
        docker.container(
            at,
            roots[name],
            board,
            "65532:65532",
            ["/usr/bin/python3.11", "-c", script],
            volumes=[str(models)],
            environment={"QEMU_CPU": CORES[name]},
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "(1, 3, 64, 64)\n"), done.stderr


def test_the_bundle_brings_all_that_it_needs(storage, emulators, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ("--engine", "buildah", "--checkout", CHECKOUT, "--json")
    assert run("image", "build", "bundle", *arguments) == 0
    (built,) = json.loads(capsys.readouterr().out)["built"]
    assert built["result"] == "build/bundle"
    folder = tmp_path / "build" / "bundle"
    done = subprocess.run(
        ["sh", folder / "python3", folder / "agent.py", "--describe"],
        env={"QEMU_CPU": CORES["arm64"], "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout)
    assert described["machine"] == "aarch64"
    assert set(described["packages"]) == {"onnxruntime", "ai-edge-litert", "numpy"}


@pytest.fixture
def board(emulators, roots, tmp_path, monkeypatch):
    """Start a board whose `docker` has an image."""
    starter = devices.boards("ssh", tmp_path, monkeypatch)
    start = next(starter)

    def with_image(name):
        made = start(runtimes=False)
        text = docker.script(
            made.folder / "containers",
            {f"edgeshuffle-runner:{name}": roots[name]},
            made.root,
            CORES[name],
        )
        made.program("docker", text)
        return made

    yield with_image
    next(starter, None)


def address(made, name="arm64"):
    return f"docker://{made.address.removeprefix('ssh://')}/edgeshuffle-runner:{name}"


@pytest.mark.parametrize("name", MOST_MB)
def test_it_classifies_the_demo_s_images_as_here(board, demo, name, capsys):
    made = board(name)
    chosen = [part for runtime in RUNTIMES[name] for part in ("--runtime", runtime)]
    code = run("evaluate", demo, "--device", address(made, name), "--limit", 20, *chosen, "--json")
    out, err = capsys.readouterr()
    assert (code, err) == (0, ""), err
    found = {(r["runtime"], r["precision"]): r for r in json.loads(out)["results"]}
    assert {runtime for runtime, _ in found} == set(RUNTIMES[name])
    for (_, precision), result in found.items():
        assert result["n"] == 20
        # 32-bit ARM has a runtime of 2023 only, which rounds int8 sums otherwise.
        if precision == "fp32" or name == "arm64":
            assert result["device_agreement"] == 100
        else:
            assert result["device_agreement"] >= 90
    assert made.left() == []
    assert list((made.folder / "containers").glob("*.container")) == []


def test_containers_are_gone_after_a_failure(board, demo):
    made = board("arm64")
    containers = made.folder / "containers"

    def fail():
        with open_device(address(made)) as device:
            device.spawn([device.python, "-c", "import time; time.sleep(600)"])
            until(lambda: list(containers.glob("*.container")))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(containers.glob("*.container")) == []
    assert made.left() == []


DENIED = "permission denied while trying to connect to the Docker daemon socket"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, "has neither docker nor podman"),
        (
            "echo 'Error: No such image' >&2; exit 1",
            r"No such image.*docker save edgeshuffle-runner:arm64 \| ssh raspberrypi docker load",
        ),
        (f"echo '{DENIED}' >&2; exit 1", "group docker"),
        ("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "Start Docker there"),
    ],
    ids=["not installed", "no image", "no permission", "not running"],
)
def test_a_board_that_cannot_run_it(tmp_path, monkeypatch, script, message):
    starter = devices.boards("ssh", tmp_path, monkeypatch)
    made = next(starter)(runtimes=False)
    if script is not None:
        made.program("docker", script)
    with pytest.raises(DeviceError, match=message) as caught:
        open_device(address(made))
    assert "\n" not in str(caught.value)
    assert made.left() == []
    next(starter, None)


def test_an_index_that_cannot_be_reached(storage, tmp_path, capsys):
    arguments = ("--engine", "buildah", "--checkout", CHECKOUT, "--platform", "linux/arm64")
    code = run("image", "build", *arguments, "--index", "http://127.0.0.1:9/simple")
    out, err = capsys.readouterr()
    assert (code, out) == (ContainerError.exit_code, "")
    assert len(err.splitlines()) == 1
    assert "build_root: pip cannot fetch" in err
    assert "--index" in err

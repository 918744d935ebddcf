"""The agent as the process it is on a device: one line in, one line out."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from small_models import OnnxGraph, onnx_classifier, tflite_classifier

from edgeshuffle.agent import agent_files
from edgeshuffle.artifact.runtimes import RUNTIMES

AGENT = agent_files()[-1]
WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)
BIAS = np.zeros(2, np.float32)
PACKAGES = {"ort": "onnxruntime", "litert": "ai_edge_litert"}

NOISY = """
import ctypes, os
import numpy as np

def shout(text):
    print(text)
    ctypes.CDLL(None).puts(text.encode())
    ctypes.CDLL(None).fflush(None)
    os.write(1, text.encode())
    os.system("echo " + text)

shout("imported")

class Session:
    version = "0.1"
    input_shape = (1, 3, 2, 2)
    runs = 0
    def stage(self, image):
        assert (image.shape, image.dtype) == ((1, 3, 2, 2), np.float32)
    def invoke(self):
        shout('{"samples_ns": "wrong"}')
        Session.runs += 1
        if Session.runs > 3:
            raise RuntimeError("no more\\n  of this")

def open_session(path, threads):
    shout("opened")
    return Session()
"""


def talk(runtime, model, *commands, program=AGENT, env=None, threads=1):
    """Every reply, and the exit status and stderr."""
    lines = [command if isinstance(command, str) else json.dumps(command) for command in commands]
    done = subprocess.run(
        [
            *(sys.executable, program, "--runtime", runtime, "--model", model),
            *("--threads", str(threads), "--seed", "0"),
        ],
        input="".join(line + "\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
        check=False,
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode, done.stderr


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    onnx_classifier(folder / "ort", WEIGHT, BIAS, 4)
    tflite_classifier(folder / "litert", WEIGHT, BIAS, 4)
    return folder


def run(n):
    return {"cmd": "run", "n": n}


STATE = {"cmd": "state"}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_conversation(models, runtime):
    commands = [run(5), STATE, {"cmd": "dance"}, "no JSON", "[1]", run("five"), run(1)]
    replies, status, _ = talk(runtime, models / runtime, *commands)
    ready, samples, state, unknown, junk, no_command, no_number, last = replies
    assert ready["ready"] is True
    assert ready["input_shape"] == [1, 3, 4, 4]
    assert (
        ready["runtime_version"] == RUNTIMES[runtime].open_session(str(models / runtime), 1).version
    )
    assert ready["load_ns"] > 0
    assert ready["first_ns"] > 0
    assert len(samples["samples_ns"]) == 5
    assert all(isinstance(sample, int) and sample > 0 for sample in samples["samples_ns"])
    assert state["peak_rss_bytes"] >= ready["rss_before_bytes"] > 2**20
    assert {"clock_khz", "temperature_mc"} < state.keys()
    assert unknown == {"error": "ValueError: unknown command 'dance'"}
    for reply in (junk, no_command, no_number):
        assert reply.keys() == {"error"}
    assert len(last["samples_ns"]) == 1
    assert status == 0


def test_operators_are_timed_where_the_runtime_tells(models):
    for runtime, ops in (("ort", {"GlobalAveragePool"}), ("litert", set())):
        replies, _, _ = talk(runtime, models / runtime, {"cmd": "profile", "n": 3})
        profile = replies[-1]
        assert ops <= {entry["op"] for entry in profile["operators"]}
        assert all(entry["ns"] >= 0 for entry in profile["operators"])


def test_quit_and_the_end_of_input_end_it(models):
    replies, status, _ = talk("ort", models / "ort", {"cmd": "quit"}, STATE)
    assert len(replies) == 1
    assert status == 0
    assert talk("ort", models / "ort")[1] == 0


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("content", [b"", b"no model at all", None])
def test_a_bad_model_is_an_error_in_one_line(tmp_path, runtime, content):
    if content is not None:
        (tmp_path / "bad").write_bytes(content)
    ((reply,), status, err) = talk(runtime, tmp_path / "bad", STATE)
    assert reply.keys() == {"error"}
    assert "\n" not in reply["error"]
    assert status == 1
    assert "Traceback" not in err


def test_an_input_without_a_fixed_shape_is_an_error(tmp_path):
    graph = OnnxGraph((1, 3, "height", 4))
    graph.node("GlobalAveragePool", ["input"], ["mean"])
    graph.save(tmp_path / "dynamic", graph.node("Flatten", ["mean"], ["flat"]))
    ((reply,), status, _) = talk("ort", tmp_path / "dynamic")
    assert reply == {"error": "ValueError: the input shape (1, 3, 'height', 4) is not fixed"}
    assert status == 1


def test_a_runtime_that_does_not_exist(models):
    ((reply,), status, _) = talk("coreml", models / "ort")
    assert "there is no runtime 'coreml'" in reply["error"]
    assert status == 1


def without(folder, *packages):
    """An environment in which these packages cannot be imported."""
    for package in packages:
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text(
            f"raise ModuleNotFoundError('no {package} here', name='{package}')"
        )
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_missing_package_is_named(models, tmp_path, runtime):
    env = without(tmp_path, *PACKAGES.values(), "tflite_runtime")
    ((reply,), status, _) = talk(runtime, models / runtime, env=env)
    assert reply["missing"] == PACKAGES[runtime]
    assert "ModuleNotFoundError" in reply["error"]
    assert status == 1


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_its_files_are_enough_on_a_board(models, tmp_path, runtime):
    env = without(tmp_path, "edgeshuffle")
    board = tmp_path / "board"
    board.mkdir()
    for file in agent_files(runtime):
        shutil.copy(file, board)
    program = board / "agent.py"
    (ready, samples), status, _ = talk(runtime, models / runtime, run(2), program=program, env=env)
    assert ready["ready"]
    assert len(samples["samples_ns"]) == 2
    assert status == 0


def test_noise_on_stdout_does_not_break_the_protocol(tmp_path):
    for file in agent_files():
        shutil.copy(file, tmp_path)
    (tmp_path / "noisy.py").write_text(NOISY)
    commands = [run(2), STATE, run(1), STATE]
    program = tmp_path / "agent.py"
    replies, status, err = talk("noisy", "any", *commands, program=program)
    ready, samples, before, failed, after = replies
    assert ready["runtime_version"] == "0.1"
    assert len(samples["samples_ns"]) == 2
    assert failed == {"error": "RuntimeError: no more of this"}
    assert before.keys() == after.keys()
    assert status == 0
    assert err.count("imported") == err.count("opened") == 4


@pytest.mark.parametrize("name", [path.stem for path in sorted(AGENT.parent.glob("*.py"))])
def test_old_boards_have_python_3_9_and_numpy_only(name):
    tree = ast.parse(AGENT.with_name(f"{name}.py").read_text(), feature_version=(3, 9))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module)
    packages = {module.partition(".")[0] for module in imported}
    assert "__future__" in packages
    special = {"ort": {"onnxruntime"}, "litert": {"ai_edge_litert"}, "picture": {"PIL"}}
    special["frames"] = {"PIL", "cv2", "picamera2"}
    special["telling"] = {"cv2"}
    allowed = special.get(name, set())
    assert packages - sys.stdlib_module_names <= {"numpy", "tflite_runtime"} | allowed

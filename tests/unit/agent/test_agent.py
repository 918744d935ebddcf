"""The agent as the process it is on a device: one line in, one line out."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_models import OnnxGraph, onnx_classifier, tflite_classifier

from edgeshuffle.agent import agent, power
from edgeshuffle.runtimes import RUNTIMES

AGENT = Path(agent.__file__)
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


PMIC = """\
 3V7_WL_SW_A current(0)=0.10000000A
   VDD_CORE_A current(7)=2.00000000A
 3V7_WL_SW_V volt(8)=3.70000000V
   VDD_CORE_V volt(15)=0.80000000V
     EXT5V_V volt(24)=5.10000000V
"""


def test_power_is_the_sum_over_rails(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert power.power_mw() is None
    program = tmp_path / "vcgencmd"
    program.write_text(f"#!/bin/sh\necho '{PMIC}'\n")
    program.chmod(0o755)
    assert power.power_mw() == round(1000 * (0.1 * 3.7 + 2 * 0.8))
    program.write_text("#!/bin/sh\necho 'Command not registered'\n")
    assert power.power_mw() is None


def test_energy_is_measured_over_inferences(tmp_path, monkeypatch):
    program = tmp_path / "vcgencmd"
    program.write_text(f"#!/bin/sh\n[ $1 = pmic_read_adc ] && echo '{PMIC}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    class Session:
        def invoke(self):
            time.sleep(0.01)

    found = power.measure(Session().invoke, 0.3)
    assert found["idle_mw"] == found["busy_mw"] == 1970
    assert 10 <= found["inferences"] <= 40
    assert 0.3 <= found["seconds"] < 2


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
    graph = OnnxGraph(("batch", 3, 4, 4))
    graph.node("GlobalAveragePool", ["input"], ["mean"])
    graph.save(tmp_path / "dynamic", graph.node("Flatten", ["mean"], ["flat"]))
    ((reply,), status, _) = talk("ort", tmp_path / "dynamic")
    assert reply == {"error": "ValueError: the input shape ('batch', 3, 4, 4) is not fixed"}
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
def test_two_files_on_a_board_are_enough(models, tmp_path, runtime):
    env = without(tmp_path, "edgeshuffle")
    board = tmp_path / "board"
    board.mkdir()
    for file in (AGENT, AGENT.with_name(f"{runtime}.py")):
        shutil.copy(file, board)
    program = board / "agent.py"
    (ready, samples), status, _ = talk(runtime, models / runtime, run(2), program=program, env=env)
    assert ready["ready"]
    assert len(samples["samples_ns"]) == 2
    assert status == 0


def test_noise_on_stdout_does_not_break_the_protocol(tmp_path):
    shutil.copy(AGENT, tmp_path)
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


@pytest.mark.parametrize("name", ["agent", "hold", "power", *RUNTIMES])
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
    allowed = {"ort": {"onnxruntime"}, "litert": {"ai_edge_litert"}}.get(name, set())
    assert packages - sys.stdlib_module_names <= {"numpy", "tflite_runtime"} | allowed


class TestSensors:
    def test_the_fastest_cores_clock(self, tmp_path):
        assert agent.clock_khz(tmp_path) is None
        for index, text in enumerate(["600000\n", "1500000\n", "junk", ""]):
            folder = tmp_path / f"cpu{index}" / "cpufreq"
            folder.mkdir(parents=True)
            (folder / "scaling_cur_freq").write_text(text)
        assert agent.clock_khz(tmp_path) == 1_500_000

    @pytest.mark.parametrize(
        ("zones", "hottest"),
        [
            ([], None),
            ([("gpu-thermal", "70000"), ("cpu-thermal", "48000")], 48_000),
            ([("CPU0", "48000"), ("CPU1", "49000")], 49_000),
            ([("gpu-thermal", "70000"), ("battery", "30000")], 70_000),
            ([("cpu-thermal", "0"), ("other", "40000")], 40_000),
            ([("cpu-thermal", "-273000"), ("cpu-2", "999999"), ("cpu-3", "?")], None),
        ],
    )
    def test_the_hottest_cpu_zone(self, tmp_path, zones, hottest):
        for index, (kind, temperature) in enumerate(zones):
            folder = tmp_path / f"thermal_zone{index}"
            folder.mkdir()
            (folder / "type").write_text(kind + "\n")
            (folder / "temp").write_text(temperature + "\n")
        assert agent.temperature_mc(tmp_path) == hottest

    def test_memory_that_was_used_once_stays_in_the_peak(self):
        code = (
            "import numpy as np\n"
            "from edgeshuffle.agent.agent import peak_rss_bytes\n"
            "print(peak_rss_bytes())\n"
            "np.ones(2**26, np.uint8)\n"
            "print(peak_rss_bytes())\n"
        )
        before, after = map(int, subprocess.check_output([sys.executable, "-c", code]).split())
        assert 2**20 < before <= after - 2**25


def test_a_user_without_a_home_is_described_all_the_same(monkeypatch):
    def no_entry():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(agent.Path, "home", no_entry)
    assert agent.describe()["free_bytes"] is None

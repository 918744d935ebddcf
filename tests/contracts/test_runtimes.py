"""What every runtime and every device promises."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import fields

import devices
import numpy as np
import pytest
from small_models import onnx_classifier, tflite_classifier

from edgeshuffle.artifact import RUNTIME_OF_FORMAT
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.device import DEVICES, DeviceInfo, open_device
from edgeshuffle.errors import DeviceError, UnknownNameError

pytestmark = pytest.mark.device

WRITERS = {"ort": onnx_classifier, "litert": tflite_classifier}
RANDOM = np.random.default_rng(3)
WEIGHT = RANDOM.standard_normal((10, 3)).astype(np.float32)
BIAS = RANDOM.standard_normal(10).astype(np.float32)
SIZE = 4


def picture():
    return RANDOM.standard_normal((1, 3, SIZE, SIZE)).astype(np.float32)


def logits(image):
    return image.mean((2, 3)) @ WEIGHT.T + BIAS


def test_every_format_has_its_runtime():
    assert set(RUNTIME_OF_FORMAT.values()) == set(RUNTIMES) == set(WRITERS)


@pytest.mark.parametrize("runtime", RUNTIMES)
class TestRuntime:
    @pytest.fixture
    def model(self, runtime, tmp_path):
        WRITERS[runtime](tmp_path / "model", WEIGHT, BIAS, SIZE)
        return str(tmp_path / "model")

    @pytest.mark.parametrize("threads", [1, 2])
    def test_it_runs_images(self, runtime, model, threads):
        session = RUNTIMES[runtime].open_session(model, threads)
        for image in (picture(), picture()):
            (found,) = session.run(image)
            assert found.dtype == np.float32
            assert found.shape == (1, 10)
            np.testing.assert_allclose(found, logits(image), rtol=1e-4, atol=1e-5)

    def test_a_result_stays_as_it_is(self, runtime, model):
        session = RUNTIMES[runtime].open_session(model, 1)
        image = picture()
        (found,) = session.run(image)
        session.run(-image)
        np.testing.assert_allclose(found, logits(image), rtol=1e-4, atol=1e-5)

    def test_it_says_what_it_is(self, runtime, model):
        session = RUNTIMES[runtime].open_session(model, 1)
        assert session.version[0].isdigit()
        assert session.input_shape == (1, 3, SIZE, SIZE)
        assert all(type(size) is int for size in session.input_shape)

    def test_a_staged_image_is_inferred_again_and_again(self, runtime, model):
        session = RUNTIMES[runtime].open_session(model, 1)
        session.stage(picture())
        for _ in range(3):
            session.invoke()
        image = picture()
        np.testing.assert_allclose(session.run(image)[0], logits(image), rtol=1e-4, atol=1e-5)

    def test_images_need_not_lie_in_one_piece(self, runtime, model):
        session = RUNTIMES[runtime].open_session(model, 1)
        image = np.moveaxis(RANDOM.standard_normal((1, SIZE, SIZE, 3)), 3, 1)
        np.testing.assert_allclose(session.run(image)[0], logits(image), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("keep", [0, 100])
    def test_a_corrupt_file_is_refused(self, runtime, model, tmp_path, keep):
        content = (tmp_path / "model").read_bytes()
        (tmp_path / "corrupt").write_bytes(content[:keep])
        with pytest.raises(Exception, match=r"."):
            RUNTIMES[runtime].open_session(str(tmp_path / "corrupt"), 1)
        with pytest.raises(Exception, match=r"."):
            RUNTIMES[runtime].open_session(str(tmp_path / "missing"), 1)


def test_an_unknown_device_is_refused():
    with pytest.raises(UnknownNameError, match=r"Unknown device 'locl'. Did you mean 'local'\?"):
        open_device("locl")


ECHO = """
import os, sys
print('{"pid": %d, "session": %d}' % (os.getpid(), os.getsid(0)), flush=True)
for line in sys.stdin:
    print(line, end="", flush=True)
"""


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("name", DEVICES)
class TestDevice:
    @pytest.fixture
    def address(self, name):
        return devices.address(name)

    @pytest.fixture
    def device(self, address):
        with open_device(address) as device:
            yield device

    @pytest.fixture
    def spawn(self, device):
        return lambda code: device.spawn([device.python, "-c", code])

    def test_it_tells_what_it_is(self, device):
        info = DeviceInfo.of(device.describe())
        assert info.machine
        assert info.cpu
        assert info.cores >= 1
        kind = "device" if info.is_arm else "host, not a device"
        assert info.label == ("emulated, instructions only" if info.counted else kind)
        assert info.python.startswith("3.")
        for field in fields(DeviceInfo):
            value = getattr(info, field.name)
            assert value is None or isinstance(value, bool | int | float | str)

    def test_a_pushed_file_can_be_read_there(self, device, spawn, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "my file").write_text('{"content": 1}')
        path = device.push((tmp_path / "my file").relative_to(tmp_path))
        assert spawn(f"import os; os.chdir('/'); print(open({path!r}).read())").reply(60) == {
            "content": 1
        }

    def test_a_process_answers_line_by_line(self, spawn):
        process = spawn(ECHO)
        assert process.reply(60).keys() == {"pid", "session"}
        for command in ({"cmd": "a"}, {"cmd": "ü", "n": 2}, {"long": "x" * 200_000}):
            assert process.ask(command, 60) == command

    def test_two_lines_at_once_are_two_replies(self, spawn):
        process = spawn('print(\'{"a": 1}\\n{"b": 2}\')')
        assert (process.reply(60), process.reply(60)) == ({"a": 1}, {"b": 2})

    def test_leaving_ends_every_process_also_a_deaf_one(self, address):
        with open_device(address) as device:
            deaf = "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            deaf += "print('{\"pid\": %d}' % os.getpid(), flush=True)\ntime.sleep(600)"
            pids = [
                device.spawn([device.python, "-c", code]).reply(60)["pid"] for code in (ECHO, deaf)
            ]
            assert not any(map(gone, pids))
        # A stand-in may take a moment to notice that its process has ended.
        deadline = time.monotonic() + 5
        while not all(map(gone, pids)):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def test_ctrl_c_does_not_reach_a_process(self, spawn):
        assert spawn(ECHO).reply(60)["session"] != os.getsid(0)

    def test_a_silent_process(self, spawn):
        process = spawn("import sys, time; print('busy', file=sys.stderr, flush=True)\n" + ECHO)
        process.reply(60)
        with pytest.raises(DeviceError, match=r"no reply within 0 s: busy\. ") as caught:
            process.reply(0.1)
        assert len(str(caught.value).splitlines()) == 1

    @pytest.mark.parametrize("said", ["hello", "[1]", "5"])
    def test_a_process_that_says_something_else(self, spawn, said):
        with pytest.raises(DeviceError, match="no JSON object"):
            spawn(f"print({said!r})").reply(60)

    def test_a_process_that_ends_is_quoted(self, spawn):
        process = spawn("import sys; print('first', file=sys.stderr); sys.exit('no memory left')")
        with pytest.raises(DeviceError, match=r"\(exit status 1\): no memory left\. "):
            process.reply(60)
        with pytest.raises(DeviceError, match="exit status 1"):
            process.ask({"cmd": "state"}, 60)

    def test_a_process_that_is_killed(self, spawn):
        with pytest.raises(DeviceError, match=r"\((signal 9|exit status (137|255))\)"):
            spawn("import os; os.kill(os.getpid(), 9)").reply(60)

    def test_a_program_that_is_not_there(self, device):
        with pytest.raises(DeviceError, match=r"no_such_program|exit status"):
            device.spawn(["no_such_program"]).reply(60)


def test_the_local_python_is_this_one():
    assert open_device("local").python == sys.executable

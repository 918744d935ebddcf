"""What only a phone over adb has: a Python of our own, Android's settings, and serial numbers."""

from __future__ import annotations

import devices
import pytest
from running import clean
from standins import phone

from edgeshuffle.artifact import Artifact
from edgeshuffle.device import DeviceInfo, open_device
from edgeshuffle.device.session import open_agent
from edgeshuffle.errors import DeviceError, UnknownNameError

pytestmark = pytest.mark.device


@pytest.fixture
def other(tmp_path, monkeypatch):
    """Start a phone of the test's own."""
    yield from devices.boards("adb", tmp_path, monkeypatch)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """An adb server that knows no phone."""
    devices.stand_in("adb")
    server = phone.AdbServer()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    yield server
    server.stop()


def test_a_phone_gets_one_bundle(other, demo):
    made = other()
    file = Artifact.load(demo).manifest.files[0]
    for _ in range(2):
        with open_device(made.address) as device:
            session = open_agent(device, file, demo / file.path)
            assert session.ready.runtime_version
    assert len(list(made.base.glob("bundle-*"))) == 1
    assert clean(made)


def test_the_clock_is_held_and_let_go(other):
    made = other()
    with open_device(made.address) as device:
        device.steady()
        assert made.asked() == ["power set-fixed-performance-mode-enabled true"]
    assert made.asked()[1:] == ["power set-fixed-performance-mode-enabled false"]


def test_a_held_clock_that_a_lost_run_left_is_let_go_at_the_next_contact(other, monkeypatch):
    monkeypatch.setattr("edgeshuffle.device.adb.RETURN_SECONDS", 1)
    made = other()
    device = open_device(made.address)
    device.steady()
    made.power_off()
    with pytest.raises(DeviceError, match=r"is lost|did not answer"), device:
        pass
    made.power_on()
    with open_device(made.address):
        assert made.asked()[1:] == ["power set-fixed-performance-mode-enabled false"]


def refused(address, message):
    with pytest.raises(DeviceError, match=message) as caught:
        open_device(address)
    assert "\n" not in str(caught.value)


def test_no_phone(alone):
    refused("adb://", "no phone: plug it in")


def test_a_phone_that_is_not_there(other):
    other()
    refused("adb://emulator-5554", r"no phone 'emulator-5554'\. There is: 127")


def test_the_only_phone_needs_no_serial_number(alone, tmp_path):
    made = phone.start(tmp_path, alone)
    with open_device("adb://") as device:
        assert DeviceInfo.of(device.describe()).label == "device"
    made.stop()


def test_two_phones(other):
    made = [other(), other()]
    refused("adb://", rf"phones: say which, adb://.*{made[1].serial}")


def test_a_phone_that_does_not_trust_this_computer(other):
    made = other(allows=False)
    refused(made.address, "is unauthorized. Unlock it and allow USB debugging")


def test_a_32_bit_phone(other):
    made = other(machine="armv8l")
    with pytest.raises(DeviceError, match="is a armv8l; only 64-bit ARM"):
        open_device(made.address).describe()


@pytest.mark.parametrize("serial", ["-e", "a b", "x;id", "$(id)"])
def test_serial_numbers_that_are_none(serial):
    with pytest.raises(UnknownNameError, match="no serial number"):
        open_device(f"adb://{serial}")

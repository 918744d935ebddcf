"""Programs of this machine that talk to a device."""

from __future__ import annotations

import pytest

from edgeshuffle.device.command import finish
from edgeshuffle.errors import DeviceError


def test_a_program_that_cannot_be_started_is_named(monkeypatch):
    with pytest.raises(DeviceError, match=r"nowhere/adb cannot be started here \(No such file"):
        finish(["nowhere/adb", "devices"], 5, "adb")

    def full(*_, **__):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess.Popen", full)
    with pytest.raises(DeviceError, match=r"adb cannot be started here \(Resource temporarily"):
        finish(["adb", "devices"], 5, "adb")

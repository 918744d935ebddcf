"""This machine as a device."""

from __future__ import annotations

import sys
import tempfile

from edgeshuffle.device.local import connect
from edgeshuffle.progress import silent

PROGRAM = """
import json, tempfile, time
print(json.dumps({"folder": tempfile.mkdtemp()}), flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_was_writing_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with connect("", silent) as device:
        told = device.spawn([sys.executable, "-c", PROGRAM]).reply(30)
        assert told["folder"].startswith(str(tmp_path))
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []

"""Energy, where a board measures it."""

from __future__ import annotations

import os
import time

from edgeshuffle.agent import power

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

"""What is left where a device, a runtime or a person ends the measuring."""

from __future__ import annotations

import pytest
from scripted_device import (
    MS,
    READY,
    STATE,
    FakeDevice,
    Script,
    bench,
)

from edgeshuffle.errors import (
    DeviceError,
    MissingExtraError,
    RuntimeUnavailableError,
)
from edgeshuffle.runner.bench.run import (
    SETTLED_SAMPLES,
)


class TestFailures:
    def fails(self, small, device, error, **options):
        with pytest.raises(error) as caught:
            bench(small, device, **options)
        assert len(str(caught.value).splitlines()) <= 1
        return str(caught.value), caught.value.history

    def test_a_device_that_dies_leaves_what_was_measured(self, small):
        # The first is finished by then, the second is in its 7th block, the third ends it.
        device = FakeDevice(Script(5000 * MS), Script(1 * MS), Script(2 * MS, dies_at=2 + 7))
        message, history = self.fails(small, device, DeviceError)
        assert message == "it is gone"
        done, second, third = history.records()
        assert done.finished
        assert len(done.blocks) == 4
        assert (second.precision, third.runtime) == ("int8", "litert")
        assert len(second.blocks) in (6, 7)
        assert third.blocks == ((2 * MS,) * 8,) * 6
        for record in (second, third):
            assert not record.finished
            assert record.after is record.peak_rss_bytes is None

    def test_a_rerun_goes_on_where_the_device_was_lost(self, small):
        lost = FakeDevice(Script(5000 * MS), Script(1 * MS), Script(2 * MS, dies_at=2 + 7))
        _, history = self.fails(small, lost, DeviceError)
        done, second, third = history.records()
        device = FakeDevice(Script(7 * MS), Script(1 * MS), Script(3 * MS))
        bench(small, device, history=history)
        records = history.records()
        assert records[0] == done
        assert device.asked(0) == []
        assert records[1].blocks[: len(second.blocks)] == second.blocks
        assert [len(record.blocks) for record in records[1:]] == [16, 16]
        assert records[2].blocks == ((2 * MS,) * 8,) * 6 + ((3 * MS,) * 8,) * 10
        assert all(record.finished for record in records)
        assert records[2].started == third.started

    @pytest.mark.parametrize("script", [Script(dies_at=1), Script(ready={"error": "no memory"})])
    def test_a_device_that_is_lost_before_the_first_block_takes_nothing_away(self, small, script):
        lost = FakeDevice(Script(5000 * MS), Script(1 * MS), Script(2 * MS, dies_at=2 + 7))
        _, history = self.fails(small, lost, DeviceError)
        before = history.records()
        with pytest.raises((DeviceError, RuntimeUnavailableError)):
            bench(small, FakeDevice(Script(), script, Script()), history=history)
        assert [record.blocks for record in history.records()] == [one.blocks for one in before]

    def test_samples_of_another_runtime_are_not_mixed(self, small):
        _, history = self.fails(small, FakeDevice(Script(2 * MS, dies_at=2 + 7)), DeviceError)
        other = Script(3 * MS, ready={**READY, "runtime_version": "2"})
        with pytest.raises(DeviceError, match="another version of a runtime"):
            bench(small, FakeDevice(other), history=history)

    def test_a_case_without_a_block_has_no_record(self, small):
        _, history = self.fails(small, FakeDevice(Script(dies_at=3)), DeviceError)
        assert history.records() == ()

    def test_a_device_that_dies_at_the_last_question(self, small):
        _, history = self.fails(small, FakeDevice(Script(dies_at=2 + 16 + 1)), DeviceError)
        (record,) = history.records()
        assert len(record.blocks) == 16
        assert not record.finished
        # No block too many is measured when it goes on.
        bench(small, FakeDevice(Script()), history=history)
        (record,) = history.records()
        assert len(record.blocks) == 16
        assert record.finished

    def test_an_inference_that_fails(self, small):
        script = Script(answers={"run": {"error": "RuntimeError: no arena"}})
        message, _ = self.fails(small, FakeDevice(Script(), script), DeviceError)
        assert message.startswith("ort/int8 failed")
        assert "(RuntimeError: no arena)" in message

    @pytest.mark.parametrize("samples", [[], [1] * 3, [0] * SETTLED_SAMPLES])
    def test_a_device_that_gives_no_times(self, small, samples):
        script = Script(answers={"run": {"samples_ns": samples, "state": STATE}})
        self.fails(small, FakeDevice(script), DeviceError)

    def test_a_runtime_that_is_not_installed(self, small):
        ready = {"error": "ModuleNotFoundError: x", "missing": "onnxruntime"}
        message, _ = self.fails(small, FakeDevice(Script(ready=ready)), MissingExtraError)
        assert "needs the package 'onnxruntime': pip install 'edgeshuffle[runtime]'" in message

    def test_a_model_that_its_runtime_refuses(self, small):
        ready = {"error": "ValueError: not a valid Flatbuffer"}
        device = FakeDevice(Script(), Script(ready=ready))
        message, _ = self.fails(small, device, RuntimeUnavailableError)
        assert f"ort cannot run {small.folder / 'int8.onnx'} (ValueError: not a val" in message

    def test_an_interruption_keeps_every_whole_block(self, small):
        def interrupt(stage, done, total):
            if stage == "measure" and done >= 150:
                raise KeyboardInterrupt

        device = FakeDevice(Script(5000 * MS), Script(1 * MS), Script(1 * MS))
        _, history = self.fails(small, device, KeyboardInterrupt, progress=interrupt)
        assert [record.finished for record in history.records()] == [True, False, False]
        assert all(len(record.blocks) >= 4 for record in history.records())

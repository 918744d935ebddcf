"""Every way in which `edgeshuffle export` refuses."""

from __future__ import annotations

import onnx
import pytest
from exports import refused
from networks import Graph
from small_models import run

from edgeshuffle.errors import ArtifactError, DataError, ModelError, UnknownNameError, WeightsError

pytestmark = pytest.mark.slow


class TestRefusals:
    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        yield
        assert not list(tmp_path.glob("**/manifest.json"))
        assert not list(tmp_path.glob("**/.*"))

    def test_a_missing_checkpoint(self, capsys):
        refused(capsys, WeightsError, "no checkpoint at", "export", "--weights", "none.pth")

    def test_a_corrupt_checkpoint(self, tmp_path, capsys):
        (tmp_path / "bad.pth").write_bytes(b"PK\3\4 and then nothing")
        refused(capsys, WeightsError, "not a readable", "export", "--weights", "bad.pth")

    def test_a_checkpoint_of_another_width(self, given, capsys):
        arguments = ("--width", "1.0", "--weights", given / "x0_5.pth")
        refused(capsys, WeightsError, "a width 0.5 checkpoint", "export", *arguments)

    def test_another_number_of_classes(self, given, capsys):
        arguments = ("--num-classes", 7, "--weights", given / "x0_5.pth")
        refused(capsys, WeightsError, "10 classes, not 7", "export", *arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--mean", "1e39,0,0"), "--mean must be"),
            (("--std", "1e-45,1,1"), "--std must be"),
            (("--onnx", "x.onnx", "--stem", "cifar"), "leave out --stem"),
            (("--onnx", "x.onnx", "--num-classes", 7), "leave out --num-classes"),
        ],
    )
    def test_options_that_make_no_sense(self, arguments, message, capsys):
        refused(capsys, UnknownNameError, message, "export", *arguments)

    @pytest.mark.parametrize("option", ["--weights", "--onnx", "--calib", "-o"])
    def test_a_name_that_no_system_takes(self, option, capsys):
        code = run("export", option, "x" * 300)
        assert code == ArtifactError.exit_code
        assert len(capsys.readouterr().err.splitlines()) == 1

    def test_a_width_that_does_not_exist(self, capsys):
        refused(capsys, UnknownNameError, "Known: 0.25, 0.33, 0.5, 1.0", "export", "--width", "0.7")

    def test_a_width_without_demo_weights(self, capsys):
        refused(capsys, WeightsError, "--weights", "export", "--width", "2.0")

    def test_an_unknown_option_value(self, capsys):
        assert run("export", "--format", "coreml") == 2
        assert "coreml" in capsys.readouterr().err

    def test_an_operator_that_no_tflite_file_can_have_is_named_with_its_node(
        self, tmp_path, capsys
    ):
        graph = Graph()
        x = graph.add("Softplus", graph.conv("input", 4))[0]
        graph.nodes[-1].name = "odd_one"
        onnx.save(graph.classifier(graph._like(x, "input", 4)), tmp_path / "odd.onnx")
        code = run("export", "--onnx", "odd.onnx", "--format", "tflite")
        line = capsys.readouterr().err
        assert code == ModelError.exit_code
        assert "Softplus" in line
        assert "odd_one" in line
        assert line.count("\n") == 1

    def test_an_onnx_file_that_is_none(self, tmp_path, capsys):
        (tmp_path / "bad.onnx").write_bytes(b"nonsense")
        refused(capsys, ModelError, "bad.onnx", "export", "--onnx", "bad.onnx")

    def test_no_calibration_images_for_own_weights(self, given, capsys):
        arguments = ("--weights", given / "x0_5.pth", "--int8")
        refused(capsys, DataError, "--calib", "export", *arguments)

    def test_a_missing_calibration_folder(self, capsys):
        refused(capsys, DataError, "nothing at", "export", "--int8", "--calib", "gone")

    def test_an_empty_calibration_folder(self, given, tmp_path, capsys):
        (tmp_path / "empty").mkdir()
        arguments = ("--weights", given / "x0_5.pth", "--int8", "--calib", "empty")
        refused(capsys, DataError, "empty", "export", *arguments)

    def test_an_unreadable_picture(self, given, tmp_path, capsys):
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures" / "cat.jpg").write_bytes(b"\xff\xd8 no cat")
        arguments = ("--weights", given / "x0_5.pth", "--int8", "--calib", "pictures")
        refused(capsys, DataError, "cat.jpg", "export", *arguments)

    def test_an_output_folder_that_cannot_be_made(self, given, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        for place in ("file/model", "/proc/model"):
            arguments = ("--weights", given / "x0_5.pth", "--resolution", 32, "-o", place)
            refused(capsys, ArtifactError, f"Cannot write {place}", "export", *arguments)

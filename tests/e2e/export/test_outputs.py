"""What lies in an export's folder before it, and what is left where it does not end."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from exports import content, refused, weights
from small_models import run

from edgeshuffle.errors import ArtifactError

pytestmark = pytest.mark.slow


def test_an_existing_output_is_kept_unless_told_otherwise(given, exported, capsys):
    before = content(exported.folder)
    arguments = ("export", *weights(given), "-o", exported.folder)
    refused(capsys, ArtifactError, "--overwrite", *arguments)
    assert content(exported.folder) == before
    assert run(*arguments, "--overwrite") == 0
    assert content(exported.folder) == before


@pytest.mark.parametrize("manifest", [None, "{}", '{"name": "web app"}', "folder"])
def test_what_no_export_wrote_is_never_replaced(given, tmp_path, capsys, manifest):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("years of work")
    if manifest == "folder":
        (folder / "manifest.json").mkdir()
    elif manifest is not None:
        (folder / "manifest.json").write_text(manifest)
    before = sorted(folder.iterdir())
    arguments = ("export", *weights(given), "-o", folder, "--overwrite")
    refused(capsys, ArtifactError, "not an edgeshuffle artifact", *arguments)
    assert sorted(folder.iterdir()) == before


def test_an_artifact_with_other_files_is_not_replaced(given, exported, tmp_path, capsys):
    folder = tmp_path / "mine"
    shutil.copytree(exported.folder, folder)
    (folder / "notes.txt").write_text("mine")
    arguments = ("export", *weights(given), "-o", folder, "--overwrite")
    refused(capsys, ArtifactError, "also holds 'notes.txt'", *arguments)
    assert (folder / "notes.txt").exists()


def test_a_link_to_an_artifact_stays_one(given, exported, tmp_path):
    shutil.copytree(exported.folder, tmp_path / "real")
    (tmp_path / "real" / "labels.txt").write_text("old")
    (tmp_path / "link").symlink_to("real")
    assert run("export", *weights(given), "-o", tmp_path / "link", "--overwrite") == 0
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "real") == content(exported.folder)


def command(*arguments):
    return [sys.executable, "-m", "edgeshuffle", *map(str, arguments)]


def test_a_full_disk_leaves_the_old_artifact(given, exported):
    before = content(exported.folder)
    full = 300_000
    done = subprocess.run(
        command("export", *weights(given), "-o", exported.folder, "--overwrite"),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (full, full)),
        check=False,
    )
    assert done.returncode == ArtifactError.exit_code
    assert len(done.stderr.splitlines()) == 1
    assert "Cannot write" in done.stderr
    assert content(exported.folder) == before
    assert [path.name for path in exported.folder.parent.iterdir()] == [exported.folder.name]


@pytest.mark.parametrize(("stage", "images"), [("calibrate", 3000), ("round weights", 40)])
def test_ctrl_c_leaves_nothing(given, tmp_path, stage, images):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (images, 96, 96, 3), dtype=np.uint8)
    np.savez(tmp_path / "many.npz", x=pictures)
    script = tmp_path / "export.py"
    # The library call tells how far it is; the command line shows it to people.
    script.write_text(
        "import sys, edgeshuffle.converter.export.quantization as module\n"
        "from edgeshuffle.cli import main\n"
        "quantize = module.quantize\n"
        # Noise is unlike any pictures; making up others takes longer than what is tested.
        "module.unlike_training = lambda *_: ()\n"
        "def tell(model, images, recipe, progress, preprocess):\n"
        "    def told(*step):\n"
        "        progress(*step)\n"
        "        print(step[0], flush=True)\n"
        "    return quantize(model, images, recipe, told, preprocess)\n"
        "module.quantize = tell\n"
        "main(sys.argv[1:])\n"
    )
    arguments = ("--weights", given / "x0_5.pth", "--resolution", 224, "--int8")
    process = subprocess.Popen(
        [sys.executable, script, "export", *map(str, arguments), "--calib", tmp_path / "many.npz"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert f"{stage}\n" in iter(process.stdout.readline, "")
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines() == ["edgeshuffle: interrupted; nothing half-written is left."]
    left = sorted(path.name for path in tmp_path.rglob("*"))
    assert left == ["export.py", "many.npz"]

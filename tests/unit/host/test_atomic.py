from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest

from edgeshuffle.errors import ArtifactError
from edgeshuffle.host.atomic import atomic_file, atomic_folder


def artifact(folder, text):
    folder.mkdir()
    (folder / "manifest.json").write_text(text)
    return folder


def fail_in(block, write, error):
    with block as temporary:
        write(temporary)
        raise error


def test_a_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "new" / "file"
    with atomic_file(target) as temporary:
        temporary.write_text("all of it")
        assert not target.exists()
    assert target.read_text() == "all of it"
    assert list(target.parent.iterdir()) == [target]
    usual = tmp_path / "usual"
    usual.touch()
    assert target.stat().st_mode == usual.stat().st_mode


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_file_that_fails_leaves_the_old_one(tmp_path, error):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(error):
        fail_in(atomic_file(target), lambda temporary: temporary.write_text("half"), error)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("through", ["itself", "link"])
def test_what_is_no_file_is_not_replaced(tmp_path, through):
    # A device is renamed over as readily as this pipe, by those who may.
    pipe = tmp_path / "itself"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    with (
        pytest.raises(ArtifactError, match="is there and no file"),
        atomic_file(tmp_path / through),
    ):
        raise AssertionError
    assert pipe.is_fifo()
    assert (tmp_path / "link").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_link_to_a_file_stays_one(tmp_path):
    (tmp_path / "link").symlink_to("folder/file")
    with atomic_file(tmp_path / "link") as temporary:
        temporary.write_text("all of it")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_text() == "all of it"


def test_a_folder_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "build" / "model"
    with atomic_folder(target, overwrite=False) as folder:
        (folder / "manifest.json").write_text("new")
        assert not target.exists()
    assert (target / "manifest.json").read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_folder_that_fails_leaves_the_old_one(tmp_path, error):
    target = artifact(tmp_path / "model", "old")
    with pytest.raises(error):
        fail_in(
            atomic_folder(target, overwrite=True),
            lambda folder: (folder / "manifest.json").write_text("half"),
            error,
        )
    assert (target / "manifest.json").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_overwriting_replaces_everything(tmp_path):
    target = artifact(tmp_path / "model", "old")
    (target / "old_file").write_text("")
    with atomic_folder(target, overwrite=True) as folder:
        (folder / "manifest.json").write_text("new")
    assert [path.name for path in target.iterdir()] == ["manifest.json"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    target = tmp_path / "model"
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ArtifactError, match=r"No space left.*make room"):
        fail_in(
            atomic_folder(target, overwrite=False),
            lambda folder: (folder / "half").write_text("half"),
            full,
        )
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_replaced_without_being_asked(tmp_path):
    target = artifact(tmp_path / "model", "old")
    with pytest.raises(ArtifactError, match="`overwrite`"), atomic_folder(target, overwrite=False):
        pass
    assert (target / "manifest.json").read_text() == "old"


def test_a_file_is_never_replaced_by_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ArtifactError, match="not a folder"),
        atomic_folder(tmp_path / "file", overwrite=True),
    ):
        pass


@pytest.mark.parametrize("make", [atomic_file, lambda path: atomic_folder(path, overwrite=False)])
def test_errors_of_the_block_stay_what_they_are(tmp_path, make):
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", "/elsewhere/photo.jpg")
    with pytest.raises(FileNotFoundError) as caught:
        fail_in(make(tmp_path / "target"), lambda _: None, error)
    assert caught.value is error
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_in_the_block_is_an_error_of_writing(tmp_path):
    with (
        pytest.raises(ArtifactError, match="Cannot write"),
        atomic_folder(tmp_path / "model", overwrite=False) as folder,
    ):
        (folder / "no" / "such" / "folder").touch()


def test_the_slower_of_two_does_not_replace_the_faster(tmp_path):
    target = tmp_path / "model"
    slower = atomic_folder(target, overwrite=False)
    (slower.__enter__() / "manifest.json").write_text("slower")
    with atomic_folder(target, overwrite=False) as folder:
        (folder / "manifest.json").write_text("faster")
    with pytest.raises(ArtifactError, match="exists already"):
        slower.__exit__(None, None, None)
    assert (target / "manifest.json").read_text() == "faster"
    assert list(tmp_path.iterdir()) == [target]


def test_two_that_overwrite_leave_one_whole_folder(tmp_path):
    target = artifact(tmp_path / "model", "old")
    blocks = [atomic_folder(target, overwrite=True) for _ in range(2)]
    for number, folder in enumerate([block.__enter__() for block in blocks]):
        (folder / "manifest.json").write_text(str(number))
    for block in blocks:
        block.__exit__(None, None, None)
    assert (target / "manifest.json").read_text() == "1"
    assert list(tmp_path.iterdir()) == [target]


def killed(script, folder):
    """Run a script up to where it kills itself."""
    start = (
        "import os, signal\nfrom pathlib import Path\n"
        "from edgeshuffle.host import atomic\n"
        "def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", start + script], cwd=folder, check=False)
    assert done.returncode == -signal.SIGKILL


def test_leftovers_of_killed_processes_are_removed_and_those_of_live_ones_are_not(tmp_path):
    target = tmp_path / "model"
    killed("with atomic.atomic_folder(Path('model'), overwrite=False) as f: die()", tmp_path)
    killed("with atomic.atomic_folder(Path('model2'), overwrite=False) as f: die()", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    with atomic_folder(target, overwrite=False) as first:
        with atomic_file(tmp_path / "model"):
            assert first.exists()
            assert len([e for e in tmp_path.iterdir() if e.name.startswith(".model.")]) == 2
        target.unlink()
    assert {entry.name.split(".")[0] or entry.name[:8] for entry in tmp_path.iterdir()} == {
        "model",
        ".model2.",
    }


def test_a_kill_between_the_old_and_the_new_loses_neither(tmp_path):
    artifact(tmp_path / "model", "old")
    killed(
        "aside = atomic._set_aside\n"
        "atomic._set_aside = lambda *given: (aside(*given), die())\n"
        "with atomic.atomic_folder(Path('model'), overwrite=True): pass",
        tmp_path,
    )
    assert not (tmp_path / "model").exists()
    with (
        pytest.raises(RuntimeError),
        atomic_folder(tmp_path / "model", overwrite=True),
    ):
        raise RuntimeError
    assert (tmp_path / "model" / "manifest.json").read_text() == "old"


def test_a_second_signal_does_not_leave_anything(tmp_path):
    script = (
        "import os, signal, shutil, sys\nfrom pathlib import Path\n"
        "from edgeshuffle.host import atomic\nfrom edgeshuffle.host.signals import ending_once\n"
        "remove = shutil.rmtree\n"
        "def slow(*given, **more):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n    remove(*given, **more)\n"
        "shutil.rmtree = slow\n"
        "with ending_once(), atomic.atomic_folder(Path('model'), overwrite=False):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False)
    assert done.returncode == 143
    assert list(tmp_path.iterdir()) == []


def test_a_name_as_long_as_names_may_be(tmp_path):
    target = tmp_path / ("n" * 255)
    with atomic_file(target) as temporary:
        temporary.write_text("all of it")
    assert target.read_text() == "all of it"

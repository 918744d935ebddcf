from __future__ import annotations

import errno

import pytest

from edgeshuffle.atomic import atomic_file, atomic_folder
from edgeshuffle.errors import ArtifactError


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
    with pytest.raises(ArtifactError, match="--overwrite"), atomic_folder(target, overwrite=False):
        pass
    assert (target / "manifest.json").read_text() == "old"


def test_a_file_is_never_replaced_by_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ArtifactError, match="not a folder"),
        atomic_folder(tmp_path / "file", overwrite=True),
    ):
        pass

"""Two first-time makers of one thing, with a download that is slow and needs no network.

python -m campaign.rivals board CACHE      builds an emulated board's root
python -m campaign.rivals COMMAND...       edgeshuffle, with wheels that are there at once
"""

from __future__ import annotations

import os
import sys
import time
import zipfile
from pathlib import Path

_FILES = 40
_PAUSE = 0.01


def main() -> None:
    if sys.argv[1] == "board":
        _board(Path(sys.argv[2]))
        return
    _wheels()
    from edgeshuffle.cli import main as edgeshuffle

    edgeshuffle(prog_name="edgeshuffle")


def _board(cache: Path) -> None:
    """Build a root whose packages are a few files, and say whether it is whole."""
    from edgeshuffle.payload import rootfs

    def packages(work: Path, chosen: object) -> list[Path]:
        # As apt does, which refuses to share its folders with nobody.
        (work / "lists" / "partial").mkdir(parents=True)
        files = [work / f"{index}.deb" for index in range(_FILES)]
        for file in files:
            file.write_text("a package")
            time.sleep(_PAUSE)
        return files

    def unpack(files: list[Path], root: Path) -> None:
        (root / "usr" / "lib" / "python3.11").mkdir(parents=True)
        for file in files:
            (root / "usr" / "lib" / file.name).write_text(file.read_text())
            time.sleep(_PAUSE)

    def download(*_: object, folder: Path, **__: object) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        return [_wheel(folder / "small-1-py3-none-any.whl")]

    rootfs._download_packages, rootfs._unpack_packages = packages, unpack
    rootfs.download_wheels = download
    root = rootfs.root_filesystem(cache, lambda *_: None)
    found = len(list((root / "usr" / "lib").glob("*.deb")))
    assert found == _FILES, f"{found} files of {_FILES}"


def _wheels() -> None:
    """Runtimes that are small, so that what races is our own."""
    from edgeshuffle.device import remote

    def download(*_: object, folder: Path, **__: object) -> list[Path]:
        return [_wheel(folder / f"part{index}-1-py3-none-any.whl", index) for index in range(3)]

    remote.download_wheels = download


def _wheel(path: Path, index: int = 0) -> Path:
    # The same bytes each time: what is pushed is known by its hash.
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(_FILES):
            info = zipfile.ZipInfo(f"part{index}/file{number}.py")
            archive.writestr(info, f"NUMBER = {number}\n")
    return path


if __name__ == "__main__":
    os.environ.setdefault("PIP_NO_INPUT", "1")
    main()

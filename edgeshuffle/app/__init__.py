"""A folder to copy to a board: a classifier that runs there without edgeshuffle."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.agent import agent_folder
from edgeshuffle.app import rpicam
from edgeshuffle.app.boards import board_of, requirements
from edgeshuffle.app.readme import TEMPLATE, Wanted, filled, readme
from edgeshuffle.app.settings import settings_header, settings_json
from edgeshuffle.artifact.class_names import class_names_text
from edgeshuffle.artifact.metadata import read_metadata
from edgeshuffle.errors import ArtifactError, UnknownNameError
from edgeshuffle.host.atomic import atomic_folder
from edgeshuffle.runner.classify.source import find_source
from edgeshuffle.untrusted import UntrustedError, clean, decode, read_bounded

if TYPE_CHECKING:
    from edgeshuffle.artifact import Artifact
    from edgeshuffle.artifact.metadata import Metadata
    from edgeshuffle.runner.classify.source import Candidate, Source

_MARK: Final = "model.json"
_PROGRAM: Final = ("classify.py", "frames.py", "picture.py", "scores.py", "telling.py")
_CPP: Final = ("main.cpp", "picture.h")
_RPICAM: Final = "rpicam.json"
_SERVICE: Final = "classify.service"


@dataclass(frozen=True, kw_only=True)
class AppOptions:
    """What to make: of an artifact, or of a .tflite or .onnx file that says how to use it.

    `device` is a kind of board (`boards.BOARDS`); `runtime` and `precision` choose the model file
    as `classify` does. With `systemd`, there is a unit, too. `overwrite` replaces what an earlier
    call made, and nothing else.
    """

    artifact: Artifact | Path
    output: Path
    device: str = "generic"
    runtime: str | None = None
    precision: str | None = None
    systemd: bool = False
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class App:
    """The folder that was made: its files, in order, and what to know of it."""

    folder: Path
    device: str
    model: str
    runtime: str
    requirements: tuple[str, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Marked:
    """Of an app that is there, the files that it was made with."""

    files: tuple[str, ...]


def make_app(options: AppOptions) -> App:
    """Write the folder, whole or not at all.

    Raises UnknownNameError, ModelError (no classifier), ArtifactError (no such file, or a folder
    that cannot be written or holds something else), and DeviceError where this machine has no
    version of a package to pin.
    """
    board = board_of(options.device)
    if options.systemd and not board.packages:
        raise UnknownNameError(f"There is no systemd on {board.name}. Leave out `systemd`.")
    name = clean(options.output.resolve().name)
    source = find_source(options.artifact, options.runtime, options.precision)
    model = source.candidates[0]
    if clean(model.path.name) != model.path.name:
        raise ArtifactError(
            f"{model.path} has a name that is no text, which its app would have to spell. Rename "
            "the file."
        )
    _refuse_others(options.output, overwrite=options.overwrite)
    pinned = requirements(model.runtime) if board.packages else ()
    pixels = _pixels_model(options.artifact, source) if board.rpicam else None
    why_not = rpicam.why_not(None if pixels is None else pixels[1]) if board.rpicam else None
    with atomic_folder(options.output, overwrite=options.overwrite) as folder:
        _write_program(folder, source, model)
        _write_cpp(folder / "cpp", source, model)
        if pinned:
            (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in pinned))
        if pixels is not None and why_not is None:
            shutil.copyfile(pixels[0], folder / pixels[0].name)
            text = rpicam.post_process(pixels[0].name, name)
            (folder / _RPICAM).write_text(text)
        if options.systemd:
            words = {"model": source.name, "folder": name}
            # systemd would put something of its own for a single one.
            words = {key: word.replace("%", "%%") for key, word in words.items()}
            (folder / _SERVICE).write_text(filled(_SERVICE, words), "utf-8")
        wanted = Wanted(
            folder=name,
            device=options.device,
            systemd=options.systemd,
            rpicam=board.rpicam,
            why_not_rpicam=why_not,
        )
        (folder / "README.md").write_text(readme(wanted, source, model), "utf-8")
        files = _listed(folder)
        (folder / _MARK).write_text(settings_json(source, model, (*files, _MARK)), "utf-8")
    return App(
        folder=options.output,
        device=options.device,
        model=model.path.name,
        runtime=model.runtime,
        requirements=pinned,
        files=(*files, _MARK),
        notes=() if why_not is None else (f"no {_RPICAM} for rpicam-apps: {why_not}.",),
    )


def _write_program(folder: Path, source: Source, model: Candidate) -> None:
    for name in (*_PROGRAM, f"{model.runtime}.py"):
        shutil.copyfile(agent_folder() / name, folder / name)
    shutil.copyfile(model.path, folder / model.path.name)
    if source.labels is not None:
        (folder / "labels.txt").write_bytes(class_names_text(source.labels))


def _write_cpp(folder: Path, source: Source, model: Candidate) -> None:
    folder.mkdir()
    for name in _CPP:
        shutil.copyfile(TEMPLATE / "cpp" / name, folder / name)
    shutil.copyfile(TEMPLATE / "cpp" / f"model_{model.runtime}.h", folder / "model.h")
    cmake = (TEMPLATE / "cpp" / "CMakeLists.txt").read_text("utf-8")
    (folder / "CMakeLists.txt").write_text(cmake.replace("@RUNTIME@", model.runtime), "utf-8")
    (folder / "settings.h").write_text(settings_header(source, model), "utf-8")


def _pixels_model(artifact: Artifact | Path, source: Source) -> tuple[Path, Metadata] | None:
    """The same network's TFLite file that reads pixels, and what it says of itself.

    Models of others may lie in the same folder.
    """
    place = artifact if isinstance(artifact, Path) else artifact.folder
    folder = place.parent if place.is_file() else place
    for path in sorted(folder.glob("*.tflite")):
        try:
            metadata = read_metadata(path)
        except (UntrustedError, OSError):
            continue
        same = (metadata.name, metadata.labels) == (source.name, source.labels or ())
        if metadata.input == "pixels" and same:
            return path, metadata
    return None


def _listed(folder: Path) -> tuple[str, ...]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return tuple(sorted(str(path.relative_to(folder)) for path in files))


def _refuse_others(target: Path, *, overwrite: bool) -> None:
    """Raise ArtifactError for a folder with something in it that this module did not write."""
    if not overwrite or not target.is_dir() or not any(target.iterdir()):
        return
    try:
        written = set(decode(read_bounded(target / _MARK), _Marked).files)
    except (OSError, ValueError):
        written = set()
    others = [
        name
        for name in _listed(target)
        # What Python leaves where the program was run.
        if name not in written and "__pycache__" not in Path(name).parts
    ]
    if others:
        raise ArtifactError(
            f"{target} also holds '{others[0]}', which no app was made with, so it is not "
            "replaced. Move it away, or choose another `output`."
        )

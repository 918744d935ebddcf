"""Tells what is on pictures, on a film or before a camera.

Stands alone in its folder, beside `frames.py`, `picture.py`, `scores.py`, `telling.py`, the
runtime's module and `model.json`, which says how to use the model: needs Python 3.9 or later, numpy
and the runtime.

    python3 classify.py photo.jpg film.mp4 folder/
    python3 classify.py --camera 0

Ctrl-C or SIGTERM ends it after the current picture. Exit codes: 0 done, 1 something could not be
read or opened, 2 bad options.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
# Of the runtime; LiteRT crashes on very many.
MOST_THREADS = 256


def main() -> int:
    """Classify what is asked for; the exit status."""
    options = _options()
    # Python put this folder first, where its files would hide installed packages of their names.
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    # Pillow's remarks on odd files are for its users.
    warnings.simplefilter("ignore")
    telling = _beside("telling")
    telling.never_fail_on_letters()
    stopping = _Stopping()
    try:
        return _run(options, telling, stopping)
    except ModuleNotFoundError as err:
        return int(
            telling.tell(f"The package {err.name} is missing: pip install -r requirements.txt.")
        )
    except BrokenPipeError:
        # Who read the answers has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as err:
        # Answers cannot be written: what is left of them would fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return int(telling.tell(str(err)))


class Classifier:
    """The folder's model, by what `model.json` says of it."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.picture, self.scores = _beside("picture"), _beside("scores")
        self.settings: dict[str, Any] = json.loads((folder / "model.json").read_text("utf-8"))
        self.channels: str = self.settings["channels"]
        runtime = _beside(self.settings["runtime"])
        self._session = runtime.open_session(str(folder / self.settings["model"]), threads)
        name = self.settings["labels"]
        lines = (folder / name).read_text("utf-8").split("\n") if name else []
        self._labels = lines[:-1] if lines and not lines[-1] else lines
        self._check()

    def _check(self) -> None:
        """Raise ValueError where the files of the folder do not belong together.

        The first inference sets things up, and is none of a picture's.
        """
        import numpy as np

        reads, crop = tuple(self._session.input_shape[1:]), tuple(self.settings["crop"])
        if reads != (len(self.settings["mean"]), *crop):
            raise ValueError(f"it reads {reads}, and model.json says {crop}")
        black = np.zeros((*crop, reads[0]), np.uint8)
        classes = len(self._scores(black))
        if classes == 1 and self.settings["output"] != "probabilities":
            raise ValueError("it gives one logit, which is of no class")
        if self._labels and len(self._labels) != classes:
            raise ValueError(f"there are {len(self._labels)} labels for {classes} classes")

    def classify(self, pixels: Any, top: int) -> list[tuple[str, float]]:
        """The likeliest labels and their probabilities (0 to 1) of uint8 (h, w, C) pixels.

        Raises ValueError for a picture that is too narrow, and scores that are no numbers.
        """
        settings = self.settings
        crop = self.picture.cropped(pixels, settings["resize"], tuple(settings["crop"]))
        scores = self._scores(crop)
        if not (abs(scores) < float("inf")).all():
            raise ValueError("the model gives values that are no finite numbers")
        shares = self.scores.probabilities(scores, settings["output"])
        return [
            (self._labels[index] if self._labels else f"class {index}", float(shares[index]))
            for index in self.scores.best(shares, top)
        ]

    def _scores(self, crop: Any) -> Any:
        """What the model gives for the pixels that are left of a picture, (classes,)."""
        settings = self.settings
        image = self.picture.normalised(crop, settings["mean"], settings["std"], self.channels)
        batch = self._session.input_shape[0]
        return self._session.run(image.repeat(batch, axis=0))[0].reshape(batch, -1)[0]


def _classifier(threads: int, frames: Any) -> Classifier:
    """This folder's; raises frames.Problem for one that does not work."""
    try:
        return Classifier(HERE, threads)
    except ModuleNotFoundError:
        raise
    # Each runtime has error types of its own for a model that it refuses.
    except Exception as err:
        line = frames.line(err)
        raise frames.Problem(f"The model cannot be used ({line}). Make the folder again.") from err


class _Stopping:
    """Whether a signal asked to stop; a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, _: Any) -> None:
        if self.asked:
            os._exit(128 + number)
        self.asked = True


def _run(options: argparse.Namespace, telling: Any, stopping: _Stopping) -> int:
    frames = _beside("frames")
    try:
        classifier = _classifier(options.threads, frames)
    except frames.Problem as err:
        return int(telling.tell(str(err)))
    teller, window = telling.Teller(options.json), telling.Window(options.show)
    failed = 0
    for name, stream, streaming in _sources(options, classifier, frames):
        try:
            for number, pixels in enumerate(stream):
                if stopping.asked:
                    break
                if number % options.every:
                    continue
                found = classifier.classify(pixels, options.top)
                teller.tell(name, found, streaming=streaming)
                if not window.shows(pixels, found):
                    stopping.asked = True
        except frames.Problem as err:
            failed = telling.tell(str(err))
        except ValueError as err:
            failed = telling.tell(f"{name}: {err}")
        finally:
            stream.close()
        if stopping.asked:
            break
    teller.end()
    return failed


def _sources(
    options: argparse.Namespace, classifier: Classifier, frames: Any
) -> Iterator[tuple[str, Any, bool]]:
    """Names, pixels, and whether there are many of a name."""
    picture, channels = classifier.picture, classifier.channels
    if options.camera is not None or not options.places:
        number = options.camera or 0
        yield f"camera {number}", _camera(number, frames, picture, channels), True
        return
    for place in options.places:
        for path in frames.files_at(place):
            film = path.suffix.lower() in frames.FILMS
            yield str(path), frames.pixels_of(path, channels, picture), film


def _camera(number: int, frames: Any, picture: Any, channels: str) -> Iterator[Any]:
    stream = frames.camera(number)
    try:
        for frame in stream:
            yield picture.of_channels(frame, channels)
    finally:
        stream.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tell what is on pictures.")
    parser.add_argument("places", nargs="*", type=Path, help="pictures, films, folders of them")
    parser.add_argument("--camera", type=int, help="the camera of this number [without places: 0]")
    parser.add_argument("--top", type=_positive, default=1, help="labels a picture [1]")
    parser.add_argument("--threads", type=_threads, default=1, help="of the runtime [1]")
    parser.add_argument("--every", type=_positive, default=1, help="each N-th of a film only")
    parser.add_argument("--show", action="store_true", help="a window (needs OpenCV with one)")
    parser.add_argument("--json", action="store_true", help="a JSON object a line and picture")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number


def _threads(text: str) -> int:
    number = _positive(text)
    if number > MOST_THREADS:
        raise argparse.ArgumentTypeError(f"it must be {MOST_THREADS} or less")
    return number


def _beside(name: str) -> Any:
    """The module `name`.py of this folder, whatever else has that name."""
    spec = importlib.util.spec_from_file_location("classify_" + name, HERE / (name + ".py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())

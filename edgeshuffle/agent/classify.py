"""Tells what is on pictures, on a film or before a camera.

Stands alone in its folder, beside `frames.py`, `picture.py`, `scores.py`, the runtime's module and
`model.json`, which says how to use the model: needs Python 3.9 or later, numpy and the runtime.

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
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
# Of pictures that come all the time, one is told a second, and each change.
TELL_SECONDS = 1.0


def main() -> int:
    """Classify what is asked for; the exit status."""
    options = _options()
    # Python put this folder first, where its files would hide installed packages of their names.
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    frames = _beside("frames")
    stopping = _Stopping()
    try:
        classifier = Classifier(HERE, options.threads)
        return _run(options, classifier, frames, stopping)
    except frames.Problem as err:
        return _tell(str(err))
    except ModuleNotFoundError as err:
        return _tell(f"The package {err.name} is missing: pip install -r requirements.txt.")
    except BrokenPipeError:
        # Who read the answers has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


class Classifier:
    """The folder's model, by what `model.json` says of it."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.picture, self.scores = _beside("picture"), _beside("scores")
        self.settings: dict[str, Any] = json.loads((folder / "model.json").read_text("utf-8"))
        self.channels: str = self.settings["channels"]
        runtime = _beside(self.settings["runtime"])
        self._session = runtime.open_session(str(folder / self.settings["model"]), threads)
        name = self.settings["labels"]
        self._labels = (folder / name).read_text("utf-8").split("\n") if name else None

    def classify(self, pixels: Any, top: int) -> list[tuple[str, float]]:
        """The likeliest labels and their probabilities (0 to 1) of uint8 (h, w, C) pixels."""
        settings, picture = self.settings, self.picture
        crop = picture.cropped(pixels, settings["resize"], tuple(settings["crop"]))
        image = picture.normalised(crop, settings["mean"], settings["std"], self.channels)
        batch = self._session.input_shape[0]
        scores = self._session.run(image.repeat(batch, axis=0))[0].reshape(batch, -1)[0]
        shares = self.scores.probabilities(scores, settings["output"])
        return [
            (self._labels[index] if self._labels else f"class {index}", float(shares[index]))
            for index in self.scores.best(shares, top)
        ]


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


class _Teller:
    """Prints what was found, and how many pictures a second there are."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._begun = time.monotonic()
        # When pictures were counted last, and how many there had been.
        self._since: tuple[float, int] | None = None
        self._last = ""
        self.count = 0

    def tell(self, name: str, found: list[tuple[str, float]], *, streaming: bool) -> None:
        self.count += 1
        now = time.monotonic()
        if self._json:
            guesses = [{"label": label, "probability": share} for label, share in found]
            print(json.dumps({"picture": name, "top": guesses}), flush=True)
            return
        words = ", ".join(f"{label} {100 * share:.1f} %" for label, share in found)
        if not streaming:
            print(f"{name}: {words}", flush=True)
            return
        started, before = self._since or (now, self.count)
        self._since = started, before
        if found[0][0] == self._last and now - started < TELL_SECONDS:
            return
        self._last = found[0][0]
        rate = ""
        if self.count > before:
            rate = f" ({(self.count - before) / max(now - started, 1e-9):.1f} pictures a second)"
        print(f"{name}: {words}{rate}", flush=True)
        if now - started >= TELL_SECONDS:
            self._since = (now, self.count)

    def end(self) -> None:
        if not self._json and self.count > 1:
            seconds = time.monotonic() - self._begun
            print(f"{self.count} pictures in {seconds:.1f} s", flush=True)


def _run(options: argparse.Namespace, classifier: Classifier, frames: Any, stopping: Any) -> int:
    teller, window = _Teller(options.json), _Window(options.show)
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
            failed = _tell(str(err))
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


class _Window:
    """A window with the picture and its labels, where one is wanted; Esc or q closes it."""

    def __init__(self, wanted: bool) -> None:
        self._cv2: Any = None
        if wanted:
            import cv2

            self._cv2 = cv2

    def shows(self, pixels: Any, found: list[tuple[str, float]]) -> bool:
        if self._cv2 is None:
            return True
        drawn = pixels[..., [2, 1, 0] if pixels.shape[2] > 1 else [0, 0, 0]].copy()
        for row, (label, share) in enumerate(found):
            at = (8, 28 + 28 * row)
            font = self._cv2.FONT_HERSHEY_SIMPLEX
            for colour, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
                text = f"{label} {100 * share:.1f} %"
                self._cv2.putText(drawn, text, at, font, 0.8, colour, width)
        try:
            self._cv2.imshow("classify", drawn)
            return self._cv2.waitKey(1) & 0xFF not in (27, ord("q"))
        except self._cv2.error:
            sys.exit(_tell("This OpenCV has no windows, or there is no screen: leave out --show."))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tell what is on pictures.")
    parser.add_argument("places", nargs="*", type=Path, help="pictures, films, folders of them")
    parser.add_argument("--camera", type=int, help="the camera of this number [without places: 0]")
    parser.add_argument("--top", type=_positive, default=1, help="labels a picture [1]")
    parser.add_argument("--threads", type=_positive, default=1, help="of the runtime [1]")
    parser.add_argument("--every", type=_positive, default=1, help="each N-th of a film only")
    parser.add_argument("--show", action="store_true", help="a window (needs OpenCV with one)")
    parser.add_argument("--json", action="store_true", help="a JSON object a line and picture")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number


def _tell(problem: str) -> int:
    print(f"classify.py: {problem}", file=sys.stderr, flush=True)
    return 1


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

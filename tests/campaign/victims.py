"""Commands in processes of their own that are ended at bad moments, and what must hold then."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from campaign.oracle import alive, leftovers, listing
from campaign.pool import TESTS
from edgeshuffle.artifact import Artifact
from edgeshuffle.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from campaign.seeds import Seeds

END_SECONDS = 30
SETTLE_SECONDS = 20
# Exit codes of a run that was not disturbed in the end: an INVALID bench is a finished one.
FINISHED = (0, 11)
# After each signal, those that a command may end with besides.
ENDS = {
    "SIGKILL": (-signal.SIGKILL,),
    # Before Python has come so far as to have handlers, the signal itself ends it.
    "SIGTERM twice": (143, -signal.SIGTERM),
    "SIGINT": (130, -signal.SIGINT),
}


@dataclass
class Place:
    """A folder in which commands run, with everything that they may write to inside."""

    root: Path
    log: Path = field(init=False)
    ready: Path = field(init=False)

    def __post_init__(self) -> None:
        for name in ("work", "tmp", "home", "config"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.log = self.root / "announced"
        self.ready = self.root / "announced.ready"

    @property
    def work(self) -> Path:
        return self.root / "work"

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start `edgeshuffle` here."""
        paths = (str(TESTS.parent), str(TESTS))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "TMPDIR": str(self.root / "tmp"),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "EDGESHUFFLE_CAMPAIGN_CASE": str(self.root),
            "COLUMNS": "100",
            **more,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "campaign.announced", str(self.log), *arguments],
            cwd=self.work,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command that nobody ends."""
        return end(self.start(*arguments))

    def announced(self) -> list[list[int]]:
        """The blocks of samples that benches here went on from."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def lost(self) -> int:
        """How many of them no records file has."""
        files = (self.work / "bench").glob("*") if (self.work / "bench").exists() else ()
        kept = "".join("".join(file.read_text().split()) for file in files)
        # The first ones after a switch of models are dropped.
        return sum(",".join(map(str, block[3:])) not in kept for block in self.announced())


@dataclass(frozen=True)
class Victim:
    """A command; `seconds` is about how long it takes, `makes` what it leaves when it is done, and
    `keeps` what is of use of an unfinished one.
    """

    name: str
    arguments: tuple[str, ...]
    seconds: float
    makes: tuple[str, ...] = ()
    keeps: str = "bench"

    @property
    def is_remote(self) -> bool:
        return any("ssh://" in one for one in self.arguments)


_GUIDELINES = ("guidelines", "--size", "small", "--precision", "fp32", "--runtime", "litert")


def local(seeds: Seeds) -> list[Victim]:
    """Every command that runs here; the artifact is `net` in the current folder."""
    data = ("--data", str(seeds.images))
    export = ("export", "--onnx", str(seeds.model), "--int8", "--calib", str(seeds.images))
    return [
        Victim("export", (*export, "--recipe", "fast", "-o", "out"), 4.0, ("out",)),
        Victim("bench", ("bench", "net"), 6.0, ("bench",)),
        Victim("evaluate", ("evaluate", "net", *data), 1.5),
        Victim("bench --full", ("bench", "net", "--full", "--runtime", "ort"), 12.0, ("bench",)),
        Victim("compare", ("compare", "net", *data), 1.5),
        Victim("bench --sustained", ("bench", "net", "--sustained", "0.1"), 9.0, ("bench",)),
        Victim("sensitivity", ("sensitivity", "net", *data), 2.0),
        Victim("guidelines", (*_GUIDELINES, "--only", "g4"), 8.0, keeps="build"),
        Victim("profile", ("profile", "net"), 6.0),
        Victim("report", ("report", str(seeds.records)), 1.0),
        Victim("doctor", ("doctor",), 0.7),
        Victim("inspect", ("inspect", "net"), 1.0),
    ]


def remote(seeds: Seeds, address: str) -> list[Victim]:
    """Every command that uses a board."""
    data = ("--data", str(seeds.images), "--limit", "4")
    device = ("--device", address)
    bench = ("bench", "net", *device, "--runtime", "litert")
    return [
        Victim("bench", bench, 9.0, ("bench",)),
        Victim("devices test", ("devices", "test", address), 2.0),
        Victim("evaluate", ("evaluate", "net", *data, *device, "--runtime", "litert"), 7.0),
        Victim("bench --sustained", (*bench, "--sustained", "0.1"), 13.0, ("bench",)),
        Victim("setup", ("setup", *device), 3.0),
        Victim("doctor", ("doctor", *device), 2.0),
        Victim("bench --full", (*bench, "--full"), 20.0, ("bench",)),
    ]


def end(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code and what was said; a command that does not end is killed and fails."""
    try:
        out, err = running.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        running.kill()
        running.communicate()
        raise AssertionError(f"{running.args[4:]} did not end") from None
    return running.returncode, out, err


def strike(running: subprocess.Popen[str], kind: str) -> None:
    """Send a command its signal, or its two."""
    number = getattr(signal, kind.partition(" ")[0])
    with suppress(ProcessLookupError):
        running.send_signal(number)
        if kind.endswith("twice"):
            time.sleep(0.3)
            running.send_signal(number)


def moment(place: Place, victim: Victim, random: Random, running: subprocess.Popen[str]) -> None:
    """Wait for a bad one: any time, or while a bench has some samples but not all.

    Before the program is there, Python itself answers a SIGINT, with a traceback of its start-up.
    """
    while not place.ready.exists() and running.poll() is None:
        time.sleep(0.01)
    deadline = time.monotonic() + random.uniform(0, victim.seconds)
    if victim.name.startswith("bench") and random.random() < 0.6:
        wanted = len(place.announced()) + random.choice((1, 2, 5, 17, 33, 40))
        deadline = time.monotonic() + 3 * victim.seconds
        while len(place.announced()) < wanted and time.monotonic() < deadline:
            if running.poll() is not None:
                return
            time.sleep(0.01)
        return
    while time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.01)


def kill(victim: Victim, kind: str, random: Random, seeds: Seeds, root: Path) -> list[str]:
    """End a command, and tell everything that was lost, left or blocked by that."""
    folder = Path(tempfile.mkdtemp(dir=root))
    place = Place(folder)
    seeds.copy(seeds.artifact, place.work / "net")
    before = listing(place.work)
    running = place.start(*victim.arguments)
    moment(place, victim, random, running)
    struck = running.poll() is None
    strike(running, kind)
    code, _, err = end(running)
    wrong = list(_after(place, victim, kind, code, err, before)) if struck else []
    wrong += _again(place, victim)
    shutil.rmtree(folder, ignore_errors=True)
    return [
        f"{victim.name} ({kind}{', board' if victim.is_remote else ''}): {one}" for one in wrong
    ]


def _after(
    place: Place, victim: Victim, kind: str, code: int, err: str, before: object
) -> Iterator[str]:
    if code not in (*ENDS[kind], *FINISHED):
        yield f"exit code {code}: {err[-300:]}"
    said = err.splitlines()
    # Python's own start cannot be guarded by a program.
    if "Traceback" in err and "/edgeshuffle/" in err:
        yield f"a traceback: {err[-2000:]}"
    elif "Traceback" not in err and any(not line.startswith("edgeshuffle: ") for line in said):
        yield f"stderr has {said}"
    if not _until(lambda: not alive(place.root)):
        yield f"processes are left: {alive(place.root)}"
    if (number := place.lost()) > 0:
        yield f"{number} of {len(place.announced())} blocks are lost"
    if kind == "SIGKILL":
        return
    # What is whole may have been finished just before the end.
    done = code in FINISHED or _is_artifact(place.work / "out")
    new = [
        name
        for name in sorted(listing(place.work).keys() - dict(before).keys())
        if not name.startswith(victim.keeps) and not (done and name.startswith(victim.makes))
    ]
    if new:
        yield f"half-written: {new[:3]}"
    if left := leftovers(place.root / "tmp"):
        yield f"temporary files: {left[:3]}"


def _is_artifact(folder: Path) -> bool:
    try:
        Artifact.load(folder)
    except ArtifactError:
        return False
    return True


def _again(place: Place, victim: Victim) -> Iterator[str]:
    """The same command once more, which must find nothing in its way and drop nothing."""
    told = place.announced()
    for file in _records(place):
        code, _, err = place.run("report", str(file), "--json")
        if code not in FINISHED:
            yield f"report cannot read {file.name}: exit code {code}: {err}"
    arguments = list(victim.arguments)
    if (place.work / "out").exists():
        arguments.append("--overwrite")
    # What ends takes a moment to let go.
    for attempt in itertools.count():
        code, _, err = place.run(*arguments)
        if code in FINISHED or attempt == 2:
            break
        time.sleep(2)
    if code not in FINISHED:
        yield f"blocks the next run: exit code {code}: {err}"
    hidden = [name for name in listing(place.work) if name.startswith(".")]
    if hidden:
        yield f"still half-written after the next run: {hidden[:3]}"
    if (number := place.lost()) > 0:
        yield f"{number} of {len(told)} blocks are lost by the next run"


def _records(place: Place) -> list[Path]:
    folder = place.work / "bench"
    return sorted(folder.iterdir()) if folder.exists() else []


def _until(condition: object, seconds: float = SETTLE_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

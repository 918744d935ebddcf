"""A model loaded by an agent on a device."""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import numpy as np

from edgeshuffle.agent import agent_files
from edgeshuffle.device import replies
from edgeshuffle.errors import DeviceError, MissingExtraError, RuntimeUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgeshuffle.device import Device, Process
    from edgeshuffle.device.cycles import Cycles

T = TypeVar("T")

REPLY_SECONDS: Final = 60.0
# However slow a device says that it is.
LONGEST_SECONDS: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class AgentSession:
    """An agent's process, and what it said when it was ready; `name` is for messages.

    Its methods raise DeviceError, also for replies that are not what was asked for.
    """

    name: str
    process: Process
    ready: replies.Ready

    def close(self) -> None:
        """End the process, before the device is let go, which ends all."""
        self.process.close()

    def samples(self, n: int) -> replies.Ran:
        """Times of exactly `n` inferences on the staged image, and the state after them."""
        ran = self._ask({"cmd": "run", "n": n}, replies.Ran, n)
        if len(ran.samples_ns) != n:
            raise self._wrong(replies.Ran, f"{len(ran.samples_ns)} samples instead of {n}")
        return ran

    def state(self) -> replies.State:
        """What the device and the process are like at this moment."""
        return self._ask({"cmd": "state"}, replies.State)

    def graph(self) -> bytes | None:
        """The ONNX graph as it is run, without its larger constants; None where nobody tells."""
        text = self._ask({"cmd": "graph"}, replies.Graph).graph
        return None if text is None else self._decoded(text, replies.Graph)

    def cut(self, changes: Sequence[tuple[int, bytes]]) -> None:
        """Have it run another model from now on: its own, with these bytes at these offsets.

        In ONNX Runtime, instead a part of `graph`, which is given whole at offset 0.
        """
        told = [(offset, base64.b64encode(data).decode()) for offset, data in changes]
        self._ask({"cmd": "cut", "changes": told}, replies.Cut)

    def profile(self, n: int) -> tuple[replies.OperatorTime, ...]:
        """Mean times of the operators over `n` inferences; none where the runtime does not tell."""
        return self._ask({"cmd": "profile", "n": n}, replies.Profile, n).operators

    def energy(self, seconds: float) -> replies.Energy:
        """Power for so long while idle, and as long while inferring."""
        return self._ask({"cmd": "energy", "seconds": seconds}, replies.Energy)

    def count(self, n: int) -> tuple[dict[str, int], ...]:
        """Instructions of `n` inferences by class, on a device that counts."""
        return self.process.count(n, self._timeout(n))

    def cycles(self) -> Cycles:
        """Estimated, of the shortest inference of the last `count`."""
        return self.process.cycles()

    def run(self, images: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        """All outputs as float32 for float32 (N, C, H, W) images; they must be of these shapes."""
        return self.timed_run(images, shapes)[0]

    def timed_run(
        self, images: np.ndarray, shapes: Sequence[tuple[int, ...]] | None
    ) -> tuple[list[np.ndarray], int | None]:
        """The same, and the time that it took there in ns, if it tells.

        Without shapes, outputs are what comes, of one axis.
        """
        values = np.ascontiguousarray(images, np.float32)
        encoded = base64.b64encode(values.tobytes()).decode()
        command = {"cmd": "infer", "shape": values.shape, "images": encoded}
        reply = self._ask(command, replies.Outputs, 1)
        if shapes is None:
            return [self._values(text) for text in reply.outputs], reply.ns
        if len(reply.outputs) != len(shapes):
            raise self._wrong(
                replies.Outputs, f"{len(reply.outputs)} outputs instead of {len(shapes)}"
            )
        outputs = [
            self._output(text, shape) for text, shape in zip(reply.outputs, shapes, strict=True)
        ]
        return outputs, reply.ns

    def _output(self, text: str, shape: tuple[int, ...]) -> np.ndarray:
        values = self._values(text)
        if len(values) != math.prod(shape):
            raise self._wrong(replies.Outputs, f"{len(values)} values for {list(shape)}")
        return values.reshape(shape)

    def _values(self, text: str) -> np.ndarray:
        try:
            return np.frombuffer(self._decoded(text, replies.Outputs), "<f4").astype(np.float32)
        except ValueError as err:
            raise self._wrong(replies.Outputs, str(err)) from err

    def _decoded(self, text: str, kind: type[Any]) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as err:
            raise self._wrong(kind, str(err)) from err

    def _ask(self, command: dict[str, Any], kind: type[T], inferences: int = 0) -> T:
        reply = self.process.ask(command, self._timeout(inferences))
        if "error" in reply:
            failed = replies.read(reply, replies.Failed, self.where)
            raise DeviceError(
                f"{self.name} failed {self.process.where} ({failed.error}). Check the device and "
                "run it again, or leave this runtime out with `runtimes`."
            )
        return replies.read(reply, kind, self.where)

    def _wrong(self, kind: type[Any], what: str) -> DeviceError:
        return replies.wrong(kind, self.where, what)

    @property
    def where(self) -> str:
        """Of what and where it is, for messages."""
        return f"of {self.name} {self.process.where}"

    def _timeout(self, inferences: int) -> float:
        # The first inference is the slowest one; twenty times that is no longer slow but stuck.
        seconds = REPLY_SECONDS + 20 * inferences * self.ready.first_ns / 1e9
        return min(seconds, LONGEST_SECONDS)


class Runnable(Protocol):
    """What is to be known of a model file to run it; `precision` is for messages."""

    @property
    def runtime(self) -> str: ...

    @property
    def precision(self) -> str: ...


def open_agent(
    device: Device,
    file: Runnable,
    path: Path,
    *,
    threads: int = 1,
    cores: Sequence[int] = (),
    seed: int = 0,
) -> AgentSession:
    """Load a model file on the device, in a process pinned to `cores` if there are any.

    Raises MissingExtraError, RuntimeUnavailableError and DeviceError.
    """
    program = device.push_program(*agent_files(file.runtime))
    argv = [device.python, program, "--runtime", file.runtime]
    argv += ["--model", device.push(path), "--threads", str(threads), "--seed", str(seed)]
    if cores:
        argv += ["--cores", ",".join(map(str, cores))]
    process = device.spawn(argv)
    name = f"{file.runtime}/{file.precision}"
    reply = process.reply(replies.START_SECONDS)
    where = f"of {name} {process.where}"
    if "error" not in reply:
        ready = replies.read(reply, replies.Ready, where)
        return AgentSession(name=name, process=process, ready=ready)
    failed = replies.read(reply, replies.Failed, where)
    if failed.missing is not None:
        raise MissingExtraError(
            f"The runtime '{file.runtime}' needs the package '{failed.missing}': "
            "pip install 'edgeshuffle[runtime]', or leave it out with `runtimes`."
        )
    raise RuntimeUnavailableError(
        f"{file.runtime} cannot run {path} ({failed.error}). Export it again, or leave this "
        "runtime out with `runtimes`."
    )

"""A model loaded by an agent on a device."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from edgeshuffle.errors import DeviceError, MissingExtraError, RuntimeUnavailableError
from edgeshuffle.runtime import agent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.device import Device, Process

AGENT: Final = Path(agent.__file__)
START_SECONDS: Final = 120.0
REPLY_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class AgentSession:
    """An agent's process, and what it said when it was ready; `name` is for messages."""

    name: str
    process: Process
    ready: dict[str, Any]

    def ask(self, command: dict[str, Any], inferences: int = 0) -> dict[str, Any]:
        """Have a command answered that takes so many inferences; raises DeviceError."""
        reply = self.process.ask(command, self._timeout(inferences))
        if "error" in reply:
            raise DeviceError(
                f"{self.name} failed on the device ({reply['error']}). Check the device and run it "
                "again, or leave this runtime out with --runtime."
            )
        return reply

    def count(self, n: int) -> tuple[dict[str, int], ...]:
        """Instructions of `n` inferences by class, on a device that counts; raises DeviceError."""
        return self.process.count(n, self._timeout(n))

    def run(self, image: np.ndarray) -> np.ndarray:
        """Float32 logits (num_classes,) of a float32 (1, 3, H, W) image."""
        values = np.ascontiguousarray(image, np.float32)
        encoded = base64.b64encode(values.tobytes()).decode()
        reply = self.ask({"cmd": "infer", "shape": values.shape, "image": encoded}, 1)
        return np.array(reply["logits"], np.float32)

    def _timeout(self, inferences: int) -> float:
        # The first inference is the slowest one; twenty times that is no longer slow but stuck.
        return REPLY_SECONDS + 20 * inferences * float(self.ready["first_ns"]) / 1e9


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
    for name in (file.runtime, "power"):
        device.push(AGENT.with_name(f"{name}.py"))
    argv = [device.python, device.push(AGENT), "--runtime", file.runtime]
    argv += ["--model", device.push(path), "--threads", str(threads), "--seed", str(seed)]
    if cores:
        argv += ["--cores", ",".join(map(str, cores))]
    process = device.spawn(argv)
    ready = process.reply(START_SECONDS)
    if "missing" in ready:
        raise MissingExtraError(
            f"The runtime '{file.runtime}' needs the package '{ready['missing']}': "
            "pip install 'edgeshuffle[runtime]', or leave it out with --runtime."
        )
    if "error" in ready:
        raise RuntimeUnavailableError(
            f"{file.runtime} cannot run {path} ({ready['error']}). Export it again, or leave this "
            "runtime out with --runtime."
        )
    return AgentSession(name=f"{file.runtime}/{file.precision}", process=process, ready=ready)

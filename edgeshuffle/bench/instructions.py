"""Instructions an inference on an emulated board: the cost that can be known without the board.

They repeat almost to the last one, so a few inferences are enough; the least of them is taken,
because allocators now and then do some work of their own.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeshuffle.device.session import open_agent
from edgeshuffle.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgeshuffle.bench.plan import BenchOptions, Case
    from edgeshuffle.device import Device, DeviceInfo

INFERENCES: Final = 5
# The first inference of a process has things to set up, and was run when it loaded the model.
WARMUP: Final = 1
# ONNX Runtime's allocator makes single inferences up to 0.6 % longer; beyond, something is wrong.
SPREAD: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class Count:
    """One model file's instructions; `inferences` holds every one's counts by class.

    Classes: `dot` (sdot, udot, matrix products), `widening_mac`, `fmla`, `simd_load`, `simd_store`,
    `simd_other`, `load`, `store`, `branch`, `other`; `instructions` is their sum. An emulated
    device that does not count gives none: all that is known is that the file runs there.
    """

    manifest_sha256: str
    model: str
    device: DeviceInfo
    runtime: str
    runtime_version: str
    precision: str
    file: str
    file_sha256: str
    inferences: tuple[dict[str, int], ...]

    @property
    def least(self) -> dict[str, int]:
        """The inference with the fewest instructions; empty where none was counted."""
        return min(self.inferences, key=lambda counts: counts["instructions"], default={})

    @property
    def instructions(self) -> int | None:
        """Of the shortest inference."""
        return self.least.get("instructions")

    @property
    def spread(self) -> float:
        """How much longer the longest inference is than the shortest, as a share."""
        if self.instructions is None:
            return 0.0
        longest = max(counts["instructions"] for counts in self.inferences)
        return longest / self.instructions - 1

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the count is not to be believed, if so."""
        if self.spread <= SPREAD:
            return ()
        return (
            f"inferences differ by {100 * self.spread:.2f} %, more than {100 * SPREAD:.0f} %; run "
            "it again",
        )

    def to_json(self) -> str:
        """One line, without its end."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))


def count(
    options: BenchOptions,
    device: Device,
    info: DeviceInfo,
    cases: Sequence[Case],
    progress: Callable[[str, int, int], None],
) -> Iterator[Count]:
    """Run each case in turn, and count its instructions if the device can.

    Raises UnknownNameError, DeviceError and what `open_agent` does.
    """
    if options.threads != 1:
        raise UnknownNameError("Instructions are counted with one thread: leave out --threads.")
    manifest_sha256 = options.artifact.manifest_sha256
    for done, case in enumerate(cases):
        progress("count", done, len(cases))
        session = open_agent(device, case.file, case.path, seed=options.seed)
        session.samples(WARMUP)
        yield Count(
            manifest_sha256=manifest_sha256,
            model=options.artifact.manifest.model,
            device=info,
            runtime=case.file.runtime,
            runtime_version=session.ready.runtime_version,
            precision=case.file.precision,
            file=case.file.path,
            file_sha256=case.file.sha256,
            inferences=session.count(INFERENCES) if info.counted else (),
        )

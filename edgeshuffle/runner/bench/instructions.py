"""Instructions an inference on an emulated board: the cost that can be known without the board.

They repeat almost to the last one, so a few inferences are enough; the least of them is taken,
because what is around the runtime now and then does some work of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.device.session import open_agent
from edgeshuffle.errors import UnknownNameError
from edgeshuffle.runner.bench.events import Counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeshuffle.device import Device, DeviceInfo
    from edgeshuffle.progress import Progress
    from edgeshuffle.runner.bench.plan import Case, Conditions

INFERENCES: Final = 5
# The first inference of a process has things to set up, and was run when it loaded the model.
WARMUP: Final = 1


def count(
    options: Conditions,
    device: Device,
    info: DeviceInfo,
    cases: Sequence[Case],
    progress: Progress,
) -> Iterator[Counted]:
    """Run each case in turn, and count its instructions if the device can.

    Raises UnknownNameError, DeviceError and what `open_agent` does.
    """
    if options.threads != 1:
        raise UnknownNameError("Instructions are counted with one thread: leave out `threads`.")
    for index, case in enumerate(cases):
        progress("count", index, len(cases))
        session = open_agent(device, case.file, case.path, seed=options.seed)
        session.samples(WARMUP)
        inferences = session.count(INFERENCES) if info.counted else ()
        cycles = session.cycles() if options.cycles else None
        session.close()
        yield Counted(
            file=index,
            runtime_version=session.ready.runtime_version,
            inferences=inferences,
            cycles=cycles,
        )

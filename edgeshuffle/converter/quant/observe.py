"""Run the float graph on calibration images, once for all that is asked of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.converter.quant.float_run import FloatRun
from edgeshuffle.converter.quant.images import count_images
from edgeshuffle.host.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    import numpy as np
    import onnx_ir as ir

    from edgeshuffle.converter.quant.images import Images

    class Observer(Protocol):
        """Sees the values that it `names` of one image after the other.

        `prepare` is called for each image in turn, `look` with what it gave from any thread, and
        `add` with what that gave for each image in turn, beside the next images' looks.
        """

        @property
        def names(self) -> Sequence[str]: ...

        def prepare(self) -> Any: ...

        def look(self, index: int, prepared: Any, values: dict[str, np.ndarray]) -> Any: ...

        def add(self, looked: Any) -> None: ...


def observe(
    model: ir.Model,
    images: Images,
    observers: Sequence[Observer],
    progress: Callable[[int, int], None],
) -> None:
    """One pass over the images; raises DataError and ModelError (NaN, infinity).

    What comes of it does not depend on the number of cores: an image is one thread's.
    """
    count = count_images(images)
    run = FloatRun(model, [name for observer in observers for name in observer.names])

    def look(given: tuple[int, list[Any]]) -> list[Any]:
        index, prepared = given
        values = run(images[index])
        return [
            observer.look(index, one, values)
            for observer, one in zip(observers, prepared, strict=True)
        ]

    with Workers() as workers:
        given = ((index, [observer.prepare() for observer in observers]) for index in range(count))
        for done, looked in enumerate(workers.stream(look, given), 1):
            for observer, one in zip(observers, looked, strict=True):
                observer.add(one)
            progress(done, count)

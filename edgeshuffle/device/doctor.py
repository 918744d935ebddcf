"""What a device's own account of itself means for int8 inference and for measuring, with the fix.

Each check is one function of what the agent describes; thresholds come from the runtimes' wheels
and from reports of their users, named beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from edgeshuffle.device.throttled import THROTTLED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeshuffle.device.replies import Described
    from edgeshuffle.payload.wheels import Choice

Level = Literal["ok", "warning", "problem"]

_MIB: Final = 2**20
# What ai-edge-litert's aarch64 wheels need in fact; their tag says 2.27.
_GLIBC_LITERT: Final = (2, 34)
# The agent's; which Pythons have wheels, the index knows.
_PYTHON: Final = (3, 9)
_FREE_BYTES: Final = 400 * _MIB
_MEMORY_BYTES: Final = 400 * _MIB
_HOT_MC: Final = 70_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check's result; `fix` is what to do, for warnings and problems."""

    check: str
    level: Level
    text: str
    fix: str = ""


def examine(described: Described, offered: Choice | str | None = None) -> tuple[Finding, ...]:
    """All findings, in the order of the checks.

    `offered` are the runtimes that `set_up` would put there, or why that is not known; None where
    they are part of the device.
    """
    found = tuple(finding for check in CHECKS for finding in check(described))
    return (*found, *_runtimes(offered))


def _architecture(d: Described) -> Iterator[Finding]:
    machine, bits = d.machine, d.bits
    if not d.is_arm:
        yield Finding(check="architecture", level="ok", text=f"{machine}: a host, not a device")
    elif bits == 64:
        yield Finding(check="architecture", level="ok", text=f"{machine}, 64-bit")
    else:
        kernel = "a 64-bit kernel with 32-bit programs" if "64" in machine else f"{machine}, 32-bit"
        yield Finding(
            check="architecture",
            level="warning",
            text=f"{kernel}: there is only tflite-runtime, no ONNX Runtime, and it is slower",
            fix="install a 64-bit system",
        )


def _features(d: Described) -> Iterator[Finding]:
    if not d.is_arm:
        return
    found = set(d.features)
    if "i8mm" in found:
        text = "i8mm and dot products: int8 at full speed"
        yield Finding(check="int8", level="ok", text=text)
    elif "asimddp" in found:
        yield Finding(check="int8", level="ok", text="dot products (asimddp): int8 is worth it")
    else:
        yield Finding(
            check="int8",
            level="warning",
            text="no dot products (asimddp): expect little or no gain from int8",
            fix="measure fp32 and int8 both, and choose",
        )


def _half(d: Described) -> Iterator[Finding]:
    if not d.is_arm:
        return
    # What XNNPACK looks for.
    if "asimdhp" in d.features:
        text = "fp16 arithmetic (asimdhp): fp16 files are worth it"
        yield Finding(check="fp16", level="ok", text=text)
    else:
        text = "no fp16 arithmetic (asimdhp): fp16 files are computed in fp32, and only smaller"
        yield Finding(check="fp16", level="ok", text=text)


def _libc(d: Described) -> Iterator[Finding]:
    if not d.glibc:
        yield Finding(
            check="glibc",
            level="problem",
            text="no glibc, which the runtimes' wheels are built for",
            fix="use a Debian-based system",
        )
        return
    if d.glibc_version >= _GLIBC_LITERT:
        yield Finding(check="glibc", level="ok", text=d.glibc)
    else:
        yield Finding(
            check="glibc",
            level="warning",
            text=f"{d.glibc}: ai-edge-litert needs 2.34, though pip installs it",
            fix="use the runtime ort, or a newer system (Debian 12)",
        )


def _python(d: Described) -> Iterator[Finding]:
    if d.python_version >= _PYTHON:
        yield Finding(check="Python", level="ok", text=d.python)
    else:
        yield Finding(
            check="Python",
            level="problem",
            text=f"{d.python}: the agent needs 3.9 or later",
            fix="install a newer one as python3",
        )


def _runtimes(offered: Choice | str | None) -> Iterator[Finding]:
    """What the package index has for the device: the same question that `setup` asks."""
    if isinstance(offered, str):
        yield Finding(
            check="runtimes",
            level="warning",
            text=f"not known which versions fit: {offered}",
            fix="connect this computer to a package index, unless setup was run before",
        )
    elif offered is not None:
        said = [
            name
            + (
                f" {version}"
                if version == offered.here[name]
                else f" {version} (here {offered.here[name]})"
            )
            for name, version in offered.versions.items()
        ]
        if not offered.absent:
            yield Finding(check="runtimes", level="ok", text=", ".join(said))
            return
        yield Finding(
            check="runtimes",
            level="warning" if said else "problem",
            text=", ".join([offered.why_not, *said]),
            fix="install a Python that has wheels as python3, or a newer system",
        )


def _pages(d: Described) -> Iterator[Finding]:
    kib = d.page_bytes // 1024
    if kib <= 4:
        yield Finding(check="pages", level="ok", text=f"{kib} KiB")
    else:
        # raspberrypi/bookworm-feedback#107: libraries aligned to 4 KiB do not load.
        yield Finding(
            check="pages",
            level="warning",
            text=f"{kib} KiB: libraries aligned to 4 KiB do not load",
            fix="if an import fails, boot a 4 KiB kernel (Pi 5: kernel=kernel8.img in config.txt)",
        )


def _known_bad(d: Described) -> Iterator[Finding]:
    version = d.packages.get("onnxruntime")
    # microsoft/onnxruntime#23957, mended in 1.22.
    if version == "1.21.0" and d.is_arm and "atomics" not in d.features:
        yield Finding(
            check="onnxruntime",
            level="problem",
            text="1.21.0 ends with an illegal instruction on this core",
            fix="install 1.22 or later, or leave it to edgeshuffle setup",
        )


def _room(d: Described) -> Iterator[Finding]:
    for check, there, needed in (
        ("disk", d.free_bytes, _FREE_BYTES),
        ("memory", d.memory_bytes, _MEMORY_BYTES),
    ):
        if there is None:
            continue
        text = f"{there / _MIB:.0f} MiB {'free' if check == 'disk' else 'in all'}"
        if there >= needed:
            yield Finding(check=check, level="ok", text=text)
        else:
            yield Finding(
                check=check,
                level="problem" if check == "disk" else "warning",
                text=f"{text}, {needed / _MIB:.0f} are needed for both runtimes",
                fix="make room" if check == "disk" else "bench one runtime at a time",
            )


def _clock(d: Described) -> Iterator[Finding]:
    governor = d.governor
    if governor is None:
        return
    if governor == "performance":
        yield Finding(check="governor", level="ok", text=governor)
    else:
        yield Finding(
            check="governor",
            level="warning",
            text=f"{governor}: the clock moves while it is measured",
            fix="let the user write scaling_governor, and bench sets it; or set it to performance",
        )


def _heat(d: Described) -> Iterator[Finding]:
    temperature = d.temperature_mc
    if temperature is not None:
        text = f"{temperature / 1000:.0f} degrees Celsius"
        if temperature < _HOT_MC:
            yield Finding(check="temperature", level="ok", text=text)
        else:
            fix = "let it cool down, or add a fan"
            yield Finding(check="temperature", level="warning", text=f"{text} at rest", fix=fix)
    bits = d.throttled
    if bits is None:
        return
    if not bits:
        yield Finding(check="power", level="ok", text="never throttled since it was started")
    for bit, name in enumerate(THROTTLED):
        what, _, fix = name.partition("; ")
        if bits >> bit & 1:
            yield Finding(check="power", level="problem", text=f"{what} now", fix=fix)
        elif bits >> bit + 16 & 1:
            text = f"{what} since it was started"
            yield Finding(check="power", level="warning", text=text, fix=fix)


def _load(d: Described) -> Iterator[Finding]:
    if d.load is None:
        return
    share = d.load / d.cores
    text = f"{d.load:.2f} on {d.cores} cores"
    if share < 0.5:
        yield Finding(check="load", level="ok", text=text)
    else:
        yield Finding(check="load", level="warning", text=text, fix="end other programs")


CHECKS: Final[tuple[Callable[[Described], Iterator[Finding]], ...]] = (
    _architecture, _features, _half, _libc, _python, _pages, _known_bad, _room, _clock, _heat,
    _load,
)  # fmt: skip

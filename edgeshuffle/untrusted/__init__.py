"""The door for what comes from outside: files, device replies, records and manifests.

JSON is decoded once, strictly, into typed values; its size and depth are bounded before it costs
memory, and control characters are gone from every string before anything shows it.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

MAX_BYTES: Final = 64 * 2**20
SHOWN: Final = 300
# Control, format (bidirectional overrides among them), surrogate, line and paragraph separators.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LAYOUT: Final = {ord("\n"): None, ord("\t"): None}


class UntrustedError(ValueError):
    """What came from outside is not what it should be; the message is one clean line."""


def clean(text: str) -> str:
    """One line without a character that a terminal could obey: each becomes a space."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if unicodedata.category(letter) in _UNSAFE else letter for letter in text
    ).strip()


def clean_lines(text: str) -> str:
    """Text of several lines as a terminal shows it; line ends and tabs stay, as does the length."""
    if text.isascii() and text.translate(_LAYOUT).isprintable():
        return text
    return "".join(
        " " if letter not in "\n\t" and unicodedata.category(letter) in _UNSAFE else letter
        for letter in text
    )


def quoted(text: str | bytes, limit: int = SHOWN) -> str:
    """Foreign text for a message: clean, in one line, and no longer than `limit` characters."""
    if isinstance(text, bytes):
        text = text[: 4 * limit].decode("utf-8", "replace")
    shown = " ".join(clean(text[: 4 * limit]).split())
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."


def last_line(text: str | bytes) -> str:
    """The last line with something in it, where programs say why they failed, as by `quoted`."""
    lines = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    shown = (quoted(line) for line in reversed(lines.split("\n")))
    return next((line for line in shown if line), "")


def first_line(error: Exception, limit: int = SHOWN) -> str:
    """What a library's exception says first, as by `quoted`; its kind where it says nothing."""
    shown = (quoted(line, limit) for line in str(error).split("\n"))
    return next((line for line in shown if line), type(error).__name__)


def decode(raw: bytes | str, kind: type[T], *, max_bytes: int = MAX_BYTES) -> T:
    """JSON to a value of `kind` (a dataclass, a mapping, ...) without any coercion.

    Fields that `kind` does not have are dropped; NaN and infinities are not JSON. Raises
    UntrustedError.
    """
    import msgspec

    if len(raw) > max_bytes:
        raise UntrustedError(f"{len(raw)} bytes, more than {max_bytes}")
    try:
        value = _cleaned(msgspec.json.decode(raw))
    except RecursionError as err:
        raise UntrustedError("nested too deeply") from err
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OverflowError) as err:
        raise UntrustedError(quoted(str(err))) from err
    return convert(value, kind)


def convert(value: Any, kind: type[T]) -> T:
    """Plain values to a value of `kind` without any coercion; raises UntrustedError."""
    import msgspec

    try:
        return msgspec.convert(value, kind)
    except (msgspec.MsgspecError, ValueError, OverflowError) as err:
        raise UntrustedError(quoted(str(err))) from err


def decode_toml(raw: bytes, kind: type[T]) -> T:
    """TOML to a value of `kind`, as strictly as `decode`; raises UntrustedError."""
    import tomllib

    import msgspec

    try:
        return msgspec.convert(_cleaned(tomllib.loads(raw.decode())), kind)
    except RecursionError as err:
        raise UntrustedError("nested too deeply") from err
    except (ValueError, OverflowError) as err:
        raise UntrustedError(quoted(str(err))) from err


def read_bounded(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """A file's bytes, if there are no more than `max_bytes`; raises UntrustedError and OSError.

    A pipe or a device, which may never end or never begin, is no file.
    """
    with open(path, "rb", opener=_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UntrustedError("a pipe or a device, no file")
        raw = file.read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise UntrustedError(f"more than {max_bytes} bytes")
    return raw


def _at_once(path: str, flags: int) -> int:
    """A descriptor, without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        # Samples are long lists of numbers, which need no look.
        return [_cleaned(one) if isinstance(one, str | list | dict) else one for one in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(one) for key, one in value.items()}
    return value

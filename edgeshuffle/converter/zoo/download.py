"""Public checkpoints: fetched once, kept whole, and held to what was fetched first."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact import sha256
from edgeshuffle.errors import WeightsError
from edgeshuffle.host.atomic import atomic_file
from edgeshuffle.host.folders import cache_folder
from edgeshuffle.untrusted import UntrustedError, quoted, read_bounded

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.converter.zoo.cards import Card

_TIMEOUT_S: Final = 30
_LOCK_S: Final = 600
_CHUNK: Final = 1 << 20
_MOST_BYTES: Final = 256 << 20


def download(card: Card) -> Path:
    """The public ImageNet checkpoint of a variant, from the cache or its official address.

    The publisher tells 32 to 40 bits of its sha256, in the file's name. The whole sha256 of the
    first download is kept beside it (`NAME.sha256`), and every later file must have it. Raises
    WeightsError without a network, or where the sha256 is another.
    """
    import filelock

    if card.weights is None:
        raise WeightsError(
            f"There are no public ImageNet weights for {card.name}. Give your own: `weights=FILE`."
        )
    url, prefix = card.weights.url, card.weights.sha256_prefix
    folder = cache_folder()
    target = folder / url.rsplit("/", 1)[-1]
    kept = target.with_name(f"{target.name}.sha256")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{target}.lock", timeout=_LOCK_S):
            wanted = _kept(kept, prefix)
            if target.is_file() and sha256(target).startswith(wanted):
                if not kept.exists():
                    _keep(kept, sha256(target))
                return target
            with atomic_file(target) as temporary:
                digest = _fetch(url, temporary)
                if not digest.startswith(wanted):
                    raise WeightsError(_other(url, digest, wanted, kept))
            _keep(kept, digest)
    except filelock.Timeout as err:
        raise WeightsError(
            f"Another process downloads {url} since {_LOCK_S // 60} minutes. Try again later."
        ) from err
    return target


def _kept(kept: Path, prefix: str) -> str:
    """The sha256 that a file must have, or how it must start."""
    if not kept.exists():
        return prefix
    try:
        whole = read_bounded(kept, 100).decode("ascii", "replace").strip()
    except UntrustedError:
        whole = ""
    if len(whole) != 64 or not whole.startswith(prefix):
        raise WeightsError(f"{kept} holds no sha256 of that file. Remove it and try again.")
    return whole


def _keep(kept: Path, digest: str) -> None:
    with atomic_file(kept) as temporary:
        temporary.write_text(f"{digest}\n", "ascii")


def _fetch(url: str, target: Path) -> str:
    """Download to a file; returns its sha256."""
    digest = hashlib.sha256()
    size = 0
    try:
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply,  # noqa: S310 - a card's
            target.open("wb") as out,
        ):
            while chunk := reply.read(_CHUNK):
                size += len(chunk)
                if size > _MOST_BYTES:
                    raise WeightsError(
                        f"{url} is larger than {_MOST_BYTES >> 20} MiB, which no such checkpoint "
                        "is. Give another one with `weights=FILE`."
                    )
                digest.update(chunk)
                out.write(chunk)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as err:
        raise WeightsError(
            f"Cannot download {url} ({quoted(str(getattr(err, 'reason', err)))}). Fetch it where "
            "there is a network and give it with `weights=FILE`, or use `weights=demo`."
        ) from err
    return digest.hexdigest()


def _other(url: str, digest: str, wanted: str, kept: Path) -> str:
    if len(wanted) < len(digest):
        return (
            f"{url} has sha256 {digest}, which does not start with {wanted}: the download is "
            "damaged or was replaced. Try again."
        )
    return (
        f"{url} has sha256 {digest}, but the first download had {wanted}: it is damaged or was "
        f"replaced. Try again, or remove {kept} if you trust the new one."
    )

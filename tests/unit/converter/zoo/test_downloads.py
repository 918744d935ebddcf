"""Public weights, from a server that is a folder."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
import torch
from networks import network

from edgeshuffle.converter.zoo.cards import load_card
from edgeshuffle.converter.zoo.download import download
from edgeshuffle.errors import WeightsError
from edgeshuffle.host.folders import cache_folder


@pytest.fixture
def public(tmp_path, monkeypatch):
    """A card whose public weights are a local file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "server" / "x.pth"
    path.parent.mkdir()
    torch.save(network(0.5).state_dict(), path)
    card = load_card("shufflenet_v2_x0_5")
    prefix = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    source = dataclasses.replace(card.weights, url=path.as_uri(), sha256_prefix=prefix)
    return path, dataclasses.replace(card, weights=source)


def test_downloads_are_verified_and_cached(public):
    path, card = public
    first = download(card)
    assert first.read_bytes() == path.read_bytes()
    path.unlink()
    assert download(card) == first


def test_a_replaced_download_is_refused_and_not_kept(public):
    path, card = public
    path.write_bytes(b"something else")
    with pytest.raises(WeightsError, match="does not start with"):
        download(card)
    assert {entry.suffix for entry in cache_folder().iterdir()} == {".lock"}


def test_no_network_is_one_clear_line(public):
    path, card = public
    path.unlink()
    with pytest.raises(WeightsError, match=r"Cannot download .*`weights=FILE`"):
        download(card)


def same_start(prefix, length=1):
    """Other bytes whose sha256 starts alike."""
    number = 0
    while not hashlib.sha256(b"%d" % number).hexdigest().startswith(prefix[:length]):
        number += 1
    return b"%d" % number


def test_later_downloads_are_held_against_the_whole_sha256_of_the_first(public):
    path, card = public
    short = dataclasses.replace(card.weights, sha256_prefix=card.weights.sha256_prefix[:1])
    card = dataclasses.replace(card, weights=short)
    first = download(card)
    kept = first.with_name("x.pth.sha256")
    assert kept.read_text().strip() == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(same_start(short.sha256_prefix))
    first.write_bytes(path.read_bytes())
    with pytest.raises(WeightsError, match=r"but the first download had .*remove .*x.pth.sha256"):
        download(card)
    kept.write_text("nonsense")
    with pytest.raises(WeightsError, match="holds no sha256"):
        download(card)
    kept.unlink()
    assert download(card).read_bytes() == path.read_bytes()


def test_a_file_that_was_there_before_is_kept_to_as_well(public):
    path, card = public
    cache_folder().mkdir(parents=True)
    (cache_folder() / "x.pth").write_bytes(path.read_bytes())
    path.unlink()
    assert download(card).with_name("x.pth.sha256").is_file()


def test_an_endless_download_ends(public, monkeypatch):
    path, card = public
    monkeypatch.setattr("edgeshuffle.converter.zoo.download._MOST_BYTES", path.stat().st_size - 1)
    with pytest.raises(WeightsError, match="is larger than"):
        download(card)


def test_somebody_elses_download_is_waited_for(public, monkeypatch):
    import filelock

    _, card = public
    monkeypatch.setattr("edgeshuffle.converter.zoo.download._LOCK_S", 0.1)
    cache_folder().mkdir(parents=True)
    with (
        filelock.FileLock(cache_folder() / "x.pth.lock"),
        pytest.raises(WeightsError, match="Another process downloads"),
    ):
        download(card)

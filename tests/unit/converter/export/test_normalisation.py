"""Means and deviations of values in 0..1 and in 0..255."""

from __future__ import annotations

import pytest

from edgeshuffle.converter.export.options import ExportOptions
from edgeshuffle.converter.export.resolve import resolve


def asked(tmp_path, **given):
    return resolve(ExportOptions(output=tmp_path / "out", **given))


def test_pixels_of_255_without_a_mean_are_a_deviation(tmp_path):
    entry = asked(tmp_path, scale=255.0).input
    assert entry.mean == (0.0,)
    assert entry.std == (1 / 255,)


def test_a_mean_of_pixels_is_one_of_255ths(tmp_path):
    mean, std = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
    request = asked(tmp_path, scale=255.0, mean=mean, std=std, channels="bgr")
    pixel = 0.3
    for channel in range(3):
        expected = (255 * pixel - mean[channel]) / std[channel]
        found = (pixel - request.input.mean[channel]) / request.input.std[channel]
        assert found == pytest.approx(expected)
    assert not [note for note in request.notes if "0..255" in note]


def test_without_a_scale_all_stays(tmp_path):
    request = asked(tmp_path, mean=(0.5, 0.5, 0.5))
    assert request.input.mean == (0.5, 0.5, 0.5)
    assert request.input.std is None
    assert any("0..255" in note for note in asked(tmp_path, mean=(127.0, 127.0, 127.0)).notes)

"""Samples of channels: drawn from all places, and so are those that are left when thinned."""

from __future__ import annotations

import numpy as np
from networks import Graph

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.quant.ranges import Ranges
from edgeshuffle.converter.quant.samples import Samples
from edgeshuffle.converter.quant.ties import tie

COUNT, SIZE = 40, 4


def small():
    graph = Graph(size=SIZE)
    return to_ir(graph.classifier(graph.conv("input", 2))).graph


def test_thinned_samples_are_of_all_places_of_a_small_map():
    samples = Samples(small(), COUNT)
    numbers = np.arange(SIZE * SIZE, dtype=np.float32)
    values = dict.fromkeys(samples.names)
    for index in range(COUNT):
        for name, (channels, places, _) in samples._shapes.items():
            values[name] = np.tile(numbers[:places], (channels, 1))
        samples.add(samples.look(index, samples.prepare(), values))
    found = samples.found()["input"]
    assert set(found.thinned().values[0]) == set(numbers)
    assert (found.thinned().low[0], found.thinned().high[0]) == (0, SIZE * SIZE - 1)


def test_what_is_counted_of_an_image_reaches_all_places_of_its_maps(monkeypatch):
    """Otherwise images that come in turns, one of each class, are each seen at other places."""
    monkeypatch.setattr("edgeshuffle.converter.quant.ranges._COUNTED", 400 * COUNT)
    ranges = Ranges(tie(small()), "mse", COUNT)
    maps = np.tile(np.arange(28 * 28, dtype=np.float32), 8)
    values = dict.fromkeys(ranges.names, maps)
    looked = [ranges.look(index, None, values)[0] for index in range(COUNT)]
    for array, counted in looked:
        assert 300 < len(array[counted]) <= 400
        columns, rows = set(array[counted] % 28), set(array[counted] // 28)
        assert len(columns) == len(rows) == 28
    assert {value for array, counted in looked for value in array[counted]} == set(range(28 * 28))

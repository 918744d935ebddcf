"""Pixels to a network's input without Pillow: to the bit what Pillow makes of them."""

import sys
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeshuffle.agent import picture
from edgeshuffle.artifact.preprocess import CHANNELS, Preprocess
from edgeshuffle.dataset.prepare import preprocess_picture

SIDES = st.integers(1, 90)


@settings(max_examples=150, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.booleans(), st.integers(0, 2**32 - 1))
def test_resampled_as_pillow_does(height, width, new_height, new_width, extreme, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if extreme:
        pixels = (pixels > 127).astype(np.uint8) * 255
    size = (new_width, new_height)
    wanted = np.asarray(picture.scaled(Image.fromarray(pixels), size))
    box = (new_width // 3, new_height // 3, (new_width + 1) // 2, (new_height + 1) // 2)
    left, top, across, down = box
    np.testing.assert_array_equal(
        picture.resampled(pixels, size, box), wanted[top : top + down, left : left + across]
    )


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(CHANNELS)), SIDES, SIDES, st.integers(8, 24), st.integers(8, 24), SIDES)
def test_pixels_are_prepared_as_pictures_are(channels, height, width, rows, columns, margin):
    count = CHANNELS[channels]
    preprocess = Preprocess(
        resize=min(rows, columns) + margin,
        crop=(rows, columns),
        mean=(0.4, 0.5, 0.6, 0.7)[:count],
        std=(0.2, 0.3, 0.4, 0.5)[:count],
        channels=channels,
    )
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = picture.converted(Image.fromarray(pixels), picture.MODES[channels])
    wanted = preprocess_picture(image, preprocess)
    own = picture.of_channels(pixels, channels)
    for without in ({}, {"PIL": None}):
        with patch.dict(sys.modules, without):
            crop = picture.cropped(own, preprocess.resize, (rows, columns))
        made = picture.normalised(crop, preprocess.mean, preprocess.std, channels)
        np.testing.assert_array_equal(made, wanted)

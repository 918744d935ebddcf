"""Inputs that are not square, and pictures of other channels than RGB."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeshuffle.artifact.preprocess import CHANNELS, Preprocess
from edgeshuffle.dataset import open_images
from edgeshuffle.dataset.prepare import preprocess_picture
from edgeshuffle.errors import DataError

SIDES = st.integers(1, 40)


def plain(crop, channels="rgb", resize=None):
    count = CHANNELS[channels]
    return Preprocess(
        resize=resize or min(crop),
        crop=crop,
        mean=(0.0,) * count,
        std=(1.0,) * count,
        channels=channels,
    )


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def bytes_of(tensor):
    return np.round(tensor[0].transpose(1, 2, 0) * 255).astype(np.uint8)


def packed(folder, pixels, channels="rgb"):
    np.savez(folder / "x.npz", x=pixels)
    sides = pixels.shape[1:3]
    return bytes_of(next(iter(open_images(folder / "x.npz", plain(sides, channels)))))


@pytest.mark.parametrize(
    ("size", "resized", "box"),
    [
        # (width, height), of a crop that is twice as high as wide, and twice the margin.
        ((64, 128), (32, 64), (8, 16, 24, 48)),
        ((128, 128), (64, 64), (24, 16, 40, 48)),
        ((30, 100), (32, 106), (8, 37, 24, 69)),
    ],
)
def test_the_side_that_is_shorter_for_the_crop_decides(size, resized, box):
    picture = Image.fromarray(noise(size[1], size[0], 3))
    made = preprocess_picture(picture, plain((32, 16), resize=32))
    expected = picture.resize(resized, Image.Resampling.BILINEAR).crop(box)
    np.testing.assert_array_equal(bytes_of(made), np.asarray(expected))


@settings(max_examples=200, deadline=None)
@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES), st.integers(0, 20))
def test_every_picture_covers_every_crop(size, crop, margin):
    made = preprocess_picture(
        Image.new("RGB", size, (255, 255, 255)), plain(crop, resize=min(crop) + margin)
    )
    assert made.shape == (1, 3, *crop)
    assert (made == 1).all()


def test_a_picture_of_the_crops_size_stays_as_it_is():
    pixels = noise(4, 9, 3)
    made = preprocess_picture(Image.fromarray(pixels), plain((4, 9), resize=8))
    np.testing.assert_array_equal(bytes_of(made), pixels)


def test_bgr_is_normalised_in_its_own_order(tmp_path):
    Image.fromarray(np.full((4, 4, 3), (255, 0, 51), np.uint8)).save(tmp_path / "a.png")
    given = Preprocess(
        resize=4, crop=(4, 4), mean=(0.2, 0.1, 0.5), std=(1.0, 0.5, 0.25), channels="bgr"
    )
    image = next(iter(open_images(tmp_path, given)))
    np.testing.assert_allclose(image[0, :, 0, 0], [0.0, -0.2, 2.0], atol=1e-7)


def test_grey_is_the_luma_of_colours_and_a_grey_picture_itself(tmp_path):
    red, green, blue = noise(1, 6, 5, 3)[0].reshape(-1, 3).astype(float).T
    found = packed(tmp_path, noise(1, 6, 5, 3), "gray").reshape(-1)
    np.testing.assert_allclose(found, 0.299 * red + 0.587 * green + 0.114 * blue, atol=0.6)
    np.testing.assert_array_equal(packed(tmp_path, noise(1, 6, 5), "gray")[..., 0], noise(6, 5))


def test_alpha_is_read_where_the_model_reads_it(tmp_path):
    pixels = noise(1, 6, 5, 4)
    np.testing.assert_array_equal(packed(tmp_path, pixels, "rgba"), pixels[0])
    np.testing.assert_array_equal(packed(tmp_path, pixels), pixels[0, ..., :3])
    opaque = packed(tmp_path, pixels[..., :3].copy(), "rgba")
    np.testing.assert_array_equal(opaque[..., :3], pixels[0, ..., :3])
    assert (opaque[..., 3] == 255).all()


def test_colours_of_transparent_pixels_are_resized_like_others():
    pixels = noise(8, 8, 4)
    pixels[..., 3] = 0
    made = bytes_of(preprocess_picture(Image.fromarray(pixels), plain((4, 4), "rgba")))
    small = Image.fromarray(pixels[..., :3]).resize((4, 4), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(made[..., :3], np.asarray(small))


def test_arrays_of_other_shapes_are_told_what_fits(tmp_path):
    for shape in ((1, 4, 4, 2), (1, 4, 4, 5), (4, 4)):
        np.savez(tmp_path / "x.npz", x=noise(*shape))
        with pytest.raises(DataError, match=r"with C 1, 3 or 4 \(RGBA\)"):
            open_images(tmp_path / "x.npz", plain((4, 4)))


def test_numbers_are_one_a_channel():
    for channels, count in CHANNELS.items():
        plain((4, 4), channels).check()
        wrong = Preprocess(
            resize=4, crop=(4, 4), mean=(0.0, 0.0), std=(1.0,) * count, channels=channels
        )
        with pytest.raises(ValueError, match=f"each channel of {channels}: {count}"):
            wrong.check()

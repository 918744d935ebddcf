"""Image sets: what is read, how it is preprocessed, which errors name what."""

import numpy as np
import pytest
from PIL import Image

from edgeshuffle.artifact import Preprocess
from edgeshuffle.dataset import open_images, spread
from edgeshuffle.errors import DataError

PLAIN = Preprocess(resize=8, crop=(8, 8), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def first(path, preprocess=PLAIN):
    return next(iter(open_images(path, preprocess)))


def bytes_of(tensor):
    return np.round(tensor[0].transpose(1, 2, 0) * 255).astype(int)


class TestPreprocessing:
    @pytest.mark.parametrize(
        ("size", "resized", "box"),
        [
            ((100, 50), (64, 32), (20, 4, 43, 27)),
            # torchvision truncates the longer side and rounds half a pixel to even.
            ((50, 101), (32, 64), (4, 20, 27, 43)),
            ((10, 10), (32, 32), (4, 4, 27, 27)),
        ],
    )
    def test_resizes_the_shorter_side_and_crops_the_centre(self, tmp_path, size, resized, box):
        path = save(tmp_path / "a.png", noise(size[1], size[0], 3))
        preprocess = Preprocess(resize=32, crop=(23, 23), mean=(0.0,) * 3, std=(1.0,) * 3)
        # Across first, as every Pillow did before 13.
        across = Image.open(path).resize((resized[0], size[1]), Image.Resampling.BILINEAR)
        image = across.resize(resized, Image.Resampling.BILINEAR).crop(box)
        np.testing.assert_array_equal(bytes_of(first(tmp_path, preprocess)), np.asarray(image))

    def test_uses_an_image_of_the_crop_size_as_it_is(self, tmp_path):
        pixels = noise(8, 8, 3)
        save(tmp_path / "a.png", pixels)
        preprocess = Preprocess(resize=16, crop=(8, 8), mean=(0.0,) * 3, std=(1.0,) * 3)
        np.testing.assert_array_equal(bytes_of(first(tmp_path, preprocess)), pixels)

    def test_normalises_each_channel(self, tmp_path):
        save(tmp_path / "a.png", np.full((8, 8, 3), (255, 0, 51), np.uint8))
        preprocess = Preprocess(resize=8, crop=(8, 8), mean=(0.5, 0.1, 0.2), std=(0.25, 0.5, 1.0))
        image = first(tmp_path, preprocess)
        assert image.shape == (1, 3, 8, 8)
        assert image.dtype == np.float32
        assert image.flags.c_contiguous
        np.testing.assert_allclose(image[0, :, 0, 0], [2.0, -0.2, 0.0], atol=1e-7)

    def test_refuses_a_crop_beyond_the_resize(self, tmp_path):
        save(tmp_path / "a.png", noise(20, 20, 3))
        with pytest.raises(DataError, match="crops 9"):
            first(tmp_path, Preprocess(resize=8, crop=(9, 9), mean=(0.0,) * 3, std=(1.0,) * 3))

    def test_refuses_a_picture_too_narrow_to_resize(self, tmp_path):
        save(tmp_path / "a.png", noise(1, 60000))
        preprocess = Preprocess(resize=224, crop=(224, 224), mean=(0.0,) * 3, std=(1.0,) * 3)
        with pytest.raises(DataError, match="60000x1 is too narrow"):
            first(tmp_path, preprocess)


class TestPictureModes:
    def test_grey(self, tmp_path):
        grey = noise(8, 8)
        save(tmp_path / "a.png", grey)
        np.testing.assert_array_equal(bytes_of(first(tmp_path)), np.stack([grey] * 3, -1))

    def test_sixteen_bit_grey_keeps_its_upper_byte(self, tmp_path):
        grey = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
        save(tmp_path / "a.png", grey)
        np.testing.assert_array_equal(bytes_of(first(tmp_path))[..., 1], grey // 256)

    def test_alpha_is_dropped(self, tmp_path):
        pixels = noise(8, 8, 4)
        save(tmp_path / "a.png", pixels)
        np.testing.assert_array_equal(bytes_of(first(tmp_path)), pixels[..., :3])

    @pytest.mark.filterwarnings("error")
    def test_palette_with_transparency(self, tmp_path):
        image = Image.new("P", (8, 8), 1)
        image.putpalette([0, 0, 0, 10, 20, 30])
        image.save(tmp_path / "a.png", transparency=b"\x00\x80")
        assert bytes_of(first(tmp_path))[0, 0].tolist() == [10, 20, 30]

    def test_cmyk(self, tmp_path):
        Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=100)
        red, green, blue = bytes_of(first(tmp_path))[4, 4]
        assert (red < 10, green > 245, blue > 245) == (True, True, True)

    def test_exif_orientation_is_not_applied(self, tmp_path):
        pixels = noise(8, 8, 3)
        exif = Image.Exif()
        exif[0x0112] = 6
        save(tmp_path / "a.png", pixels, exif=exif)
        np.testing.assert_array_equal(bytes_of(first(tmp_path)), pixels)


class TestFolders:
    def test_flat_folder_is_sorted_and_unlabelled(self, tmp_path):
        for value, name in enumerate(["a.PNG", "b.jpeg", "c.bmp", "d.webp"]):
            save(tmp_path / name, np.full((8, 8, 3), value * 50, np.uint8))
        (tmp_path / "readme.txt").write_text("no image")
        (tmp_path / "._a.png").write_bytes(b"no image")
        images = open_images(tmp_path, PLAIN)
        assert len(images) == 4
        assert images.labels is None
        means = [float(image.mean()) * 255 for image in images]
        np.testing.assert_allclose(means, [0, 50, 100, 150], atol=3)

    def test_class_folders_are_read_recursively(self, tmp_path):
        for name in ("dog/x/1.png", "cat/2.png", "cat/deep/er/1.png"):
            save(tmp_path / name, noise(8, 8, 3))
        images = open_images(tmp_path, PLAIN, num_classes=2, class_names=["dog", "cat"])
        assert images.labels.tolist() == [1, 1, 0]
        assert images.labels.dtype == np.int64

    def test_unknown_classes_do_for_calibration(self, tmp_path):
        for name in ("dog/1.png", "cat/1.png"):
            save(tmp_path / name, noise(8, 8, 3))
        assert open_images(tmp_path, PLAIN).labels is None

    def test_images_are_decoded_one_at_a_time(self, tmp_path):
        save(tmp_path / "a.png", noise(8, 8, 3))
        (tmp_path / "b.png").write_bytes(b"not a picture")
        images = iter(open_images(tmp_path, PLAIN))
        next(images)
        with pytest.raises(DataError, match=r"b\.png cannot be read as a picture"):
            next(images)

    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp"])
    def test_truncated_images_are_named(self, tmp_path, name):
        path = save(tmp_path / name, noise(64, 64, 3))
        content = path.read_bytes()
        for length in (0, 10, len(content) // 2):
            path.write_bytes(content[:length])
            with pytest.raises(DataError, match=name) as caught:
                first(tmp_path)
            assert "\n" not in str(caught.value)

    def test_errors(self, tmp_path):
        with pytest.raises(DataError, match="does not exist"):
            open_images(tmp_path / "none", PLAIN)
        with pytest.raises(DataError, match="holds no images"):
            open_images(tmp_path, PLAIN)
        flat = save(tmp_path / "a.png", noise(8, 8, 3))
        with pytest.raises(DataError, match="neither an image folder"):
            open_images(flat, PLAIN)
        with pytest.raises(DataError, match="has no labels"):
            open_images(tmp_path, PLAIN, labelled=True)
        with pytest.raises(DataError, match="limit of 0"):
            open_images(tmp_path, PLAIN, limit=0)
        save(tmp_path / "cat" / "b.png", noise(8, 8, 3))
        with pytest.raises(DataError, match=r"mixes images \(a.png\) with class folders \(cat\)"):
            open_images(tmp_path, PLAIN)

    def test_label_out_of_range(self, tmp_path):
        save(tmp_path / "7" / "a.png", noise(8, 8, 3))
        assert open_images(tmp_path, PLAIN, num_classes=8).labels.tolist() == [7]
        with pytest.raises(DataError, match="label 7, but the model's 7 classes are 0 to 6"):
            open_images(tmp_path, PLAIN, num_classes=7)


class TestNpz:
    @pytest.mark.parametrize("shape", [(3, 8, 8), (3, 8, 8, 1), (3, 8, 8, 3)])
    def test_shapes(self, tmp_path, shape):
        pixels = noise(*shape)
        np.savez(tmp_path / "a.npz", images=pixels, labels=np.array([2, 0, 1], np.uint8))
        images = open_images(tmp_path / "a.npz", PLAIN, num_classes=3, labelled=True)
        assert images.labels.tolist() == [2, 0, 1]
        expected = np.broadcast_to(pixels.reshape(3, 8, 8, -1), (3, 8, 8, 3))
        for image, wanted in zip(images, expected, strict=True):
            np.testing.assert_array_equal(bytes_of(image), wanted)

    def test_class_names_decide_the_index(self, tmp_path):
        names = np.array([b"cat", b"dog"])
        np.savez(tmp_path / "a.npz", x=noise(2, 8, 8), y=np.array([0, 1]), classes=names)
        path = tmp_path / "a.npz"
        named = open_images(path, PLAIN, num_classes=3, class_names=["dog", "eel", "cat"])
        assert named.labels.tolist() == [2, 0]
        alike = open_images(path, PLAIN, num_classes=3, class_names=["DOG", "eel", "Cat"])
        assert alike.labels.tolist() == [2, 0]
        unnamed = open_images(path, PLAIN, num_classes=3)
        assert unnamed.labels.tolist() == [0, 1]
        with pytest.raises(
            DataError, match="none of the model's: 'cat', 'dog'; the model's are such as 'a'"
        ):
            open_images(path, PLAIN, num_classes=3, class_names=["a", "b", "c"])

    def test_labels_stay_with_their_images_under_a_limit(self, tmp_path):
        labels = np.arange(100, dtype=np.uint8) % 7
        pixels = np.broadcast_to(labels[:, None, None], (100, 8, 8))
        np.savez(tmp_path / "a.npz", x=pixels, y=labels)
        images = open_images(tmp_path / "a.npz", PLAIN, limit=20)
        assert [bytes_of(image)[0, 0, 0] for image in images] == images.labels.tolist()
        assert set(images.labels) == set(range(7))

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"z": noise(2, 8, 8)}, "no array `x`"),
            ({"x": noise(2, 8, 8).astype(np.float32)}, "type float32"),
            ({"x": noise(2, 3, 8, 8)}, r"shape \(2, 3, 8, 8\)"),
            ({"x": noise(2, 0, 8)}, r"shape \(2, 0, 8\)"),
            ({"x": noise(0, 8, 8)}, "holds no images"),
            ({"x": np.array([None, 1], object)}, "not a readable"),
            ({"x": noise(2, 8, 8), "y": np.array([0.5, 1.0])}, "labels of type float64"),
            ({"x": noise(2, 8, 8), "y": np.array([0])}, "one integer an image"),
            ({"x": noise(2, 8, 8), "y": np.array([0, -1])}, "label -1"),
            ({"x": noise(2, 8, 8)}, "has no labels"),
        ],
    )
    def test_errors(self, tmp_path, arrays, message):
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(DataError, match=message) as caught:
            open_images(tmp_path / "a.npz", PLAIN, num_classes=5, labelled=True)
        assert "\n" not in str(caught.value)

    def test_damaged_files(self, tmp_path):
        path = tmp_path / "a.npz"
        np.savez_compressed(path, x=noise(20, 8, 8))
        content = path.read_bytes()
        np.save(tmp_path / "b.npy", noise(2, 8, 8))
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 255
        plain = (tmp_path / "b.npy").read_bytes()
        for damaged in (b"", b"PK", content[: len(content) // 2], bytes(flipped), plain):
            path.write_bytes(damaged)
            with pytest.raises(DataError, match="not a readable"):
                open_images(path, PLAIN)


class TestDigest:
    def test_depends_on_the_images_and_nothing_else(self, tmp_path):
        pixels = noise(4, 8, 8)
        digests = []
        for images in (pixels, pixels.copy(), pixels[::-1], pixels[:3], noise(4, 8, 8, seed=1)):
            np.savez(tmp_path / "a.npz", x=images)
            digests.append(open_images(tmp_path / "a.npz", PLAIN).digest)
        assert digests[0] == digests[1]
        assert len(set(digests)) == 4

    def test_covers_only_what_the_limit_leaves(self, tmp_path):
        pixels = noise(10, 8, 8)
        np.savez(tmp_path / "a.npz", x=pixels)
        chosen = spread(np.zeros(10, np.int64), 3)
        few = open_images(tmp_path / "a.npz", PLAIN, limit=3)
        np.savez(tmp_path / "b.npz", x=pixels[chosen])
        assert few.digest == open_images(tmp_path / "b.npz", PLAIN).digest

    def test_of_a_folder_is_not_of_its_names(self, tmp_path):
        save(tmp_path / "a" / "1.png", noise(8, 8, 3))
        save(tmp_path / "b" / "other.png", noise(8, 8, 3))
        save(tmp_path / "c" / "1.png", noise(8, 8, 3, seed=1))
        a, b, c = (open_images(tmp_path / name, PLAIN).digest for name in "abc")
        assert a == b != c

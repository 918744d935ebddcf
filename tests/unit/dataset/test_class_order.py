"""Which rule makes labels of class folders, where more than one could."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from edgeshuffle.artifact.preprocess import Preprocess
from edgeshuffle.dataset import open_images
from edgeshuffle.dataset.labels import class_indices
from edgeshuffle.errors import DataError, UnknownNameError

NUMBERS = [str(number) for number in range(12)]
PREPROCESS = Preprocess(resize=4, crop=(4, 4), mean=(0.0,) * 3, std=(1.0,) * 3)


def test_numbers_are_indices_with_a_note_where_text_would_sort_otherwise():
    found, order = class_indices(NUMBERS, num_classes=12)
    assert found == {name: int(name) for name in NUMBERS}
    assert order.rule == "index"
    assert "`class_order=sorted`" in order.note


@pytest.mark.parametrize(
    ("folders", "classes"),
    [(NUMBERS[:10], 10), ([name.zfill(2) for name in NUMBERS], 12)],
)
def test_no_note_where_both_rules_agree_or_only_one_is_possible(folders, classes):
    found, order = class_indices(folders, num_classes=classes)
    assert found == {name: int(name) for name in folders}
    assert (order.rule, order.note) == ("index", None)


@pytest.mark.parametrize("order", [None, "index"])
def test_classes_without_a_folder_are_noted_by_index(order):
    found, told = class_indices(NUMBERS[:3], num_classes=20, order=order)
    assert found == {"0": 0, "1": 1, "2": 2}
    assert told.note.startswith("class folders: 17 of 20 classes have none: '3', '4', ")
    assert told.note.endswith("'12' and 7 more")


def test_classes_without_a_folder_are_noted_by_name():
    names = ["dog", "eel", "cat"]
    found, told = class_indices(["cat", "Dog"], num_classes=3, class_names=names)
    assert found == {"cat": 2, "Dog": 0}
    assert (told.rule, told.note) == ("names", "class folders: 1 of 3 classes has none: 'eel'")
    assert class_indices(names, num_classes=3, class_names=names)[1].note is None


def test_folders_that_name_no_class_are_all_named():
    with pytest.raises(DataError, match=r"The class folders 'ant', 'bee' are no classes of the"):
        class_indices(["cat", "bee", "ant"], num_classes=3, class_names=["dog", "eel", "cat"])
    with pytest.raises(DataError, match=r"The class folder 'ant' is no class of the model\."):
        class_indices(["cat", "ant"], num_classes=3, class_names=["dog", "eel", "cat"])
    strange = [f"x{number:02}" for number in range(13)]
    with pytest.raises(DataError, match=r"'x09' and 3 more are no classes"):
        class_indices(strange, num_classes=3, class_names=["dog", "eel", "cat"])


def test_an_order_that_was_asked_for_decides_without_a_note():
    names = [f"class {number}" for number in range(12)]
    found, order = class_indices(NUMBERS, num_classes=12, class_names=names, order="sorted")
    assert found == {name: index for index, name in enumerate(sorted(NUMBERS))}
    assert (order.rule, order.note) == ("sorted", None)
    found, order = class_indices(NUMBERS, num_classes=12, order="index")
    assert (found["10"], order.rule, order.note) == (10, "index", None)
    found, order = class_indices(["b", "a"], num_classes=2, class_names=["b", "a"], order="sorted")
    assert found == {"a": 0, "b": 1}


def test_an_order_that_cannot_be_is_refused():
    with pytest.raises(DataError, match="'dog' is no index"):
        class_indices(["1", "dog"], num_classes=2, order="index")
    with pytest.raises(DataError, match="11 class folders for 12 classes"):
        class_indices(NUMBERS[:11], num_classes=12, order="sorted")
    with pytest.raises(UnknownNameError, match="Unknown class order 'size'"):
        class_indices(NUMBERS, num_classes=12, order="size")


def test_folders_from_one_on_are_told_how_to_be_read(tmp_path):
    for number in range(1, 13):
        (tmp_path / str(number)).mkdir()
        pixels = np.zeros((4, 4, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / str(number) / "a.png")
    with pytest.raises(DataError, match=r"has label 12.*`class_order=sorted`"):
        open_images(tmp_path, PREPROCESS, num_classes=12)
    images = open_images(tmp_path, PREPROCESS, num_classes=12, class_order="sorted")
    assert images.labels.tolist() == list(range(12))
    assert images.class_order.rule == "sorted"
    assert images.some(5).class_order == images.class_order
    assert len(images.some(5).labels) == len(list(images.some(5))) == 5

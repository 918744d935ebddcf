"""Which class a folder's name means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeshuffle.dataset.labels import class_indices
from edgeshuffle.errors import DataError

NAMES = st.lists(st.text("abcdef", min_size=1, max_size=6), min_size=1, max_size=8, unique=True)


class TestClassIndices:
    @given(NAMES, st.randoms())
    def test_names_win_in_any_order(self, names, random):
        folders = random.sample(names, random.randint(1, len(names)))
        found, _ = class_indices(folders, num_classes=len(names), class_names=names)
        assert found == {name: names.index(name) for name in folders}

    @given(st.sets(st.integers(0, 2000), min_size=1))
    def test_integers_are_indices(self, numbers):
        folders = [f"{number:04}" for number in numbers]
        found, _ = class_indices(folders, num_classes=3, class_names=["a", "b", "c"])
        assert found == {f"{number:04}": number for number in numbers}

    def test_sorted_order_when_the_count_fits(self):
        found, _ = class_indices(["n02", "n01", "n10"], num_classes=3)
        assert found == {"n01": 0, "n02": 1, "n10": 2}

    def test_wordnet_ids_sort_as_imagenets_classes(self):
        folders = ["n01443537", "n01440764"]
        found, _ = class_indices(folders, num_classes=2, class_names=["tench", "goldfish"])
        assert found == {"n01440764": 0, "n01443537": 1}

    def test_case_and_dashes_do_not_matter(self):
        names = ["Ankle boot", "T-shirt/top"]
        found, _ = class_indices(["t_shirt-top", "ankle_Boot"], class_names=names)
        assert found == {"t_shirt-top": 1, "ankle_Boot": 0}

    def test_case_matters_where_it_tells_classes_apart(self):
        names = ["polish", "Polish"]
        assert class_indices(names, class_names=names)[0] == {"polish": 0, "Polish": 1}
        with pytest.raises(DataError, match="'POLISH'"):
            class_indices(["POLISH"], num_classes=2, class_names=names)

    def test_a_number_beyond_all_classes(self):
        (index,) = class_indices(["9" * 30], num_classes=3)[0].values()
        assert index > 3

    def test_slash_in_a_class_name(self):
        assert class_indices(["T-shirt_top"], class_names=["Bag", "T-shirt/top"])[0] == {
            "T-shirt_top": 1
        }

    @pytest.mark.parametrize(
        "folders",
        [
            ["dog", "cat", "Eal"],  # as many as classes, but sorted order would be a guess
            ["n01", "n02", "n03"],
            ["n01", "n02", "n03", "n04"],
        ],
    )
    def test_refuses_to_guess(self, folders):
        unknown = r"('Eal' is no class|'n01', 'n02', .* are no classes)"
        expected = f"{unknown} .* such as 'dog', by index .* WordNet id"
        with pytest.raises(DataError, match=expected):
            class_indices(folders, num_classes=3, class_names=["dog", "cat", "eel"])

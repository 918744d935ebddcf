"""What an engine says is bounded and clean, and so is the file with its base images."""

from __future__ import annotations

import sys

import pytest

from edgeshuffle.containers.follow import follow
from edgeshuffle.containers.targets import BASE_IMAGES, base_images
from edgeshuffle.errors import ContainerError


def test_a_line_without_an_end_comes_in_pieces():
    pieces = []
    script = "import sys; sys.stdout.write('x' * 100_000)"
    assert follow([sys.executable, "-c", script], pieces.append, what="Building") == 0
    assert "".join(pieces) == "x" * 100_000
    assert max(map(len, pieces)) < 20_000


def test_what_an_engine_says_is_quoted_clean_in_one_line():
    script = r"print('ERROR: \x1b]0;owned\x07' + 'long ' * 500); raise SystemExit(3)"
    with pytest.raises(ContainerError) as caught:
        follow([sys.executable, "-c", script], lambda _: None, what="Building")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"variable": {"X": {"default": 1}}}', "\0"])
def test_a_broken_list_of_base_images_is_one_line(tmp_path, text):
    (tmp_path / BASE_IMAGES).parent.mkdir()
    (tmp_path / BASE_IMAGES).write_text(text)
    with pytest.raises(ContainerError, match="Restore it with git") as caught:
        base_images(tmp_path)
    assert "\n" not in str(caught.value)

from __future__ import annotations

import numpy as np

from edgeshuffle.runner.compare.wholes import WithWholes


class Run:
    params = dict.fromkeys(("a", "b", "kept", "c"))

    def __call__(self, images):
        return {name: np.full((2, 3), ord(name[0])) for name in self.params}


def test_a_value_whose_parts_are_all_there_is_put_together():
    parts = {"whole": ("a", "b"), "kept": ("a", "c"), "half": ("c", "gone")}
    run = WithWholes(Run(), parts)
    assert set(run.params) == {"a", "b", "c", "kept", "whole"}
    found = run(np.zeros(1))
    assert found["whole"][:, 0].tolist() == [ord("a")] * 2 + [ord("b")] * 2
    assert found["kept"].shape == (2, 3)

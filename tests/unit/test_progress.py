from __future__ import annotations

from edgeshuffle.progress import in_steps


def test_stages_say_which_of_how_many_they_are():
    told = []
    tell = in_steps(lambda *what: told.append(what), ["load", "write"])
    tell("write", 1, 2)
    tell("rank layers", 0, 3)
    tell("load", 0, 1)
    assert told == [("2/2 write", 1, 2), ("rank layers", 0, 3), ("1/2 load", 0, 1)]

"""What is made once, however many processes run the tests."""

from __future__ import annotations

from filelock import FileLock


def once(request, name, make):
    """A folder of that name, which `make` has filled; tests only read it."""
    root = request.getfixturevalue("tmp_path_factory").getbasetemp()
    if hasattr(request.config, "workerinput"):
        root = root.parent
    folder, whole = root / name, root / f"{name}.whole"
    with FileLock(f"{folder}.lock"):
        if not whole.exists():
            make(folder)
            whole.touch()
    return folder

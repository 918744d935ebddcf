"""What is made once, however many processes run the tests."""

from __future__ import annotations

from filelock import FileLock


def common_folder(request):
    """A folder of this run of the tests, the same in each of its processes."""
    own = request.getfixturevalue("tmp_path_factory").getbasetemp()
    return own.parent if hasattr(request.config, "workerinput") else own


def once(request, name, make):
    """A folder of that name, which `make` has filled; tests only read it."""
    folder = common_folder(request) / name
    whole = folder.with_name(f"{name}.whole")
    with FileLock(f"{folder}.lock"):
        if not whole.exists():
            make(folder)
            whole.touch()
    return folder

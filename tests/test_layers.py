"""Data flows one way, and what runs on a device knows nothing of the host."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import edgeshuffle

ROOT = Path(edgeshuffle.__file__).parent
MODULES = {
    ".".join(("edgeshuffle", *path.relative_to(ROOT).with_suffix("").parts)): path
    for path in sorted(ROOT.rglob("*.py"))
}
# Each layer may import those before it, and itself.
LAYERS = [
    {"errors", "memory", "plugins", "packaged", "quiet", "signals", "untrusted"},
    {"atomic", "artifact", "class_names", "graph", "images", "limits", "manifest", "metrics",
     "operators", "tally"},
    {"zoo", "frontend", "passes", "quant", "emit", "runtime", "inspection"},
    {"device", "sensitivity", "compare"},
    {"evaluate"},
    {"bench", "export", "image"},
    {"report", "doctor"},
    {"cli"},
]  # fmt: skip
LAYER = {part: level for level, parts in enumerate(LAYERS) for part in parts}
# Between neighbours of a layer, only these.
SIDEWAYS = {("emit", "quant"), ("quant", "passes")}
HOST_ONLY = {
    "zoo",
    "frontend",
    "passes",
    "quant",
    "emit",
    "export",
    "graph",
    "sensitivity",
    "compare",
}
DEVICE_SIDE = ("device", "bench", "report", "runtime", "evaluate", "image")


def imports(path):
    """Modules that a file imports when it runs: annotations' imports do not count."""
    found = set()
    nodes = [ast.parse(path.read_text("utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            nodes += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
        nodes += ast.iter_child_nodes(node)
    return found


def part(module):
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 and pieces[0] == "edgeshuffle" else None


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_backwards(module):
    own = part(module)
    for imported in imports(MODULES[module]):
        other = part(imported)
        if other is None or own in (other, "__init__", "__main__"):
            continue
        if LAYER[other] == LAYER[own] and LAYER[own] > 1:
            assert (own, other) in SIDEWAYS, f"{module} imports its neighbour {imported}"
        assert LAYER[other] <= LAYER[own], f"{module} imports {imported}"


@pytest.mark.parametrize("module", [m for m in MODULES if part(m) in DEVICE_SIDE])
def test_the_device_side_does_not_know_the_host_side(module):
    assert not {part(imported) for imported in imports(MODULES[module])} & HOST_ONLY


@pytest.mark.parametrize("module", [m for m in MODULES if part(m) != "cli"])
def test_click_is_for_the_command_line_only(module):
    assert "click" not in {imported.split(".")[0] for imported in imports(MODULES[module])}


@pytest.mark.parametrize("module", [m for m in MODULES if m != "edgeshuffle.cli.console"])
def test_only_the_cleaning_console_writes_to_the_terminal(module):
    # A report is text, and is cleaned when it is printed.
    if module != "edgeshuffle.report.terminal":
        assert "rich.console" not in imports(MODULES[module])


@pytest.mark.parametrize("name", ["agent", "hold", "ort", "litert"])
def test_what_runs_on_a_device_stands_alone(name):
    assert not {i for i in imports(ROOT / "runtime" / f"{name}.py") if i.startswith("edgeshuffle")}


def test_help_imports_nothing_heavy():
    heavy = {"torch", "onnx", "onnx_ir", "onnxruntime", "onnxsim", "ai_edge_litert", "PIL", "numpy"}
    script = (
        "import sys\n"
        "from edgeshuffle.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not heavy & loaded


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_small(module):
    # The agent is one file, because one file is easily put on a board.
    most = 400 if module.endswith(".agent") else 300
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= most

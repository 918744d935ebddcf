"""What linters do not hold: who may show text, what stands alone, how large modules are."""

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


@pytest.mark.parametrize("module", [m for m in MODULES if part(m) != "cli"])
def test_click_is_for_the_command_line_only(module):
    assert "click" not in {imported.split(".")[0] for imported in imports(MODULES[module])}


@pytest.mark.parametrize("module", [m for m in MODULES if m != "edgeshuffle.cli.console"])
def test_only_the_cleaning_console_writes_to_the_terminal(module):
    # A report is text, and is cleaned when it is printed.
    if part(module) != "report":
        assert "rich.console" not in imports(MODULES[module])


@pytest.mark.parametrize("module", [m for m in MODULES if part(m) == "agent"])
def test_what_runs_on_a_board_imports_nothing_of_ours(module):
    assert not {name for name in imports(MODULES[module]) if name.startswith("edgeshuffle")}


HEAVY = {"torch", "onnx", "onnx_ir", "onnxruntime", "onnxsim", "ai_edge_litert", "matplotlib"}


@pytest.mark.parametrize(("argument", "light"), [("--help", ()), ("zoo", ("numpy", "PIL"))])
def test_what_answers_at_once_imports_nothing_heavy(argument, light):
    heavy = (HEAVY | {"numpy", "PIL"}) - set(light)
    script = (
        "import sys\n"
        "from edgeshuffle.cli import main\n"
        f"try:\n    main(['{argument}'])\n"
        "except SystemExit:\n    pass\n"
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not heavy & loaded


def test_reports_know_only_the_types_of_what_a_converter_made():
    reports = [module for module in MODULES if part(module) == "report"]
    script = "".join(f"import {module.removesuffix('.__init__')}\n" for module in reports)
    script += "import sys\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.splitlines()
    assert "edgeshuffle.report.sensitivity" in loaded
    assert not [name for name in loaded if part(name) == "converter"]


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_small(module):
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= 300

"""The house as the code draws it: rooms, the arrows of imports between them, and the size of files and functions."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.conftest import ROOT

#: what stands directly under bailong/, by floor: an import goes to a lower floor, or to another room of the ground
FLOORS = {
    "entrance": {"cli"},
    "roof": {"app"},
    "wings": {"prepare", "extend", "train", "evaluate", "compare"},
    "ground": {"data", "tokenizer", "initializer", "model", "reader", "text", "api", "report", "run"},
}
#: imports that climb or cross all the same: (from, to) -> why it must stay
ALLOWED: dict[tuple[str, str], str] = {}
LONGEST_FILE, LONGEST_FUNCTION, MOST_ROOMS = 450, 80, 16

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "bailong").rglob("*.py")
}


@cache
def trees() -> dict[str, ast.Module]:
    """Every file of the package as it parses; not when tests are collected, which each worker does."""
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def imported(node: ast.AST, files: set[str]) -> Iterator[str]:
    """Modules that a tree imports, at its top or inside functions; what only the type checker reads does not count."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from (name for other in child.orelse for name in imported(other, files))
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names if alias.name in files)
        elif isinstance(child, ast.ImportFrom) and child.module:
            inside = [f"{child.module}.{alias.name}" for alias in child.names]
            yield from (name if name in files else child.module for name in inside if {name, child.module} & files)
        else:
            yield from imported(child, files)


@cache
def graph() -> dict[str, set[str]]:
    """What every file imports of the others."""
    return {name: set(imported(tree, set(FILES))) - {name} for name, tree in trees().items()}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def floor(name: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS.values()) if name in rooms)


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """A circle in a graph, or nothing."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def between_rooms() -> dict[str, set[str]]:
    arrows: dict[str, set[str]] = {name: set() for rooms in FLOORS.values() for name in rooms}
    for name, targets in graph().items():
        if name != "bailong":
            arrows[room(name)] |= {room(target) for target in targets if target != "bailong"} - {room(name)}
    return arrows


def test_the_rooms_are_those_listed() -> None:
    there = {p.stem for p in (ROOT / "bailong").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert there - {"__init__"} == {name for rooms in FLOORS.values() for name in rooms}
    assert len(there) - 1 <= MOST_ROOMS


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(graph()) == []


def test_no_rooms_import_each_other_in_a_circle() -> None:
    assert circle(between_rooms()) == []


def test_imports_point_down() -> None:
    """From a wing to the ground floor, never to another wing, and never up: late imports inside functions count too."""
    wrong = {
        (name, target)
        for name, targets in graph().items()
        for target in targets
        if name != "bailong" and target != "bailong" and room(name) != room(target)
        if floor(room(name)) > floor(room(target)) or (floor(room(name)) == floor(room(target)) != len(FLOORS) - 1)
    }
    assert wrong == set(ALLOWED)


@pytest.mark.parametrize("settings", [name for name in FILES if name.endswith(".settings")])
def test_only_the_roof_reads_the_settings_of_a_wing(settings: str) -> None:
    readers = {room(name) for name, targets in graph().items() if settings in targets}
    if room(settings) in FLOORS["wings"]:
        assert readers <= {"app", "cli", room(settings)}
    assert readers, f"nobody reads {settings}"


def test_files_and_functions_are_short() -> None:
    long = [
        f"{name}: {lines} lines"
        for name, path in FILES.items()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    ]
    long += [
        f"{name}.{node.name}: {lines} lines"
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert long == []


def test_a_circle_and_a_late_import_would_be_noticed() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) and not circle({"a": {"b", "c"}, "b": {"c"}})
    code = "if TYPE_CHECKING:\n    import bailong.api\ndef f():\n    from bailong.run import folder, nothing\n"
    assert list(imported(ast.parse(code), set(FILES))) == ["bailong.run.folder", "bailong.run"]

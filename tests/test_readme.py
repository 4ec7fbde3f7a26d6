"""The pages keep their word: every command composes, every file, target, link and test that they name is there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import open_dict

from bailong.app import launcher, schema, workspace
from bailong.evaluate.chat import serve_words
from bailong.evaluate.settings import unasked
from bailong.prepare import place
from bailong.prepare.step import ORDER
from bailong.run.parse import parse
from tests.test_structure import FLOORS

ROOT = Path(__file__).resolve().parents[1]
#: rooms of the package, each with a page of its own
WINGS = sorted(FLOORS["wings"])
PAGES = ["README.md", "CONTRIBUTING.md", "experiments/README.md", "benchmarks/README.md", "conf/README.md"]
PAGES += [f"bailong/{wing}/README.md" for wing in WINGS]
HEADERS = sorted(p.relative_to(ROOT).as_posix() for group in workspace.GROUPS for p in (ROOT / group).glob("*.yaml"))
COMMAND = re.compile(r"(?<![\w-])bailong-(prepare|train|extend|audit|export|compare|law|evaluate|chat)\b")
OPTIONS = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "conf").glob("*/*.yaml") if p.parent.name != "local")
#: what the pages name that is not there: what a reader adds, what commands leave
SHOWN = ("bailong/initializer/zip_tie_scaled.py", "conf/initializer/zip_tie_scaled.yaml", "conf/local/default.yaml")
MADE = {"outputs", "data", "tokenizers", "models"}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def page_text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


README, TRAIN, CONF = map(page_text, ("README.md", "bailong/train/README.md", "conf/README.md"))


def fences(text: str, language: str) -> list[str]:
    """Contents of the fenced blocks of a language."""
    return [content for found, content in FENCE.findall(text) if found == language]


def command_lines(page: str) -> list[str]:
    """Lines that begin with one of our commands: in shell blocks and inline code of pages, in headers of YAML."""
    text = page_text(page)
    if page.endswith(".md"):
        lines = "\n".join(fences(text, "sh")).splitlines()
        lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    else:
        lines = [line[1:] for line in text.splitlines() if line.startswith("#")]
    return [line.strip() for line in lines if COMMAND.match(line.strip()) and "=" in line]


def words(line: str) -> list[str]:
    """The overrides of a command line; in a YAML header wide space ends the command and begins a remark."""
    return [w for w in shlex.split(re.split(r"\s{3,}|\s[<>]\s", line)[0], comments=True)[1:] if w != "-m"]


COMMANDS = [(page, line) for page in PAGES + HEADERS + OPTIONS for line in command_lines(page)]


@pytest.fixture(scope="module", autouse=True)
def hydra(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Commands are composed where the README's reader stands: beside the corpus that its `bailong-prepare` left."""
    schema.register()
    workspace.register()
    launcher.register()
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("reader"))
    try:
        with initialize_config_dir(str(workspace.root() / "conf"), version_base="1.3"):
            for name, content in own_files():
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).write_text(content, encoding="utf-8")
            place.describe(own_corpus(), Path("data/mine"))
            yield
    finally:
        os.chdir(before)


def own_files() -> list[tuple[str, str]]:
    """The files that pages have their reader write."""
    found = (
        re.findall(r"^cat > (\S+) <<'END'\n(.*?)^END$", page_text(page), re.MULTILINE | re.DOTALL) for page in PAGES
    )
    return [file for files in found for file in files]


def own_corpus() -> Any:
    """The corpus that the README has its reader make."""
    return composed("prepare", words(next(line for line in command_lines("README.md") if "data.name=mine" in line)))


def first_values(overrides: list[str]) -> list[str]:
    """One job of a sweep: the first value of each axis, of an interval its lower end."""
    parsed = zip(overrides, OverridesParser.create().parse_overrides(overrides), strict=True)
    first = lambda o: next(o.sweep_string_iterator()) if o.is_discrete_sweep() else o.value().start  # noqa: E731
    return [f"{o.key_or_group}={first(o)}" if o.is_sweep_override() else w for w, o in parsed]


def composed(command: str, overrides: list[str]) -> Any:
    # the submitit launcher is an extra; its settings are Hydra's business, not ours
    mine = [w for w in overrides if not (any("submitit" in o for o in overrides) and w.startswith("hydra"))]
    # named after the suite, which only a running command knows
    folder = ["to=outputs/evaluation/suite"] if command == "evaluate" else []
    cfg = compose(command, first_values([*folder, *mine]), return_hydra_config=True)
    with open_dict(cfg):
        del cfg["hydra"]
    return parse(unasked(cfg) if command == "evaluate" else cfg)


def test_there_are_commands_to_check() -> None:
    pages = {page for page, _ in COMMANDS}
    assert set(PAGES) - {"CONTRIBUTING.md", "benchmarks/README.md"} <= pages and set(HEADERS) <= pages
    assert {p.parent.name for p in (ROOT / "bailong").glob("*/README.md")} == set(WINGS)
    every = {"prepare", "train", "extend", "audit", "export", "compare", "law", "evaluate", "chat"}
    assert {COMMAND.match(line)[1] for _, line in COMMANDS} == every  # type: ignore[index]


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{page}: {line}" for page, line in COMMANDS])
def test_every_command_composes(page: str, line: str) -> None:
    match = COMMAND.match(line)
    assert match
    overrides = serve_words(words(line)) if match[1] == "chat" else words(line)
    # the initializer that conf/README.md shows how to add has a test of its own below
    overrides = [word.replace(",zip_tie_scaled", "") for word in overrides]
    settings = composed(match[1], overrides)
    axes = {key: value for key, _, value in (word.partition("=") for word in overrides)}
    for key in ("experiments", "sweeps"):
        if key in axes:
            assert (ROOT / key / f"{axes[key]}.yaml").exists()
    if match[1] == "extend" and "tokenizer" in axes:
        sources = settings.data.sources or own_corpus().data.sources  # a corpus that was made knows its own
        assert settings.tokenizer.language in {None, *(source.language for source in sources)}


def test_a_wrong_command_would_be_noticed() -> None:
    with pytest.raises(ValueError, match="did you mean"):
        composed("train", ["experiments=tiny", "+stage.max_stps=3"])


def test_the_demo_is_what_the_page_says() -> None:
    page = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    block = next(b for b in fences(page, "sh") if "tokenizer=tiny_base" in b)
    recipe = (ROOT / "Makefile").read_text().split("\ndemo:")[1].split("\n\n")[0]
    assert block.splitlines() == re.findall(r"\$\(BIN\)/(bailong-.+)", recipe)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    every = set()
    for page in PAGES:
        for code in re.findall(r"`([^`]+)`", page_text(page)):
            for named in re.findall(r"^\s*make ([a-z0-9-]+)", code, re.MULTILINE):
                assert named in targets, f"{page}: make {named}"
                every.add(named)
    assert every == targets


def section(text: str, head: str) -> str:
    """What stands under a heading, up to the next one."""
    return re.split(r"^## ", text.split(f"\n## {head}\n", 1)[1], flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Cells of the rows of the tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    heads = {i - 1 for i, row in enumerate(cells) if set("".join(row)) <= set("-: ")}
    return [row for i, row in enumerate(cells) if i not in heads and i - 1 not in heads]


def coded(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def inside(folder: Path) -> set[str]:
    """Modules of a folder, and with a slash the folders in it that hold a file."""
    found = {p.relative_to(folder).parts for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    modules = {parts[0] for parts in found if len(parts) == 1 and parts[0].endswith(".py")} - {"__init__.py"}
    return modules | {f"{parts[0]}/" for parts in found if len(parts) > 1}


def test_the_map_of_rooms_is_the_repository() -> None:
    """Every room of the package and every folder of the repository has one row; every row is there, on its floor."""
    listed = rows(section(README, "Map"))
    links = [link for cell, _ in listed for link in re.findall(r"\]\(([^)]+)\)", cell)]
    named = [link.removesuffix("/README.md") for link in links]
    assert len(set(named)) == len(named) and [name for name in named if not (ROOT / name).exists()] == []
    rooms = {name.removeprefix("bailong/") for name in named if name.startswith("bailong/")}
    assert rooms == {name.removesuffix("/") for name in inside(ROOT / "bailong")}
    folders = {path.relative_to(ROOT).parts[0] for path in tracked_text() if len(path.relative_to(ROOT).parts) > 1}
    assert {name for name in named if "/" not in name} == {f for f in folders if f[0] != "."} - MADE - {"bailong"}
    assert {made for cell, _ in listed for made in coded(cell)} == MADE
    for cell, what in listed:
        for name in re.findall(r"\[bailong/(\w+)\]", cell):
            told = what.split(":")[0]
            assert (told == "wing") == (name in WINGS) and (told == "ground") == (name in FLOORS["ground"]), name
            assert name not in WINGS or f"(bailong/{name}/README.md)" in cell


@pytest.mark.parametrize("wing", WINGS)
def test_the_map_of_a_wing_is_the_wing(wing: str) -> None:
    """Every module and every folder of the wing is named once."""
    links = re.findall(r"\[([\w.]+/?)\]\(([\w.]+)\)", section(page_text(f"bailong/{wing}/README.md"), "Map"))
    assert all(name.removesuffix("/") == path for name, path in links)
    assert sorted(name for name, _ in links) == sorted(inside(ROOT / "bailong" / wing))


def test_the_map_of_settings_is_conf() -> None:
    """Every group with its options: those of the steps in the table of steps, all others in the map of conf."""
    text = section(CONF, "Map")
    groups = {coded(name)[0]: coded(options) for name, options, _ in rows(text) if "](" not in options}
    steps = {}
    for names, _, presets in rows(section(page_text("bailong/prepare/README.md"), "The corpus")):
        steps |= dict(zip(coded(names), map(coded, presets.split(";")), strict=True))
    assert list(steps) == list(ORDER) and not groups.keys() & steps.keys()
    there = {p.name: {q.stem for q in p.glob("*.yaml")} for p in (ROOT / "conf").iterdir() if p.is_dir()}
    assert {name: set(options) for name, options in (groups | steps).items()} == {
        name: options for name, options in there.items() if name != "local"
    }
    assert set(re.findall(r"`(\w+\.yaml)`", text)) == {p.name for p in (ROOT / "conf").glob("*.yaml")}


def test_every_benchmark_and_tokenizer_has_its_row() -> None:
    suites = {"sample", "table6", "xquad", "mlqa", "pud", "flores"}
    pages = {"evaluation": "bailong/evaluate/README.md", "tokenizer": "bailong/extend/README.md"}
    for group, page in pages.items():
        listed = {name for row in rows(page_text(page)) for name in coded(row[0])}
        assert {p.stem for p in (ROOT / "conf" / group).glob("*.yaml")} - suites <= listed, page


def test_every_benchmark_file_has_its_section() -> None:
    told = re.findall(r"^## (\w+\.py):", page_text("benchmarks/README.md"), re.MULTILINE)
    assert sorted(told) == sorted(p.name for p in (ROOT / "benchmarks").glob("*.py"))


def test_the_first_page_is_short() -> None:
    """What a reader of one wing needs stands on the page of the wing."""
    assert len((ROOT / "README.md").read_bytes()) <= 14_000


def test_every_experiment_and_sweep_is_listed() -> None:
    page = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "experiments").glob("*.yaml"):
        assert f"| [`{path.stem}`]({path.name}) |" in page, path.name
    for path in (ROOT / "sweeps").glob("*.yaml"):
        assert f"| [`{path.stem}`](../sweeps/{path.name}) |" in page, path.name


def heads(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in found}


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_resolve(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page_text(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent.joinpath(path) if path else ROOT / page
        assert found.exists(), f"{page}: {target}"
        assert found.resolve().is_relative_to(ROOT), f"{page}: {target} leads out of the repository"
        if "#" in target:
            assert anchor in heads(found), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_cited_exists(page: str) -> None:
    for file, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", page_text(page)):
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{page}: {file}::{name}"


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_is_named_exists(page: str) -> None:
    """Paths in code that begin at a folder of the repository."""
    ours = re.compile(r"(?:bailong|conf|experiments|sweeps|benchmarks|notebooks|tests)/[\w./-]*")
    for word in {word for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", page_text(page))) for word in code.split()}:
        path = word.split("::")[0]
        if ours.fullmatch(path) and path not in SHOWN:
            assert (ROOT / path).exists(), f"{page}: {word}"


def test_files_of_a_run_are_those_the_code_writes() -> None:
    block = next(b for b in fences(TRAIN, "") if "metrics.jsonl" in b)
    code = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "bailong").rglob("*.py"))
    names = re.findall(r"[\w.]+\.(?:jsonl|json|yaml|log|ckpt|diff|html|csv|svg|png)\b", block)
    assert len(names) > 12
    for name in names:
        assert f'"{name}"' in code or f'/{name}"' in code, name


def test_the_initializer_that_is_shown_works(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,), (settings,) = fences(CONF, "python"), fences(CONF, "yaml")
    module = ModuleType("shown")
    monkeypatch.setitem(sys.modules, "shown", module)  # where dataclasses look their annotations up
    exec(compile(code, "conf/README.md", "exec"), vars(module))
    shown = vars(module)["ZipTieScaled"]
    old = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    rows = shown(length=0.5).rows(old, [[1, 2], [7], [3, 3, 9]], torch.Generator())
    assert torch.allclose(rows.norm(dim=1), 0.5 * old.norm(dim=1).mean().expand(3))
    assert torch.allclose(rows[1] / rows[1].norm(), old[7] / old[7].norm())
    with pytest.raises(ValueError, match="initializer.length=-1"):
        shown(length=-1)
    name = shown().name
    assert f"bailong/initializer/{name}.py" in CONF and f"conf/initializer/{name}.yaml" in CONF
    assert yaml.safe_load(settings) == {
        "defaults": [f"/schema/initializer/{name}@_here_"],
        "length": shown().length,
    }


def tracked_text() -> list[Path]:
    """Files that git would carry, as text; all of them outside git."""
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
    )
    if listing.returncode != 0:
        pytest.skip("no git here: what is tracked cannot be told")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_knows_the_place_where_it_was_written() -> None:
    """No absolute path of one machine, no word for whoever wrote it, no note to be filled in."""
    # built from parts, so that this file passes its own test
    machine = r"(?<![\w.$~}])/(?:" + "|".join(("work", "home", "root", "Users", "mnt", "tmp")) + r")/\w"
    people = r"|\bsub-?" + r"agents?\b|\b(?:PLAN|DESIGN)" + r"\.md\b|\.\./sha" + r"red\b|<!-- le" + r"ad\b"
    places = re.compile(machine + people)
    for path in tracked_text():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = places.search(text)
        assert not found, f"{path.relative_to(ROOT)}: {text[max(found.start() - 30, 0) : found.end() + 30]!r}"


def test_pages_leave_nothing_to_the_imagination() -> None:
    """No unfinished sentence on any page; in experiments/README.md what is missing is a comment, never a figure."""
    assert not re.search(r"\b(TODO|TBD|FIXME|XXX)\b", "".join(map(page_text, PAGES)))
    assert README.count("<!-- demo results -->") == README.count("<!-- /demo results -->") == 1

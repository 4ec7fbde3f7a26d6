"""The pages keep their word: every command composes, every file, target, link and test that they name is there."""

from __future__ import annotations

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
from bailong.run.parse import parse

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "experiments/README.md", "benchmarks/README.md"]
HEADERS = sorted(p.relative_to(ROOT).as_posix() for group in workspace.GROUPS for p in (ROOT / group).glob("*.yaml"))
COMMAND = re.compile(r"(?<![\w-])bailong-(prepare|train|extend|export|compare|evaluate|chat)\b")
OPTIONS = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "conf").glob("*/*.yaml") if p.parent.name != "local")
README = (ROOT / "README.md").read_text(encoding="utf-8")


FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def fences(text: str, language: str) -> list[str]:
    """Contents of the fenced blocks of a language."""
    return [content for found, content in FENCE.findall(text) if found == language]


def command_lines(page: str) -> list[str]:
    """Lines that begin with one of our commands: in shell blocks and inline code of pages, in headers of YAML."""
    text = (ROOT / page).read_text(encoding="utf-8")
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
def hydra() -> Any:
    schema.register()
    workspace.register()
    launcher.register()
    with initialize_config_dir(str(workspace.root() / "conf"), version_base="1.3"):
        yield


def first_values(overrides: list[str]) -> list[str]:
    """One job of a sweep: the first value of each axis."""
    parsed = zip(overrides, OverridesParser.create().parse_overrides(overrides), strict=True)
    return [f"{o.key_or_group}={next(o.sweep_string_iterator())}" if o.is_sweep_override() else w for w, o in parsed]


def composed(command: str, overrides: list[str]) -> Any:
    # the submitit launcher is an extra; its settings are Hydra's business, not ours
    mine = [w for w in overrides if not (any("submitit" in o for o in overrides) and w.startswith("hydra"))]
    # named after the suite, which only a running command knows
    folder = ["to=outputs/evaluation/suite"] if command == "evaluate" else []
    cfg = compose(command, first_values([*folder, *mine]), return_hydra_config=True)
    with open_dict(cfg):
        del cfg["hydra"]
    return parse(cfg)


def test_there_are_commands_to_check() -> None:
    pages = {page for page, _ in COMMANDS}
    assert {"README.md", "experiments/README.md"} <= pages and set(HEADERS) <= pages
    every = {"prepare", "train", "extend", "export", "compare", "evaluate", "chat"}
    assert {COMMAND.match(line)[1] for _, line in COMMANDS} == every  # type: ignore[index]


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{page}: {line}" for page, line in COMMANDS])
def test_every_command_composes(page: str, line: str) -> None:
    match = COMMAND.match(line)
    assert match
    overrides = serve_words(words(line)) if match[1] == "chat" else words(line)
    # the initializer that the README shows how to add has a test of its own below
    overrides = [word.replace(",zip_tie_scaled", "") for word in overrides]
    settings = composed(match[1], overrides)
    axes = {key: value for key, _, value in (word.partition("=") for word in overrides)}
    for key in ("experiments", "sweeps"):
        if key in axes:
            assert (ROOT / key / f"{axes[key]}.yaml").exists()
    if match[1] == "extend" and "tokenizer" in axes:
        assert settings.tokenizer.language in {None, *(source.language for source in settings.data.sources)}


def test_a_wrong_command_would_be_noticed() -> None:
    with pytest.raises(ValueError, match="did you mean"):
        composed("train", ["experiments=tiny", "+stage.max_stps=3"])


def test_the_demo_is_what_the_page_says() -> None:
    page = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    block = next(b for b in fences(page, "sh") if "tokenizer=tiny_base" in b)
    recipe = (ROOT / "Makefile").read_text().split("\ndemo:")[1].split("\n\n")[0]
    assert block.splitlines() == re.findall(r"\$\(BIN\)/(bailong-.+)", recipe)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for code in re.findall(r"`([^`]+)`", (ROOT / page).read_text(encoding="utf-8")):
            for named in re.findall(r"^\s*make ([a-z]+)", code, re.MULTILINE):
                assert named in targets, f"{page}: make {named}"
    shown = next(row for row in README.splitlines() if row.startswith("Makefile "))
    assert set(re.sub(r"^Makefile\s+", "", shown).split(", ")) == targets


def tree() -> dict[str, str]:
    """Path and remark of each line of the README's tree; two spaces of indentation a level."""
    block = next(b for b in fences(README, "") if b.startswith("README.md "))
    found, above = {}, []
    for line in block.splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        above = [*above[:depth], name.rstrip("/")]
        found["/".join(above) + ("/" if name.endswith("/") else "")] = line.split(maxsplit=1)[1:]
    return {path: remark[0].strip() if remark else "" for path, remark in found.items()}


def test_the_tree_is_the_repository() -> None:
    listed = tree()
    made_by_runs = {"outputs/"}
    missing = [path for path in listed if path not in made_by_runs and not (ROOT / path).exists()]
    assert not missing, f"in the README's tree, but not there: {missing}"
    for pattern in ("bailong/**/*.py", "bailong/report/*.[cj]s*", "benchmarks/*.py", "conf/*.yaml", "sweeps/*.yaml"):
        for path in ROOT.glob(pattern):
            name = path.relative_to(ROOT).as_posix()
            assert name in listed, f"{name} has no line in the README's tree"
    for path in (ROOT / "conf").iterdir():
        if path.is_dir() and path.name != "local":
            options = {p.stem for p in path.glob("*.yaml")}
            assert set(listed[f"conf/{path.name}/"].split(", ")) == options, f"conf/{path.name} in the README's tree"


def test_every_experiment_and_sweep_is_listed() -> None:
    page = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "experiments").glob("*.yaml"):
        assert f"| [`{path.stem}`]({path.name}) |" in page, path.name
    for path in (ROOT / "sweeps").glob("*.yaml"):
        assert f"| [`{path.stem}`](../sweeps/{path.name}) |" in page, path.name


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_resolve(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    heads = {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.M)}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in heads, f"{page}: {target}"
        elif not target.startswith("https://"):
            assert (ROOT / page).parent.joinpath(target.split("#")[0]).exists(), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_cited_exists(page: str) -> None:
    for file, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", (ROOT / page).read_text(encoding="utf-8")):
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{page}: {file}::{name}"


def test_files_of_a_run_are_those_the_code_writes() -> None:
    block = next(b for b in fences(README, "") if "metrics.jsonl" in b)
    code = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "bailong").rglob("*.py"))
    names = re.findall(r"[\w.]+\.(?:jsonl|json|yaml|log|ckpt|diff|html|csv|svg|png)\b", block)
    assert len(names) > 12
    for name in names:
        assert f'"{name}"' in code or f'/{name}"' in code, name


def test_the_initializer_that_is_shown_works(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,), (settings,) = fences(README, "python"), fences(README, "yaml")
    module = ModuleType("shown")
    monkeypatch.setitem(sys.modules, "shown", module)  # where dataclasses look their annotations up
    exec(compile(code, "README.md", "exec"), vars(module))
    shown = vars(module)["ZipTieScaled"]
    old = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    rows = shown(length=0.5).rows(old, [[1, 2], [7], [3, 3, 9]], torch.Generator())
    assert torch.allclose(rows.norm(dim=1), 0.5 * old.norm(dim=1).mean().expand(3))
    assert torch.allclose(rows[1] / rows[1].norm(), old[7] / old[7].norm())
    with pytest.raises(ValueError, match="initializer.length=-1"):
        shown(length=-1)
    name = shown().name
    assert f"bailong/initializer/{name}.py" in README and f"conf/initializer/{name}.yaml" in README
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
    """No unfinished sentence in the README; in experiments/README.md what is missing is a comment, never a figure."""
    assert not re.search(r"\b(TODO|TBD|FIXME|XXX)\b", "".join((ROOT / p).read_text(encoding="utf-8") for p in PAGES))
    assert README.count("<!-- demo results -->") == README.count("<!-- /demo results -->") == 1

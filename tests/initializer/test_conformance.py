"""Rows against those of formulas in exact fractions and numpy (tests/initializer/conformance.py), which others can be
held to as well."""

from __future__ import annotations

import ast
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bailong.initializer.context import Context
from bailong.initializer.focus import Focus
from bailong.initializer.similar import Space
from bailong.model.calibrate import _constant
from tests.initializer import conformance
from tests.initializer.arms import helper
from tests.initializer.test_contract import NAMES, make

GIVEN = json.loads(conformance.FILE.read_text(encoding="utf-8"))
#: presets whose rows are drawn, learned from a model or read from a file
ELSEWHERE = {
    "random",
    "random_matched",
    "multivariate",
    "zip_tie_shuffled",
    "external",
    "zip_tie_mass",
    "chain_ridge",
    "token_distill",
    "ntp_rows",
    "alpha_loss",
    "zip_tie_map",
}


def context(world: dict[str, Any]) -> Context:
    texts = [str(k) for k in range(len(world.get("before", [])))]
    return Context(
        [bytes.fromhex(token) for token in world["old_tokens"]],
        [bytes.fromhex(token) for token in world["new_tokens"]],
        lambda: iter(texts),
        lambda texts: [world["before"][int(text)] for text in texts],
        lambda texts: [world["after"][int(text)] for text in texts],
        halves=lambda: {int(i): (left, right) for i, (left, right) in world["halves"].items()},
        respelled=lambda share: {int(i): ids for i, ids in world["respelled"].items()},
    )


def space(world: dict[str, Any]) -> Space:
    vectors, first = {int(i): vector for i, vector in world["vectors"].items()}, len(world["old"])
    old = [i for i in vectors if i < first]
    new = [i for i in vectors if i >= first]
    both = (torch.tensor([vectors[i] for i in ids]) for ids in (old, new))
    return Space.of(old, next(both), [i - first for i in new], next(both))


@pytest.mark.parametrize("case", GIVEN["cases"], ids=lambda case: f"{case['preset']}-{case['side']}-{case['knobs']}")
def test_rows_are_those_of_the_formula(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = GIVEN["worlds"][case["world"]]
    rule, here = make(case["preset"]), context(world)
    if case["preset"] == "focus":
        monkeypatch.setattr(Focus, "_space", lambda self, context: space(world))
    if case["preset"] == "clp":
        known = [*here.old, *here.new]
        tokens = [known[int(i)] for i in world["vectors"]]
        vectors = torch.tensor([*world["vectors"].values()], dtype=torch.float32)
        rule = dataclasses.replace(rule, helper=str(helper(tmp_path, tokens, vectors)))
    rule = dataclasses.replace(rule, **case["knobs"])
    made = rule.new_rows(case["side"], torch.tensor(world["old"]), world["pieces"], torch.Generator(), here)
    torch.testing.assert_close(made, torch.tensor(case["rows"]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("given", GIVEN["directions"])
def test_the_direction_of_mass_is_that_of_the_formula(given: dict[str, Any]) -> None:
    found = _constant(torch.tensor(given["states"]), given["ridge"])
    torch.testing.assert_close(found, torch.tensor(given["k"]), rtol=0, atol=1e-6)


def test_the_file_is_what_the_formulas_give() -> None:
    assert conformance.FILE.read_text(encoding="utf-8") == conformance.text(), "python -m tests.initializer.conformance"


def test_every_rule_without_chance_has_a_case_and_none_is_made_by_ourselves() -> None:
    assert {case["preset"] for case in GIVEN["cases"]} == {*NAMES} - ELSEWHERE
    tree = ast.parse(Path(conformance.__file__).read_text(encoding="utf-8"))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    assert not [name for name in imported if str(name).startswith(("bailong", "torch", "tests"))]

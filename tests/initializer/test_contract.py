"""What every initializer must keep to. A new one is covered the day its file exists."""

from __future__ import annotations

import dataclasses
import inspect
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import bailong.initializer
from bailong.app.schema import register
from bailong.initializer.base import Initializer
from bailong.run.parse import choices, parse
from tests.initializer import checks
from tests.initializer.arms import V, armed, known

CONF = Path(__file__).parents[2] / "conf"
RULES = {name: cls for name, cls in choices(bailong.initializer).items() if cls.extends}
#: every preset, rules and what is put together of them; `no_extension` makes no rows
NAMES = sorted(path.stem for path in (CONF / "initializer").glob("*.yaml") if path.stem != "no_extension")
#: presets that sum old rows and leave the length as it comes out
COPYING = ("zip_tie", "positional", "eeve", "merge_tree", "align", "alpha_ls")
#: knobs that every initializer has
COMMON = {f.name for f in dataclasses.fields(Initializer)}
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
D = 32
PIECES = [[7], [3, 4, 5], [250, 9], [9, 250, 9, 9], [299], [0, 1, 2, 3, 4, 5, 6], [11, 12], [200, 100, 50]]


@cache
def make(name: str) -> Any:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return parse(compose(overrides=[f"+initializer={name}"]).initializer)


def old_rows(dtype: torch.dtype = torch.float32, seed: int = 0, vocabulary: int = V) -> torch.Tensor:
    """Rows like trained ones: off-centre, correlated, each dimension with its own spread."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(D, D, generator=generator) * torch.linspace(0.5, 2, D)
    rows = torch.randn(vocabulary, D, generator=generator) @ mixing / D**0.5 + torch.randn(D, generator=generator)
    return (0.02 * rows).to(dtype)


def rows(
    name: str, old: torch.Tensor, pieces: list[list[int]] = PIECES, seed: int = 0, side: str = "embed"
) -> torch.Tensor:
    rule = armed(make(name), pieces, old.shape[1])
    return rule.new_rows(side, old, pieces, torch.Generator().manual_seed(seed), known(pieces, len(old)))


def test_the_issue_asks_for_these() -> None:
    assert {"random", "random_matched", "mean", "multivariate", "zip_tie", "zip_tie_shuffled"} <= set(NAMES)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_rows_have_shape_dtype_and_sound_values(name: str, dtype: torch.dtype) -> None:
    new = rows(name, old_rows(dtype))
    assert new.shape == (len(PIECES), D) and new.dtype == dtype
    assert new.isfinite().all()
    assert (new != 0).any(dim=1).all(), "a zero row has logit 0 in the head"
    assert not new.requires_grad


@pytest.mark.parametrize("dtype", DTYPES[1:], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_only_the_last_step(name: str, dtype: torch.dtype) -> None:
    """Computed in float32 and cast once: equal to the float32 result of the same old rows, cast."""
    old = old_rows(dtype)
    assert torch.equal(rows(name, old), rows(name, old.float()).to(dtype))


@pytest.mark.parametrize("name", NAMES)
def test_old_rows_and_pieces_are_left_alone(name: str) -> None:
    old, pieces = old_rows(), [list(ids) for ids in PIECES]
    before = old.clone()
    new = rows(name, old, pieces)
    new.fill_(7.0)  # nor may the result be a view of them
    assert torch.equal(old, before) and pieces == PIECES


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_rows_whatever_the_global_generators_do(name: str) -> None:
    import random

    import numpy

    torch.manual_seed(1)
    first = rows(name, old_rows())
    torch.manual_seed(2)
    torch.randn(1_000)
    random.seed(3)
    numpy.random.seed(4)  # noqa: NPY002
    assert torch.equal(first, rows(name, old_rows()))


@pytest.mark.parametrize("name", NAMES)
def test_global_generators_are_not_touched(name: str) -> None:
    import random

    import numpy

    def state() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), random.getstate(), str(numpy.random.get_state())  # noqa: NPY002

    before = state()
    rows(name, old_rows())
    assert state() == before


@pytest.mark.parametrize("name", NAMES)
def test_rows_differ_unless_their_pieces_are_the_same_multiset(name: str) -> None:
    # vectors that FOCUS learns from so short a text are nearly one vector, and rows nearly one row in half precision
    dtype = torch.float32 if name == "focus" else torch.bfloat16
    checks.rows_differ(rows(name, old_rows(dtype), [[i, i + 1, i + 5] for i in range(250)]))


@pytest.mark.parametrize("name", NAMES)
def test_no_matrix_reads_the_other(name: str) -> None:
    checks.one_matrix_is_read(armed(make(name), PIECES, D), old_rows(), PIECES, known(PIECES))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", COPYING)
def test_a_single_piece_is_copied(name: str, dtype: torch.dtype) -> None:
    checks.one_piece_is_copied(make(name), old_rows(dtype), known([[i] for i in range(V)]))


@pytest.mark.parametrize("name", NAMES)
def test_order_of_tokens_carries_over(name: str) -> None:
    """For a rule without chance, permuting the tokens permutes the rows and does nothing else."""
    old = old_rows()
    here = rows(name, old)
    if not torch.equal(here, rows(name, old, seed=1)):
        pytest.skip(f"{name} draws: its rows belong to positions")
    order = torch.randperm(len(PIECES), generator=torch.Generator().manual_seed(0)).tolist()
    assert torch.equal(rows(name, old, [PIECES[i] for i in order]), here[order])


@pytest.mark.parametrize("name", ["random", "random_matched", "mean", "multivariate"])
def test_another_seed_gives_other_rows(name: str) -> None:
    assert not torch.isclose(rows(name, old_rows()), rows(name, old_rows(), seed=1), rtol=0, atol=0).any()


@pytest.mark.parametrize("name", NAMES)
def test_many_tokens_and_few_old_rows(name: str) -> None:
    """More new rows than old, and fewer old rows than dimensions."""
    new = rows(name, old_rows(vocabulary=D // 2), [[i % (D // 2)] for i in range(1_000)])
    assert new.shape == (1_000, D) and new.isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_old_rows_on_cuda_with_a_cpu_generator(name: str) -> None:
    new = rows(name, old_rows().cuda())
    assert new.is_cuda
    torch.testing.assert_close(new.cpu(), rows(name, old_rows()), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", sorted(RULES))
def test_yaml_lists_every_knob_with_its_default(name: str) -> None:
    path = CONF / "initializer" / f"{name}.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert all("#" in line for line in lines[2:]), "every knob has a comment"
    written: Any = OmegaConf.to_container(OmegaConf.load(path))  # type: ignore[arg-type]
    assert written.pop("defaults") == [f"/schema/initializer/{name}@_here_"]
    # its own; those of another rule that it is made of stand there
    knobs = dataclasses.asdict(RULES[name]())
    own = {key: knobs[key] for key in inspect.get_annotations(RULES[name]) if key not in COMMON}
    if name == "zip_tie":  # the group's base says what is common to all
        own |= {key: knobs[key] for key in COMMON - {"name", "rule"}}
    assert written == own
    assert {key: type(value) for key, value in written.items()} == {key: type(value) for key, value in own.items()}


@pytest.mark.parametrize("name", NAMES)
def test_yaml_composes_to_a_rule_by_its_name(name: str) -> None:
    made = make(name)
    assert made.name == name
    if name in RULES:
        assert made == RULES[name]()
    else:
        assert type(made) is RULES[made.rule]
        lines = (CONF / "initializer" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# ") and f"name: {name}" in lines


@pytest.mark.parametrize("name", NAMES)
def test_another_side_differs_only_where_it_is_said(name: str) -> None:
    checks.both_sides_are_alike(armed(make(name), PIECES, D), old_rows(), PIECES, known(PIECES))


@pytest.mark.parametrize(
    ("name", "knob", "value"), [("random", "std", 0.0), ("random", "std", -0.02), ("mean", "covariance", -1e-9)]
)
def test_nonsense_is_refused_in_one_sentence(name: str, knob: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^initializer\.{knob}={value} is not accepted: it must be "):
        choices(bailong.initializer)[name](**{knob: value})

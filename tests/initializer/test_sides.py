"""What is said of embedding and head alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from bailong.initializer import rules
from bailong.initializer.base import Calibration, Initializer
from bailong.initializer.context import Context
from bailong.initializer.mean import Mean
from bailong.initializer.random import Random
from bailong.initializer.zip_tie import ZipTie

OLD = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
PIECES = [[1, 2], [3, 4, 5], [6], [2, 1]]
CONTEXT = Context([b"a"] * 50, [b"a"] * 4)


def made(initializer: Initializer, side: str) -> torch.Tensor:
    return initializer.new_rows(side, OLD, PIECES, torch.Generator().manual_seed(0), CONTEXT)


def test_the_same_unless_something_is_said() -> None:
    for said in ({}, "same", None):
        assert torch.equal(made(ZipTie(head=said), "head"), made(ZipTie(), "embed"))
        assert not ZipTie(head=said).sided


def test_a_knob_of_one_side() -> None:
    rule = ZipTie(alpha="last", head={"alpha": "first"})
    assert torch.equal(made(rule, "embed"), OLD[[2, 5, 6, 1]])
    assert torch.equal(made(rule, "head"), OLD[[1, 3, 6, 2]])
    assert rule.sided


def test_another_rule_of_one_side_has_its_own_defaults_and_the_norm_of_both() -> None:
    rule = ZipTie(head={"rule": "random", "std": 0.5}, norm="global")
    assert rule.side("head") == Random(std=0.5, norm="global")
    assert rule.side("embed") == rule
    assert Mean(embed={"rule": "mean", "covariance": 0.0}).side("embed") == Mean(covariance=0.0)


def test_a_name_given_to_a_whole_is_no_rule() -> None:
    whole = replace(ZipTie(head={"alpha": "first"}), name="eeve", rule="zip_tie")
    assert whole.side("head").name == "eeve" and type(whole.side("head")) is ZipTie
    assert replace(whole, head={"rule": "zip_tie", "alpha": "last"}).side("head").alpha == "last"


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"alpa": "first"}, r"unknown key initializer\.head\.alpa \(did you mean alpha\?\)"),
        ({"alpha": "firts"}, r"initializer\.alpha=firts is not accepted: .*\(did you mean first\?\)"),
        ({"rule": "zip_tye"}, r"initializer\.head\.rule=zip_tye is not accepted: .*\(did you mean zip_tie\?\)"),
        ({"rule": "no_extension"}, r"initializer\.head\.rule=no_extension is not accepted"),
        ({"rule": "random", "alpha": "first"}, r"unknown key initializer\.head\.alpha"),
        ({"std": 0.1}, r"unknown key initializer\.head\.std"),
        ({"name": "x"}, r"initializer\.head\.name is not accepted: it is said of both"),
        ({"head": {}}, r"initializer\.head\.head is not accepted"),
        ({"norm": "globe"}, r"initializer\.head\.norm=globe is not accepted: .*global"),
        ({"base": "much"}, r"initializer\.head: "),
        ("first", r"initializer\.head=first is not accepted: it must be same, or hold knobs"),
        (3, r"initializer\.head=3 is not accepted"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(own: Any, message: str) -> None:
    with pytest.raises(ValueError, match="^" + message) as error:
        ZipTie(head=own).side("head")
    assert "\n" not in str(error.value)


def test_a_norm_of_both_is_refused_under_its_own_name() -> None:
    with pytest.raises(ValueError, match=r"^initializer\.norm=half is not accepted: it must be one of none, global"):
        Random(norm="half").side("embed")


def test_shuffled_rows_are_the_same_rows() -> None:
    plain, shuffled = made(ZipTie(), "embed"), made(ZipTie(shuffle=True), "embed")
    assert sorted(map(tuple, plain.tolist())) == sorted(map(tuple, shuffled.tolist())) and not torch.equal(
        plain, shuffled
    )


def test_what_changes_nothing_is_told_apart_from_what_does() -> None:
    idle = set(ZipTie().idle())
    assert {"alpha", "base", "norm", "rule", "shuffle", "shrink", "text_bytes"} <= idle
    assert "alpha" not in ZipTie(alpha="first").idle() and "base" in ZipTie(alpha="first").idle()
    assert not {"alpha", "base", "heavier"} & set(ZipTie(alpha="exp").idle())
    assert Random().idle() == ["rule", "norm", "shuffle", "calibrate", "calibration", "left_out"]
    assert Random(calibrate="mass").idle() == ["rule", "norm", "shuffle", "calibration.windows", "left_out"]


def test_what_one_matrix_hears_is_told_apart_too() -> None:
    assert not {"base", "heavier"} & set(ZipTie(head={"alpha": "exp"}).unheard())
    assert not {"sif", "text_bytes"} & set(ZipTie(embed={"alpha": "sif"}).unheard())
    assert {"base", "sif", "alpha"} <= set(ZipTie(head={"alpha": "exp", "base": 3.0}).unheard())
    assert {"alpha", "base"} <= set(ZipTie(head={"rule": "random"}).unheard())
    assert set(ZipTie().unheard()) == set(ZipTie().idle())
    assert set(ZipTie(head="same", embed=None).unheard()) == {*ZipTie().idle(), "embed", "head"}


def test_what_is_said_of_one_matrix_alone_and_changes_nothing_makes_no_two_rules() -> None:
    assert not ZipTie(head={"alpha": "uniform"}).sided and not ZipTie(head={"alpha": "uniform"}, embed={}).sided
    assert ZipTie(head={"alpha": "first"}).sided


def test_each_rule_is_told_where_it_is_said() -> None:
    assert [*rules(ZipTie(head={"alpha": "first"}))] == ["initializer"]
    found = rules(ZipTie(head={"rule": "random", "std": 0.5}))
    assert [*found] == ["initializer", "initializer.head"] and isinstance(found["initializer.head"], Random)


def test_steps_of_as_many_windows_as_before_there_was_a_knob_are_no_other_run() -> None:
    assert "calibration.windows" in ZipTie(calibrate="map").unheard()
    assert "calibration.windows" not in ZipTie(calibrate="map", calibration=Calibration(windows=1)).unheard()


def test_words_of_calibration_are_known() -> None:
    Random(calibrate="mass").check()
    with pytest.raises(ValueError, match=r"^initializer\.calibrate=mas is not accepted: .*\(did you mean mass\?\)"):
        Random(calibrate="mas").check()
    with pytest.raises(ValueError, match=r"^initializer\.calibration\.text_bytes=0 is not accepted"):
        Calibration(text_bytes=0)


def test_another_rule_of_one_side_is_shuffled_as_both_are() -> None:
    assert ZipTie(shuffle=True, head={"rule": "random"}).side("head").shuffle
    assert ZipTie(head={"rule": "zip_tie_shuffled"}).side("head").shuffle
    assert not ZipTie(head={"rule": "random"}).side("head").shuffle

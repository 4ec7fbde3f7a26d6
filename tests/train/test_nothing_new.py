"""A run without new tokens: a sweep over initializers is refused, a single run says so."""

import pytest

from bailong.data.settings import Data
from bailong.extend.extend import extend
from bailong.extend.settings import Extend
from bailong.initializer.mean import Mean
from bailong.initializer.random import Random
from bailong.initializer.zip_tie import ZipTie
from bailong.tokenizer.settings import Tokenizer
from bailong.train import identity, train
from bailong.train.stage.cpt import Cpt
from tests import tiny

NONE = Tokenizer(name="none")


@pytest.fixture(scope="module")
def converted(bench, tmp_path_factory):
    """The base's tokenizer as a folder, without a new piece, as tokenizer=llama2 makes it."""
    folder = tmp_path_factory.mktemp("tokenizers") / "converted"
    wanted = Tokenizer(name="converted", folder=str(folder), base=str(bench / "tokenizers" / "base"), pieces=0)
    extend(Extend(tokenizer=wanted, data=Data(name="s", sources=[tiny.CHINESE]), card_lines=20))
    return Tokenizer(name="converted", folder=str(folder))


def jobs(bench, tmp_path, tokenizer, *initializers, seeds=(0,)):
    return [
        tiny.settings(bench, tmp_path, initializer=one, tokenizer=tokenizer, seed=seed)
        for one in initializers
        for seed in seeds
    ]


def test_initializers_of_no_rows_are_not_compared(bench, tmp_path, converted):
    for tokenizer in (converted, NONE):
        for pair in ((Random(), Mean()), (ZipTie(), ZipTie(), Random())):
            with pytest.raises(
                ValueError, match=r"initializer=.* not accepted in this sweep: tokenizer.*adds no token"
            ):
                identity.require_differing(jobs(bench, tmp_path, tokenizer, *pair, seeds=(0, 1)))


def test_every_other_sweep_is_let_through(bench, tmp_path, converted):
    extended = Tokenizer(name="extended", folder=str(bench / "tokenizers" / "extended"))
    identity.require_differing(jobs(bench, tmp_path, extended, Random(), Mean(), ZipTie()))
    identity.require_differing(jobs(bench, tmp_path, converted, Random(), seeds=(0, 1, 2)))
    unbuilt = Tokenizer(name="unbuilt", folder=str(tmp_path / "not there"))
    identity.require_differing(jobs(bench, tmp_path, unbuilt, Random(), Mean()))
    both = jobs(bench, tmp_path, NONE, Random()) + jobs(bench, tmp_path, extended, Random(), Mean())
    identity.require_differing(both)
    identity.require_differing(jobs(bench, tmp_path, NONE, Random()) + jobs(bench, tmp_path, converted, Random()))


@pytest.mark.parametrize("own", [True, False])
def test_a_single_run_says_that_there_is_nothing_to_initialise(bench, tmp_path, converted, own):
    stage = Cpt(context=48, batch_size=4, max_steps=1, evaluate_every_tokens=10**6)
    run = tiny.run(tmp_path)
    result = train.train(tiny.settings(bench, tmp_path, tokenizer=NONE if own else converted, stage=stage), run)
    assert result is not None and result["new_rows"] == 0
    assert "no new rows: tokenizer" in (run.folder / "train.log").read_text()

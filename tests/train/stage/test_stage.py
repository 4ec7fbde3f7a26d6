import pytest

from bailong.tokenizer.folder import encode_documents, load_tokenizer
from bailong.train.stage.cpt import Cpt
from bailong.train.stage.pretrain import Pretrain


def test_a_document_stands_between_its_markers(bench):
    tokenizer = load_tokenizer(bench / "tokenizers" / "base")
    ((ids, trained, _),) = Cpt(epochs=1).encode(tokenizer, ["ab"])
    assert ids == [tokenizer.bos_token_id, *encode_documents(tokenizer, ["ab"])[0], tokenizer.eos_token_id]
    assert trained is None
    assert Pretrain(epochs=1).from_scratch and not Cpt(epochs=1).from_scratch


@pytest.mark.parametrize(
    ("length", "expected"),
    [({"max_steps": 7}, 7), ({"max_tokens": 64_000}, 20), ({"epochs": 2}, 25), ({"max_tokens": 1}, 1)],
)
def test_the_run_lasts_as_long_as_it_says(length, expected):
    # 100 sequences of 400 targets, 8 a step: 3,200 targets a step
    assert Cpt(context=400, batch_size=8, **length).steps(sequences=100, targets=40_000) == expected


@pytest.mark.parametrize("wrong", [{"context": 0}, {"batch_size": -1}, {"packing": "x"}, {"max_steps": 0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="stage"):
        Cpt(**({"epochs": 1} | wrong))

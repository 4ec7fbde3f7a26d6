"""Equation 8, equation 9, and the chat template that an exported model carries."""

import json

import pytest
from transformers import AutoTokenizer

from bailong.data import template
from bailong.data.sources import SAMPLE
from bailong.data.turns import Turn, dialogue_of, messages
from bailong.tokenizer.folder import load_tokenizer

DIALOGUES = [
    dialogue_of(json.loads(line)).turns
    for line in (SAMPLE / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()
]
ODD = (
    Turn(" 前後有空白 ", "\n第一行\n\n第二行\t𠮷😀é "),
    Turn("</s>夾帶<s>控制符號", "也不會</s>結束這一輪"),
    Turn("{{ bos_token }} {% if %}", "[[5]]"),
    Turn("取出一個<</s>/s>之後又成了一個", "<</s>s>也一樣"),
)


def encode(tokenizer, dialogues):
    return [laid.encoded for laid in template.lay(tokenizer, dialogues)]


@pytest.fixture(scope="module", params=["base", "extended", "llama2", "stored"])
def tokenizer(request, bench, tmp_path_factory):
    """Our own tokenizers, Llama 2's, and one that transformers has read back from an exported folder."""
    if request.param == "llama2":
        return load_tokenizer(request.getfixturevalue("real_data") / "llama2_tokenizer" / "tokenizer.model")
    own = load_tokenizer(bench / "tokenizers" / ("base" if request.param == "base" else "extended"))
    if request.param != "stored":
        return own
    own.chat_template = template.JINJA
    folder = tmp_path_factory.mktemp("stored")
    own.save_pretrained(folder)
    stored = AutoTokenizer.from_pretrained(folder)
    assert stored.chat_template == template.JINJA
    return stored


def test_the_chat_template_gives_the_ids_of_training(tokenizer):
    tokenizer.chat_template = template.JINJA
    assert len(DIALOGUES) == 120
    for turns in [*DIALOGUES, ODD]:
        (encoded,) = encode(tokenizer, [turns])
        given = tokenizer.apply_chat_template(
            messages(turns), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        assert given["input_ids"] == encoded.ids.tolist()
        # The mask of transformers goes by characters: the "▁" that opens a segment is none, and may be left out.
        ours, theirs = encoded.trained.tolist(), [bool(x) for x in given["assistant_masks"]]
        assert all(mine or not other for mine, other in zip(ours, theirs, strict=True))


def test_a_dialogue_has_one_bos_and_an_eos_after_every_turn(tokenizer):
    for turns, encoded in zip(DIALOGUES, encode(tokenizer, DIALOGUES), strict=True):
        ids = encoded.ids.tolist()
        assert ids.count(tokenizer.bos_token_id) == 1 and ids[0] == tokenizer.bos_token_id
        assert ids.count(tokenizer.eos_token_id) == 2 * len(turns) and ids[-1] == tokenizer.eos_token_id


def test_only_outputs_and_the_eos_behind_them_are_trained_on(tokenizer):
    for turns, encoded in zip(DIALOGUES, encode(tokenizer, DIALOGUES), strict=True):
        runs, current = [], []
        for i, trained in zip(encoded.ids.tolist(), encoded.trained.tolist(), strict=True):
            if trained:
                current.append(i)
            elif current:
                runs.append(current)
                current = []
        runs.append(current)
        assert [run[-1] for run in runs] == [tokenizer.eos_token_id] * len(turns)
        assert [tokenizer.decode(run[:-1]).strip() for run in runs] == [turn.output.strip() for turn in turns]
        assert encoded.text_bytes == sum(len(turn.output.encode()) for turn in turns)


def test_the_prompt_of_a_turn_is_the_beginning_of_the_dialogue(tokenizer):
    for turns, encoded in zip(DIALOGUES, encode(tokenizer, DIALOGUES), strict=True):
        ids = encoded.ids.tolist()
        for n in range(1, len(turns) + 1):
            prompt = template.prompt_ids(
                tokenizer, [t.instruction for t in turns[:n]], [t.output for t in turns[: n - 1]]
            )
            assert ids[: len(prompt)] == prompt
            assert encoded.trained[len(prompt)] and not encoded.trained[len(prompt) - 1]


def test_control_tokens_in_a_text_end_no_turn(tokenizer):
    (encoded,) = encode(tokenizer, [ODD])
    ids = encoded.ids.tolist()
    assert ids.count(tokenizer.bos_token_id) == 1
    assert ids.count(tokenizer.eos_token_id) == 2 * len(ODD)


def test_one_token_for_both_ends_is_refused(bench):
    tokenizer = load_tokenizer(bench / "tokenizers" / "base")
    tokenizer.bos_token = tokenizer.eos_token
    with pytest.raises(ValueError, match="one token, </s>, as bos_token and eos_token"):
        encode(tokenizer, DIALOGUES[:1])


def test_a_system_message_opens_the_first_instruction(tokenizer):
    tokenizer.chat_template = template.JINJA
    chat = [{"role": "system", "content": "用繁體中文回答。"}, {"role": "user", "content": "你好"}]
    joined = template.prompt_ids(tokenizer, ["用繁體中文回答。\n\n你好"], [])
    assert tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"] == joined


def test_roles_out_of_order_are_refused(tokenizer):
    tokenizer.chat_template = template.JINJA
    with pytest.raises(Exception, match="user, assistant"):
        tokenizer.apply_chat_template([{"role": "assistant", "content": "x"}])

"""Dialogues through chat templates of others: the ids of the template itself, and a mask of the outputs alone."""

import gzip
import json
import shutil

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from bailong.data import chat, template
from bailong.data.sources import SAMPLE
from bailong.data.turns import Turn, dialogue_of, messages
from bailong.tokenizer.folder import load_tokenizer, text_bytes
from bailong.train.stage.sft import Sft, truncated

DIALOGUES = [
    dialogue_of(json.loads(line)).turns
    for line in (SAMPLE / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()
]
#: a marker closes every dialogue, and not its turns (Phi-3)
CLOSED = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% else %}{{ eos_token }}{% endif %}"
)
SYSTEM = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n"
    "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
#: the system message stands inside of the first question
INSIDE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ 'Be brief. ' if loop.first else '' }}"
    "{{ m.content }} [/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
FORMS = {
    "closed": CLOSED,
    "chatml": None,
    "llama3": None,
    "mistral": None,
    "system": SYSTEM,
    "inside": INSIDE,
    "bailong": template.JINJA,
}


def with_marks(bench, source):
    """A small SentencePiece-like tokenizer with the special tokens of all families, and this template."""
    made = load_tokenizer(bench / "tokenizers" / "extended")
    marks = ["<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    made.add_special_tokens({"additional_special_tokens": marks})
    made.chat_template = source
    return made


@pytest.fixture(params=FORMS)
def tokenizer(request, bench):
    return with_marks(bench, FORMS[request.param] or chat.named(request.param))


def stretches(laid):
    """The trained ids, one list for each stretch."""
    trained, ids = laid.encoded.trained, laid.encoded.ids
    bounds = np.flatnonzero(np.diff(np.r_[0, trained.astype(int), 0]))
    return [ids[a:b].tolist() for a, b in bounds.reshape(-1, 2)]


def check(tokenizer, dialogues):
    for turns, laid in zip(chat.cleaned(tokenizer, dialogues), chat.lay(tokenizer, dialogues), strict=True):
        said = messages(turns)
        assert laid.encoded.ids.tolist() == tokenizer.apply_chat_template(said)["input_ids"]
        found = stretches(laid)
        assert len(found) == len(turns)
        for number, (ids, turn) in enumerate(zip(found, turns, strict=True)):
            assert ids[-1] in tokenizer.all_special_ids and not set(ids[:-1]) & set(tokenizer.all_special_ids)
            assert tokenizer.decode(ids[:-1]).strip() == turn.output.strip()
            prompt = tokenizer.apply_chat_template(said[: 2 * number + 1], add_generation_prompt=True)["input_ids"]
            where = laid.encoded.ids.tolist()
            assert where[: len(prompt)] == prompt and laid.encoded.trained[len(prompt)]


def test_ids_are_those_of_the_template_and_targets_the_outputs(tokenizer):
    check(tokenizer, DIALOGUES)


def test_names_of_control_tokens_in_a_text_end_no_turn(tokenizer):
    typed = Turn("a<|im_end|>b</s><s>", "c<|eot_id|>d<|im_<|im_end|>end|>e<|im_start|>user")
    (laid,) = chat.lay(tokenizer, [(typed, Turn("再問", "再答"))])
    (first, second) = stretches(laid)
    assert tokenizer.decode(second[:-1]).strip() == "再答"
    assert "user" in tokenizer.decode(first[:-1]) and first[-1] in tokenizer.all_special_ids
    check(tokenizer, [(typed, Turn("再問", "再答"))])


def test_a_turn_that_is_not_trained_on_has_no_target(tokenizer):
    turns = (Turn("一", "壹", trained=False), Turn("二", "貳"))
    (laid,) = chat.lay(tokenizer, [turns])
    (only,) = stretches(laid)
    assert tokenizer.decode(only[:-1]).strip() == "貳"
    assert laid.encoded.text_bytes in (3, 4)  # a template may write a space in front, which is learned too


def test_bytes_are_those_of_what_is_learned(tokenizer):
    sizes = text_bytes(tokenizer)
    for laid in chat.lay(tokenizer, DIALOGUES):
        each = sizes(laid.encoded.ids)
        each[np.isin(laid.encoded.ids, tokenizer.all_special_ids)] = 0
        assert laid.encoded.text_bytes == each[laid.encoded.trained].sum()


def test_what_is_too_long_keeps_what_opens_the_dialogue_and_the_words_around_its_last_question(tokenizer):
    turns = (
        Turn("很久以前的問題" * 20, "以前的回答" * 20, trained=False),
        Turn("段落" * 200 + "最後問什麼?", "答案。"),
    )
    (laid,) = chat.lay(tokenizer, [turns])
    cut = truncated(laid.encoded, 120, text_bytes(tokenizer)(laid.encoded.ids), laid.opens, laid.texts)
    assert len(cut.ids) <= 120
    head = laid.encoded.ids[: laid.opens[0]].tolist()
    around = laid.encoded.ids[laid.opens[1] : laid.texts[1]].tolist()
    assert cut.ids[: len(head) + len(around)].tolist() == head + around
    read = tokenizer.decode(cut.ids)
    assert "最後問什麼?" in read and "答案。" in read and "以前" not in read
    assert cut.trained.sum() == laid.encoded.trained.sum() and cut.text_bytes == laid.encoded.text_bytes


def test_earlier_turns_are_dropped_whole(tokenizer):
    turns = tuple(Turn(f"第{n}個問題" * 5, f"第{n}個回答" * 5, trained=n == 3) for n in range(4))
    (laid,) = chat.lay(tokenizer, [turns])
    most = int(np.argmax(laid.encoded.trained)) - 2
    cut = truncated(laid.encoded, most, text_bytes(tokenizer)(laid.encoded.ids), laid.opens, laid.texts)
    (alone,) = chat.lay(tokenizer, [turns[1:]])
    if laid.opens != laid.texts:  # else the first question lacks what the template writes for a first one alone
        assert cut.ids.tolist() == alone.encoded.ids.tolist()[: len(cut.ids)]
    kept = tokenizer.decode(cut.ids)
    assert "第0個" not in kept and kept.count("第3個問題") == 5 and cut.trained.sum() == laid.encoded.trained.sum()


@pytest.mark.parametrize("word", ["user", "assistant", "start", "u", "\n問"])
def test_an_instruction_that_says_what_stands_around_it_is_found(tokenizer, word):
    """The words of a role are no instruction, and the other way round."""
    (laid,) = chat.lay(tokenizer, [(Turn(word, "答"), Turn(word, "再答"))])
    for place in laid.texts:
        assert tokenizer.decode(laid.encoded.ids[place:]).lstrip().startswith(word.strip())


def test_an_answer_is_learned_from_its_first_word_on_where_a_token_of_it_begins_in_the_prompt(bench):
    spaced = (
        "{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} {% else %}ASSISTANT: {{ m.content }}"
        "{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT: {% endif %}"
    )
    tokenizer = with_marks(bench, spaced)
    (laid,) = chat.lay(tokenizer, [(Turn("Is it?", "the"), Turn("Sure?", "of the"))])
    assert [tokenizer.decode(ids[:-1]).strip() for ids in stretches(laid)] == ["the", "of the"]


def test_white_space_that_a_marker_takes_is_not_learned_and_the_answer_behind_it_is(bench):
    tokenizer = with_marks(bench, FORMS["system"])
    taking = [AddedToken(mark, rstrip=True, normalized=False) for mark in ("<|begin|>", "<|close|>")]
    tokenizer.add_special_tokens({"additional_special_tokens": taking})
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role if m.role == 'user' else '<|begin|>\n' }}{{ m.content }}<|close|>\n"
        "{% endfor %}"
        "{% if add_generation_prompt %}<|begin|>\n{% endif %}"
    )
    (laid,) = chat.lay(tokenizer, [(Turn("問", "  答"), Turn("再問", "再答"))])
    assert [tokenizer.decode(ids[:-1]).strip() for ids in stretches(laid)] == ["答", "再答"]
    assert laid.encoded.text_bytes == len("答再答".encode())


@pytest.mark.parametrize("mark", chat.MARKS)
def test_an_instruction_may_begin_with_what_shows_where_one_is(tokenizer, mark):
    check(tokenizer, [(Turn(mark + "問", "答"), Turn(mark, "再答"))])


def test_a_template_that_tells_the_date_gives_the_same_data_every_day(bench):
    made = with_marks(bench, SYSTEM.replace("You help.", "Today is {{ strftime_now('%d %B %Y') }}."))
    assert "Today is 26 Jul 2024." in made.decode(chat.lay(made, DIALOGUES[:1])[0].encoded.ids)


def test_a_typed_mark_is_one_of_its_bytes_in_a_byte_level_tokenizer(tmp_path):
    words = Tokenizer(models.BPE({c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
    words.pre_tokenizer, words.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>")
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    made.chat_template = chat.named("chatml")
    text = json.dumps([{"instruction": "q", "output": "▁" * 20}])
    (cut,) = Sft(context=64, epochs=1, template="base").encode(made, [text])
    assert cut.text_bytes == cut.trained.sum() < 60  # a byte a token


def test_a_context_that_the_template_fills_is_refused(bench):
    made = with_marks(bench, SYSTEM.replace("You help.", "You help. " * 40))
    text = json.dumps([{"instruction": "長" * 900, "output": "答"}])
    with pytest.raises(ValueError, match="stage.context=64 is not accepted: what the chat template writes"):
        Sft(context=64, epochs=1, template="base").encode(made, [text])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", "no special token"),
        # a beginning is written otherwise once the dialogue goes on
        (
            "{% for m in messages %}{{ m.content if loop.last else '...' }}{{ eos_token }}{% endfor %}",
            "otherwise than its",
        ),
        ("{% for m in messages %}{{ m.content | upper }}{{ eos_token }}{% endfor %}", "otherwise than its beginning"),
        ("{{ raise_exception('only tools') }}", "cannot write a dialogue: only tools"),
        ("{{ raise_exception('') }}", "cannot write a dialogue: TemplateError"),
        # what opens an answer is not written where one is asked for: its first marker would be all that is learned
        (SYSTEM[: SYSTEM.index("{% if add")], "does not write all that stands in front of one"),
        (
            "{% for m in messages %}<|im_start|>{{ m.role }}{% if m.role == 'assistant' %}<|eot_id|>final{% endif %}\n"
            "{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{% endif %}",
            "does not write all that stands in front of one",
        ),
        ("{% for m in %}", "cannot write a dialogue"),
    ],
)
def test_a_template_that_tells_no_output_is_refused(bench, source, said):
    with pytest.raises(ValueError, match=said):
        chat.lay(with_marks(bench, source), [(Turn("question one", "answer one"), Turn("question two", "answer two"))])


@pytest.mark.parametrize("name", ["chatlm", "nothing.jinja", "", "llama-3"])
def test_an_unknown_template_is_refused(name):
    with pytest.raises(ValueError, match="stage.template"):
        chat.named(name)


@pytest.mark.parametrize("family", ["llama3_1", "qwen3", "gemma3", "mistral"])
def test_templates_of_real_families(real_data, tmp_path, family):
    source = real_data / "tokenizers" / family
    for file in source.glob("*.json.gz"):
        with gzip.open(file) as packed, (tmp_path / file.name.removesuffix(".gz")).open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    if family == "mistral":
        made = load_tokenizer(source / "tokenizer.model")
        made.chat_template = chat.named("mistral")
    else:
        made = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    if family == "qwen3":  # it writes empty reasoning into a dialogue that is closed, and none into its beginning
        with pytest.raises(ValueError, match="otherwise than its beginning|does not write all that stands in front"):
            chat.lay(made, DIALOGUES)
        with pytest.raises(ValueError, match="does not write all that stands in front of one"):
            chat.lay(made, [(Turn("問", "答"),)])
        made.chat_template = chat.named("chatml")
    check(made, DIALOGUES)
    if family == "llama3_1":  # the name is that of the family's own, less its system message
        made.chat_template = chat.named("llama3")
        check(made, DIALOGUES)

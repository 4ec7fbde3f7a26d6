"""Every shape in every container, and what is broken in them."""

import gzip
import json
import random

import pytest
import zstandard

from bailong.data.turns import Turn
from bailong.prepare.dialogue import rows, shapes
from bailong.prepare.dialogue.shapes import Dialogue, PassageQuestion, ReadPiece, Unfit
from bailong.reader.record import Bad


def read(shape, value):
    return list(shapes.read(shape, value, "x-1", "zh-Hant"))


def turns(shape, value):
    (found,) = read(shape, value)
    assert isinstance(found, ReadPiece), found
    assert isinstance(found.piece, Dialogue)
    return [tuple(turn) for turn in found.piece.turns]


def reason(shape, value):
    (found,) = read(shape, value)
    assert isinstance(found, Unfit), found
    return str(found)


def said(*pairs):
    return {"conversations": [{"from": role, "value": text} for role, text in pairs]}


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ("sharegpt", said(("human", "問"), ("gpt", "答"))),
        ("sharegpt", {"conversations": [{"role": "user", "content": "問"}, {"role": "assistant", "content": "答"}]}),
        ("sharegpt", {"conversation": [{"from": "User", "value": "問"}, {"from": "ChatGPT", "value": "答"}]}),
        ("sharegpt", {"messages": [{"role": "user", "content": "問"}, {"role": "assistant", "content": "答"}]}),
        ("alpaca", {"instruction": "問", "input": "", "output": "答"}),
        ("alpaca", {"instruction": "問", "input": None, "output": "答"}),
        ("moss", {"conversation": [{"human": "問", "assistant": "答"}]}),
        ("moss", {"chat": {"turn_1": {"Human": "<|Human|>: 問<eoh>\n", "Commands": "<|Commands|>: None<eoc>\n",
                                      "MOSS": "<|MOSS|>: 答<eom>\n"}}}),
        ("gsm8k", {"question": "問", "answer": "答"}),
        ("dialogue", {"turns": [{"instruction": "問", "output": "答"}]}),
    ],
)  # fmt: skip
def test_every_shape_gives_the_same_dialogue(shape, value):
    assert turns(shape, value) == [("問", "答")]


@pytest.mark.parametrize(
    ("shape", "columns", "value"),
    [
        ("alpaca", {"instruction": "input", "output": "target"}, {"kind": "NLI", "input": "問", "target": "答"}),
        ("alpaca", {"instruction": "inputs", "output": "targets"}, {"inputs": "問", "targets": "答", "id": "tur"}),
        ("alpaca", {"instruction": "talimat", "input": "giriş", "output": "çıktı"},
         {"talimat": "問", " giriş": "", " çıktı": "答"}),
        ("sharegpt", {"conversations": "Dialog"}, {"dialog": [{"role": "user", "content": "問"},
                                                               {"role": "assistant", "content": "答"}]}),
    ],
)  # fmt: skip
def test_a_record_may_have_other_names_for_its_fields(shape, columns, value):
    assert turns(shape, shapes.renamed(value, columns)) == [("問", "答")]
    assert reason(shape, shapes.renamed(value, {**columns, [*columns][-1]: "elsewhere"})) == "missing_field"


def test_texts_alone_are_turns_the_users_first():
    assert turns("sharegpt", {"conversations": ["問", "答", "再問", "再答"]}) == [("問", "答"), ("再問", "再答")]
    assert turns("sharegpt", {"conversations": ["問", "答", "沒有人回答"]}) == [("問", "答")]
    assert reason("sharegpt", {"conversations": ["只有問題"]}) == "no_turns"


def test_a_question_knows_the_article_it_is_about():
    value = {"data": [{"title": "臺北", "paragraphs": [{"context": "文", "qas": [
        {"id": "1", "question": "問", "answers": [{"text": "答"}]}]}]}]}  # fmt: skip
    (found,) = read("squad", value)
    assert found.piece == PassageQuestion("1", "文", "問", ("答",), language="zh-Hant", article="臺北")
    value["data"][0]["paragraphs"][0]["title"] = "段落"  # of the paragraph: the split is by article
    assert read("squad", value)[0].piece.article == "臺北"


def test_alpaca_puts_the_input_below_the_instruction():
    assert turns("alpaca", {"instruction": "翻譯", "input": "cat", "output": "貓"}) == [("翻譯\ncat", "貓")]


def test_original_moss_goes_by_the_number_of_its_turns():
    chat = {f"turn_{n}": {"Human": f"<|Human|>: {n}<eoh>", "MOSS": f"<|MOSS|>: a{n}<eom>"} for n in (10, 2, 1)}
    assert turns("moss", {"chat": chat}) == [("1", "a1"), ("2", "a2"), ("10", "a10")]


def test_the_calculator_of_gsm8k_is_stripped():
    value = {"question": "q", "answer": "48/2 = <<48/2=24>>24 clips.\n#### 24"}
    assert turns("gsm8k", value) == [("q", "48/2 = 24 clips.\n#### 24")]


def test_what_equation_8_has_no_place_for_is_left_out_and_counted():
    (found,) = read("sharegpt", said(("system", "s"), ("gpt", "早"), ("human", "問"), ("gpt", "答"), ("human", "再問")))
    assert [tuple(t) for t in found.piece.turns] == [("問", "答")]
    assert found.left_out == {"system": 1, "leading_output": 1, "unanswered": 1}
    (found,) = read("moss", {"conversation": [{"human": "問", "assistant": "答"}, {"human": "再問", "assistant": ""}]})
    assert len(found.piece.turns) == 1 and found.left_out == {"unanswered": 1}


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        ("sharegpt", said(("human", "a"), ("tool", "b")), "odd_role"),
        ("sharegpt", said(("human", "a"), ("gpt", "b"), ("system", "c"), ("gpt", "d")), "odd_role"),
        ("sharegpt", said(("human", " \n"), ("gpt", "b")), "empty_turn"),
        ("sharegpt", said(("human", "a")), "no_turns"),
        ("sharegpt", {"conversations": []}, "no_turns"),
        ("sharegpt", {"conversations": "a"}, "missing_field"),
        ("sharegpt", {"text": "a"}, "missing_field"),
        ("sharegpt", said(("human", 3), ("gpt", "b")), "not_text"),
        ("sharegpt", {"conversations": ["a", 1]}, "missing_field"),
        ("alpaca", {"instruction": "a"}, "missing_field"),
        ("alpaca", {"instruction": "a", "output": ""}, "no_turns"),
        ("moss", {"chat": {"turn_1": {"Human": "a", "Commands": "Search(\"b\")", "MOSS": "c"}}}, "tool_use"),
        ("alpaca", {"instruction": "a", "output": ["b", "c"]}, "not_text"),
        ("alpaca", {"instruction": "a", "input": {"b": "c"}, "output": "d"}, "not_text"),
        ("alpaca", {"instruction": "a", "input": 5, "output": "d"}, "not_text"),
        ("gsm8k", {"question": "a", "answer": None}, "missing_field"),
        ("dialogue", {"turns": [{"instruction": "a", "output": "\ud800"}]}, "lone_surrogate"),
        ("dialogue", {"turns": [{"instruction": "a", "output": "b"}], "id": "\ud800"}, "lone_surrogate"),
        ("dialogue", {"turns": [{"instruction": "a", "output": "b"}], "category": "\ud800"}, "lone_surrogate"),
        ("squad", {"context": "a", "question": "b", "answers": ["\ud800"]}, "lone_surrogate"),
        ("squad", {"context": "a", "question": 1}, "missing_field"),
    ],
)  # fmt: skip
def test_what_is_no_dialogue_says_why(shape, value, expected):
    assert reason(shape, value) == expected


def chat(*messages):
    roles = ("user", "assistant") * len(messages)
    return {"messages": [{"role": role} | given for role, given in zip(roles, messages, strict=False)]}


PARTS = [
    {"type": "text", "text": "看圖"},
    {"type": "image_url", "image_url": {"url": "x"}},
    {"type": "text", "text": "說"},
]
ASKED, TOLD = {"content": "問"}, {"content": "答"}
ALPACA = {"instruction": "問", "output": "答"}


@pytest.mark.parametrize(
    ("shape", "value", "expected", "left_out"),
    [
        ("alpaca", ALPACA | {"history": [["一", "壹"], ["二", "貳"]]}, "一壹二貳問答", {}),
        ("alpaca", ALPACA | {"history": [{"user": "一", "assistant": "壹"}]}, "一壹問答", {}),
        ("alpaca", ALPACA | {"history": [{"role": "user", "content": "一"}, {"role": "bot", "content": "壹"}]},
         "一壹問答", {}),
        ("alpaca", ALPACA | {"history": [], "system": ""}, "問答", {}),
        ("alpaca", ALPACA | {"history": [{"instruction": "一", "input": "文", "output": "壹"}]}, "一\n文壹問答", {}),
        ("alpaca", ALPACA | {"instruction": "", "input": "問"}, "問答", {}),
        ("alpaca", ALPACA | {"instruction": None, "input": "問"}, "問答", {}),
        ("alpaca", ALPACA | {"instruction": PARTS}, "看圖\n說答", {"part_without_text": 1}),
        ("alpaca", ALPACA | {"output": [{"type": "text", "text": "答"}]}, "問答", {}),
        ("alpaca", ALPACA | {"context": "文", "rejected": "否", "Complex_CoT": "想"}, "問答",
         {"context": 1, "other_answer": 1, "reasoning": 1}),
        ("sharegpt", said(("human", "問"), ("gpt", "答")) | {"image_path": "a.png"}, "問答", {"attachment": 1}),
        ("sharegpt", {"conversation": None, "conversations": [], **chat(ASKED, TOLD)}, "問答", {}),
        ("sharegpt", chat(ASKED, TOLD | {"mask": True}), "問答", {"weight": 1}),
        ("dialogue", {"turns": [{"instruction": "問", "input": "文", "output": "答"}]}, "問\n文答", {}),
        ("moss", {"chat": {"turn_1": {"Human": "問", "Inner Thoughts": "<|Inner Thoughts|>: 想<eot>", "MOSS": "答"}}},
         "問答", {"reasoning": 1}),
        ("moss", {"chat": {"turn_1": {"Human": "問", "Inner Thoughts": "<|Inner Thoughts|>: None<eot>", "MOSS": "答"}}},
         "問答", {}),
        ("alpaca", ALPACA | {"history": None, "system": "你是助理"}, "問答", {"system": 1}),
        ("alpaca", {"Instruction": "問", "Input": "文", "OUTPUT": "答", "System": "s"}, "問\n文答", {"system": 1}),
        ("sharegpt", said(("human", "問"), ("gpt", "答")) | {"system": "你是助理"}, "問答", {"system": 1}),
        ("sharegpt", said(("system", "s"), ("human", "問"), ("gpt", "答")) | {"system": "t"}, "問答", {"system": 2}),
        ("sharegpt", chat(ASKED, TOLD) | {"tools": [{"name": "f"}]}, "問答", {"tools": 1}),
        ("sharegpt", chat(ASKED, TOLD) | {"history": [["一", "壹"]]}, "問答", {"history": 1}),
        ("sharegpt", chat(ASKED, TOLD) | {"images": ["a.png"]}, "問答", {"attachment": 1}),
        ("sharegpt", said(("developer", "s"), ("system", "t"), ("Human ", "問"), ("AI", "答")), "問答", {"system": 2}),
        ("sharegpt", said(("human", "a"), ("human", "b"), ("gpt", "c"), ("gpt", "d")), "a\nbc\nd", {"joined_turns": 2}),
        ("sharegpt", said(("human", "a"), ("gpt", ""), ("gpt", "c"), ("human", "d"), ("human", "e")), "ac",
         {"joined_turns": 1, "unanswered": 2}),
        ("sharegpt", chat({"content": PARTS}, TOLD), "看圖\n說答", {"part_without_text": 1}),
        ("sharegpt", chat({"content": ["看", "圖"]}, {"content": {"type": "text", "text": "答"}}), "看\n圖答", {}),
        ("sharegpt", chat(ASKED, TOLD, {"content": "再"}, {"content": None}), "問答", {"unanswered": 1}),
        ("sharegpt", chat(ASKED | {"name": "小明"}, TOLD | {"reasoning_content": "想"}), "問答",
         {"name": 1, "reasoning": 1}),
        ("sharegpt", chat(ASKED, TOLD | {"weight": 0.5}), "問答", {"weight": 1}),
        ("sharegpt", chat(ASKED | {"value": "問", "text": "別的"}, TOLD | {"value": None}), "問答", {"other_text": 1}),
        ("sharegpt", chat(ASKED, TOLD) | {"instruction": "別的", "prompt": "問"}, "問答", {"other_text": 1}),
        ("sharegpt", chat(ASKED, TOLD) | said(("human", "問"), ("gpt", "壹")), "問壹", {"other_text": 1}),
        ("sharegpt", {"Messages": [{"Role": "User", "Content": "問"}, {"ROLE": "Assistant", "content": "答"}]},
         "問答", {}),
        ("sharegpt", {"conversation": chat(ASKED, TOLD) | {"system": "s"}}, "問答", {"system": 1}),
        ("moss", {"meta_instruction": "s", "conversation": [{"human": "問", "assistant": "答"}]}, "問答",
         {"system": 1}),
    ],
)  # fmt: skip
def test_nothing_of_a_record_goes_unread_and_uncounted(shape, value, expected, left_out):
    (found,) = read(shape, value)
    assert isinstance(found, ReadPiece), found
    assert "".join(text for turn in found.piece.turns for text in turn) == expected
    assert found.left_out == left_out and all(turn.trained for turn in found.piece.turns)


@pytest.mark.parametrize(
    "mark",
    [{"weight": 0}, {"weight": 0.0}, {"train": False}, {"loss_mask": 0}, {"Loss": False}, {"weight": "0"},
     {"trained": False}],
)  # fmt: skip
def test_a_turn_of_weight_0_stays_as_context(mark):
    for shape, value in (
        ("sharegpt", chat(ASKED, TOLD | mark, ASKED, TOLD | {"weight": 1})),
        ("moss", {"conversation": [{"human": "問", "assistant": "答"} | mark, {"human": "問", "assistant": "答"}]}),
        ("dialogue", {"turns": [{"instruction": "問", "output": "答"} | mark, {"instruction": "問", "output": "答"}]}),
        ("alpaca", ALPACA | {"history": [{"instruction": "問", "output": "答"} | mark]}),
    ):
        (found,) = read(shape, value)
        assert (
            found.piece.turns == (Turn("問", "答", trained=False), Turn("問", "答"))
            and found.left_out["untrained"] == 1
        )
        (again,) = read("dialogue", found.piece.row())
        assert again.piece.turns == found.piece.turns
    assert reason("sharegpt", chat(ASKED, TOLD | mark)) == "untrained"
    (found,) = read("sharegpt", chat(ASKED | {"weight": 0}, TOLD))  # an instruction carries no loss in any case
    assert found.piece.turns == (Turn("問", "答"),) and not found.left_out


def test_outputs_that_are_joined_are_learned_only_if_all_of_them_may_be():
    value = chat(ASKED, TOLD, ASKED, TOLD)
    value["messages"].insert(2, {"role": "assistant", "content": "不學", "weight": 0})
    (found,) = read("sharegpt", value)
    assert found.piece.turns == (Turn("問", "答\n不學", trained=False), Turn("問", "答"))
    assert found.left_out == {"joined_turns": 1, "untrained": 1}


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        ("sharegpt", chat(ASKED, TOLD | {"tool_calls": [{"id": "1"}]}), "tool_use"),
        ("sharegpt", chat(ASKED, {"function_call": {"name": "f"}}), "tool_use"),
        ("sharegpt", chat(ASKED, {"content": [{"type": "tool_use", "name": "f"}]}), "tool_use"),
        ("sharegpt", chat(ASKED, {"content": None}, ASKED, TOLD), "empty_turn"),
        ("sharegpt", chat({"content": PARTS[1:2]}, TOLD), "empty_turn"),
        ("sharegpt", chat({"content": [3]}, TOLD), "not_text"),
        ("alpaca", ALPACA | {"history": [["一"]]}, "missing_field"),
        ("alpaca", ALPACA | {"history": "一"}, "missing_field"),
        ("alpaca", ALPACA | {"weight": 0}, "untrained"),
        ("sharegpt", {"conversation": {"a": 1}}, "missing_field"),
    ],
)
def test_what_cannot_be_honoured_costs_the_record_and_says_why(shape, value, expected):
    assert reason(shape, value) == expected


def test_several_dialogues_in_one_record_are_each_read():
    found = read("sharegpt", {"conversations": [chat(ASKED, TOLD)["messages"], chat(ASKED)["messages"]]})
    assert found[0].piece.turns == (Turn("問", "答"),) and str(found[1]) == "no_turns"


SQUAD = {
    "title": "燈塔",
    "paragraphs": [
        {
            "context": "塔高十公尺。",
            "qas": [
                {"id": "1", "question": "多高？", "answers": [{"text": "十公尺"}, {"text": "十公尺"}]},
                {"id": "2", "question": ""},
                {"id": "3", "question": "多寬？", "answers": []},
            ],
        }
    ],
}


@pytest.mark.parametrize("value", [SQUAD, {"data": [SQUAD]}, {"data": SQUAD}, {"version": "1", "data": [SQUAD]}])
def test_squad_is_read_at_any_level_and_one_bad_question_is_its_own_loss(value):
    first, bad, last = read("squad", value)
    assert first.piece == PassageQuestion("1", "塔高十公尺。", "多高？", ("十公尺",), "", "zh-Hant", "燈塔")
    assert str(bad) == "empty_turn" and last.piece.answers == ()


def test_fgc_and_the_flat_rows_of_the_hub():
    fgc = {
        "DID": "D1",
        "DTEXT": "塔高十公尺。",
        "QUESTIONS": [
            {"QID": "D1Q1", "QTEXT": "多高？", "ANSWER": [{"ATEXT": "十公尺", "ATOKEN": []}]},
            {"QTEXT": "多寬？", "ANSWER": "不知道"},
            {"ANSWER": "?"},
        ],
    }
    first, second, bad = read("squad", fgc)
    assert (first.piece.id, first.piece.answers) == ("D1Q1", ("十公尺",))
    assert second.piece.answers == ("不知道",) and str(bad) == "missing_field"
    flat = {"id": "9", "context": "c", "question": "q", "answers": {"text": ["a", "b"], "answer_start": [0, 1]}}
    (found,) = read("squad", flat)
    assert found.piece.answers == ("a", "b")


def test_labels_of_other_conventions_become_bcp_47_and_ids_come_from_the_record_or_the_row():
    (found,) = read("dialogue", {"id": 7, "language": "zhs", "turns": [{"instruction": "a", "output": "b"}]})
    assert (found.piece.id, found.piece.language) == ("7", "zh-Hans")
    (found,) = read("gsm8k", {"question": "a", "answer": "b"})
    assert (found.piece.id, found.piece.language) == ("x-1", "zh-Hant")


# --- containers --------------------------------------------------------------------------------------

OBJECTS = [{"instruction": f'第 {n} 題 {{"instruction":', "output": "答\n案"} for n in range(4)]


def values(path):
    return [found.value if isinstance(found, rows.FoundRecord) else found.reason for found in rows.local(path)]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("form", ["lines", "array", "pretty"])
def test_every_container_gives_the_same_objects(tmp_path, suffix, bom, form):
    if form == "lines":
        text = "\n\n".join(json.dumps(o, ensure_ascii=False) for o in OBJECTS)
    else:
        text = json.dumps(OBJECTS, ensure_ascii=False, indent=2 if form == "pretty" else None)
    data = bom + text.encode()
    path = tmp_path / f"a.json{suffix}"
    path.write_bytes({"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[suffix](data))
    assert values(path) == OBJECTS


BARE = [[{"role": "user", "content": f"{n}"}, {"role": "assistant", "content": "答]["}] for n in range(3)]


@pytest.mark.parametrize("indent", [None, 1])
def test_messages_without_an_object_around_them_are_a_record(tmp_path, indent):
    path = tmp_path / "a.json"
    expected = [{"messages": messages} for messages in BARE]
    for text in (
        json.dumps(BARE, indent=indent),  # an array of dialogues
        "\n".join(json.dumps(messages, indent=indent) for messages in BARE),  # one behind another
    ):
        path.write_text(text, encoding="utf-8")
        assert values(path) == expected
    path.write_text(json.dumps(BARE[0], indent=indent), encoding="utf-8")  # one dialogue
    assert values(path) == expected[:1]
    path.write_text(json.dumps(OBJECTS[0]) + "\n" + json.dumps(BARE[0]), encoding="utf-8")  # among objects
    assert values(path) == [OBJECTS[0], expected[0]]
    (found,) = shapes.read("sharegpt", expected[2], "x", "")
    assert isinstance(found, ReadPiece) and found.piece == Dialogue("x", (Turn("2", "答]["),))


def test_a_broken_line_of_messages_costs_itself_and_what_follows_an_array_is_read(tmp_path):
    path = tmp_path / "a.json"
    lines = [json.dumps(messages) for messages in BARE]
    path.write_text("\n".join([lines[0], lines[1].replace(":", "", 1), lines[2]]), encoding="utf-8")
    assert values(path) == [{"messages": BARE[0]}, "bad_json", {"messages": BARE[2]}]
    path.write_text(f"{json.dumps(OBJECTS[:2])}\n{json.dumps(OBJECTS[2:])}\n", encoding="utf-8")
    assert values(path) == OBJECTS
    path.write_text(f"{json.dumps(OBJECTS)}\n{json.dumps(OBJECTS[0])} {lines[0]} x", encoding="utf-8")
    assert values(path) == [*OBJECTS, OBJECTS[0], {"messages": BARE[0]}, "bad_json"]


def test_one_object_over_many_lines_is_one_row(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"data": OBJECTS}, ensure_ascii=False, indent=1), encoding="utf-8-sig")
    assert values(path) == [{"data": OBJECTS}]


def test_a_broken_element_of_an_array_costs_itself_alone(tmp_path):
    parts = [json.dumps(o, ensure_ascii=False) for o in OBJECTS]
    broken = parts[1].replace('"output":', '"output" ')
    bad_byte = parts[2].encode().replace("答".encode(), b"\xe7\xad")
    data = b"[" + b",\n ".join([parts[0].encode(), broken.encode(), bad_byte, b"3", parts[3].encode()]) + b"]"
    path = tmp_path / "a.json"
    path.write_bytes(data)
    found = list(rows.local(path))
    assert values(path) == [OBJECTS[0], "bad_json", "bad_utf8", "not_object", OBJECTS[3]]
    for bad in (found[1], found[2]):
        assert data[bad.offset :].startswith(bad.head[:20]), "the offset is where it stands in the file"


def test_an_array_or_file_that_breaks_off_keeps_what_is_whole(tmp_path):
    text = json.dumps(OBJECTS, ensure_ascii=False)
    path = tmp_path / "a.json"
    path.write_text(text[: text.rindex("答") + 1], encoding="utf-8")
    assert values(path) == [*OBJECTS[:3], "bad_json"]
    path.write_text(text[: text.rindex("}]") + 1], encoding="utf-8")
    assert values(path) == [*OBJECTS, "trunc_tail"]
    noise = random.Random(0).choices("甲乙丙丁戊己庚辛壬癸", k=40_000)
    packed = gzip.compress(json.dumps([*OBJECTS, {"instruction": "".join(noise)}], ensure_ascii=False).encode())
    cut = tmp_path / "b.json.gz"
    cut.write_bytes(packed[: len(packed) // 2])
    assert values(cut) == [*OBJECTS, "trunc_tail"]


@pytest.mark.parametrize("text", ["", " \n", "[]", "[ ]"])
def test_nothing_gives_nothing(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    assert values(path) == []


def test_noise_never_stops_the_reading(tmp_path):
    """300 files of damaged JSON: every one ends, and each thing found is an object or says what it is."""
    chance = random.Random(1)
    path = tmp_path / "a.json"
    for form in ("lines", "array"):
        whole = json.dumps(OBJECTS) if form == "array" else "\n".join(map(json.dumps, OBJECTS))
        for _ in range(150):
            data = bytearray(whole.encode())
            for _ in range(chance.randint(1, 6)):
                data[chance.randrange(1, len(data))] = chance.choice(b'{}[]",:\\\xff\x00a')
            path.write_bytes(data)
            assert all(isinstance(found, rows.FoundRecord | Bad) for found in rows.local(path))


@pytest.mark.parametrize(
    "said_of_it",
    [
        {"train_on": False},
        {"calculate_loss": False},
        {"loss_weight": 0},
        {"loss_scale": 0.0},
        {"learn": "no"},
        {"masked": True},
        {"ignore_loss": 1},
        {"No_Loss": "true"},
    ],
)
def test_however_it_is_said_an_output_that_asks_for_no_loss_has_none(said_of_it):
    (found,) = read("sharegpt", chat(ASKED, TOLD | said_of_it, ASKED, TOLD))
    assert [turn.trained for turn in found.piece.turns] == [False, True] and found.left_out == {"untrained": 1}


@pytest.mark.parametrize("said_of_it", [{"masked": False}, {"ignore_loss": None}, {"loss_scale": 1.0}, {"train_on": 1}])
def test_an_output_that_asks_for_loss_has_it(said_of_it):
    (found,) = read("sharegpt", chat(ASKED, TOLD | said_of_it))
    assert [turn.trained for turn in found.piece.turns] == [True] and not found.left_out

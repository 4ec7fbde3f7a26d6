"""Steps over dialogues, each by itself; the API is a real server on a socket."""

import pytest

from bailong.api.client import Client
from bailong.api.settings import Api
from bailong.data.turns import Dialogue, Turn, paragraph_digest
from bailong.prepare.dialogue import translate as translation
from bailong.prepare.dialogue.articles import Articles
from bailong.prepare.dialogue.books import DialogueFlow
from bailong.prepare.dialogue.concatenate import Concatenate
from bailong.prepare.dialogue.convert import ConvertDialogues
from bailong.prepare.dialogue.instances import Instances
from bailong.prepare.dialogue.sample import Sample
from bailong.prepare.dialogue.shapes import PassageQuestion
from bailong.prepare.dialogue.step import Context, through
from bailong.prepare.dialogue.translate import Translate
from tests.api.server import Scripted, broken, refused, silent, truncated
from tests.prepare.dialogue.making import translated


def single(n, output="答", **facts):
    return Dialogue(f"d{n}", (Turn(f"第{n}題", output),), **facts)


def run(step, pieces, script=None):
    """Pieces, flow and failures after a step; `script` is what the API answers."""
    flow, failures = DialogueFlow(), []

    def go(ask):
        made = list(through(step, pieces, Context(flow, ask, failures.append)))
        flow.check(step.name)
        return made, flow, failures

    if script is None:
        return go(lambda calls, _: [None] * len(calls))
    with Scripted(script) as server:
        client = Client(Api(name="t", base_url=server.url, model="m", cache=None, first_wait=0.01, attempts=2))
        made = go(lambda calls, _: list(client.ask(calls)))
        run.asked = [a.body for a in server.asked]
        return made


# --- convert, sample, concatenate --------------------------------------------------------------------


def test_simplified_becomes_traditional_and_english_stays():
    mixed = Dialogue("a", (Turn("软件是什么？", "软件是程序。"), Turn("Say hello.", "Hello!")), language="zh-Hans")
    english = Dialogue("b", (Turn("Hi", "Hello"),), language="en")
    taiwan = Dialogue("c", (Turn("參數是什麼？", "參數不是只有一種。"),), language="zh-Hant")
    made, flow, _ = run(ConvertDialogues(), [mixed, english, taiwan])
    assert made[0].turns == (Turn("軟體是什麼？", "軟體是程式。"), Turn("Say hello.", "Hello!"))
    assert made[0].language == "zh-Hant" and made[1:] == [english, taiwan]
    assert flow.counts["dialogues changed"] == 1 and flow.samples["changed"][0]["before"] == "软件是什么？"


def test_a_short_text_follows_the_script_of_its_dialogue():
    made, _, _ = run(ConvertDialogues(), [Dialogue("a", (Turn("皇后后面", "这里没有东西，请稍后再来。"),))])
    assert made[0].turns[0].instruction == "皇后後面"


def test_sampling_keeps_the_order_and_does_not_depend_on_it():
    many = [single(n) for n in range(200)]
    made, flow, _ = run(Sample(dialogues=30), many)
    assert len(made) == 30 and made == sorted(made, key=lambda d: int(d.id[1:]))
    assert set(run(Sample(dialogues=30), many[::-1])[0]) == set(made)
    assert set(run(Sample(dialogues=30, seed=1), many)[0]) != set(made)
    assert flow.drops["not_sampled"] == [170, 170] and run(Sample(), many)[0] == many


@pytest.mark.parametrize(("count", "turns", "sizes"), [(12, 4, [4, 4, 4]), (10, 4, [4, 4, 2]), (2, 3, [2]), (0, 3, [])])
def test_groups_have_a_fixed_size_and_the_rest_is_kept_or_dropped(count, turns, sizes):
    singles = [single(n) for n in range(count)]
    made, flow, _ = run(Concatenate(turns=turns), singles)
    assert [len(d.turns) for d in made] == sizes and flow.joined == count - len(sizes)
    assert sorted(t for d in made for t in d.turns) == sorted(t for d in singles for t in d.turns)
    made, flow, _ = run(Concatenate(turns=turns, remainder="drop"), singles)
    assert all(len(d.turns) == turns for d in made)
    assert sum(n[1] for n in flow.drops.values()) == count % turns


def test_groups_are_seeded_labelled_and_know_every_passage():
    singles = [single(n, paragraph=f"p{n % 2}", language="zh-Hant", category=f"c{n}") for n in range(4)]
    made, _, _ = run(Concatenate(turns=4, order="file"), singles)
    assert made[0].id == "d0+d1+d2+d3" and made[0].paragraph == "p0 p1"
    assert (made[0].language, made[0].category) == ("zh-Hant", "")
    many = [single(n) for n in range(40)]
    assert run(Concatenate(), many)[0] == run(Concatenate(), many[::-1])[0] != run(Concatenate(seed=1), many)[0]


def test_sizes_can_be_drawn_and_several_turns_stay():
    several = Dialogue("s", (Turn("a", "b"), Turn("c", "d")))
    made, flow, _ = run(Concatenate(turns=1, most=4), [several, *(single(n) for n in range(1000))])
    sizes = [len(d.turns) for d in made[1:]]
    assert made[0] is several and set(sizes) == {1, 2, 3, 4} and 2.3 < sum(sizes) / len(sizes) < 2.7
    assert flow.counts["had several turns"] == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Concatenate(turns=0), "concatenate.turns=0"),
        (lambda: Concatenate(turns=4, most=3), "concatenate.most=3"),
        (lambda: Concatenate(remainder="kep"), "did you mean keep"),
        (lambda: Sample(dialogues=0), "sample.dialogues=0"),
        (lambda: Instances(answers="golden"), "did you mean gold"),
        (lambda: Translate(numbers="al"), "did you mean all"),
        (lambda: Translate(max_tokens=0), "translate.max_tokens=0"),
        (lambda: Translate(prompt="nowhere.txt").facts(), "one of instances.txt, reading.txt, translate.txt"),
        (lambda: Instances(templates="translate.txt").facts(), "must hold {paragraph} once"),
    ],
)
def test_knobs_are_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


# --- instances ---------------------------------------------------------------------------------------

ASKED = [PassageQuestion(f"q{n}", f"第{n}座塔高{n}公尺。{{question}}", "多高？", (f"{n}公尺",)) for n in range(20)]


def test_templates_are_chosen_by_hash_and_filled_in_one_pass():
    made, flow, failures = run(Instances(), ASKED, lambda body: f"答：{body['messages'][0]['content'][-6:]}")
    instructions = [d.turns[0].instruction for d in made]
    assert len({text.split("第")[0] for text in instructions}) > 3
    assert all(text.count("{question}") == 1 and text.count("多高？") == 1 for text in instructions)
    assert not failures and flow.left == [20, 20]
    assert sorted(b["messages"][0]["content"] for b in run.asked) == sorted(instructions)
    assert made[0].paragraph == paragraph_digest("第0座塔高0公尺。{question}")
    assert [d.turns[0].instruction for d in run(Instances(), ASKED[::-1], "好")[0][::-1]] == instructions


def test_gold_answers_ask_nobody():
    made, flow, _ = run(Instances(answers="gold"), [*ASKED, PassageQuestion("x", "p", "q")])
    assert [d.turns[0].output for d in made] == [q.answers[0] for q in ASKED]
    assert flow.drops == {"no_answer": [1, 1]} and not Instances(answers="gold").asks()


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [(refused(), "refused"), (truncated(), "truncated"), (silent(), "empty"), (broken(500), "api_error")],
)
def test_what_the_api_cannot_do_is_a_row(behaviour, status):
    script = lambda body: behaviour if "第3座" in body["messages"][0]["content"] else "好"  # noqa: E731
    made, flow, failures = run(Instances(), ASKED, script)
    assert len(made) == 19 and flow.drops == {status: [1, 1]}
    assert [(row["id"], row["status"]) for row in failures] == [("q3", status)] and "第3座" in failures[0][
        "instruction"
    ]


# --- translate ---------------------------------------------------------------------------------------


def test_no_step_forgets_which_turns_are_trained_on():
    one = Dialogue(
        "a", (Turn("软件是什么？", "软件是程序。", trained=False), Turn("这样吗？", "这样。")), language="zh-Hans"
    )
    made, _, _ = run(ConvertDialogues(), [one])
    assert made[0].turns == (Turn("軟體是什麼？", "軟體是程式。", trained=False), Turn("這樣嗎？", "這樣。"))
    singles = [Dialogue("b", (Turn("問", "答", trained=False),)), Dialogue("c", (Turn("再問", "再答"),))]
    made, _, _ = run(Concatenate(turns=2, order="file"), singles)
    assert [turn.trained for turn in made[0].turns] == [False, True]
    found, _ = translation.read(Turn("q", "x\n#### 3", trained=False), "[題目]\n問\n[解答]\n答\n#### 3")
    assert found == Turn("問", "答\n#### 3", trained=False)


PROBLEM = Turn("Ann has 1,000 pens and gets 80 more. How many has she?", "She has 1,000+80 = 1,080 pens.\n#### 1,080")


def reply(last, body="小安有 1,000 枝筆，加上 80 枝就是 1,080 枝。"):
    return f"[題目]\n小安有 1,000 枝筆，又拿到 80 枝，一共幾枝？\n[解答]\n{body}\n{last}"


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("#### 1,080", ""),
        ("#### 1080", ""),
        ("####1,080 枝", ""),
        ("＃＃＃＃　１，０８０", ""),
        ("#### １０８０\n希望有幫助！", ""),
        ("#### 1,081", "answer_changed"),
        ("#### -1,080", "answer_changed"),
        ("#### 1.080", "answer_changed"),
        ("#### 1,080 或 1,081", "answer_changed"),
        ("#### 一千零八十", "answer_lost"),
        ("答案：1,080", "answer_lost"),
        ("", "answer_lost"),
    ],
)
def test_the_number_behind_the_signs_survives_or_the_translation_is_refused(last, reason):
    made, found = translation.read(PROBLEM, reply(last))
    assert found == reason
    if not reason:
        assert made is not None and made.output == "小安有 1,000 枝筆，加上 80 枝就是 1,080 枝。\n#### 1,080"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (reply("#### 1,080").replace("[", "【").replace("]", "】"), ""),
        (reply("#### 1,080").replace("[", "［ ").replace("]", "］："), ""),
        ("好的：\n" + reply("#### 1,080"), ""),
        ("小安有 1,080 枝筆。", "no_sections"),
        ("[題目]\n\n[解答]\n#### 1,080", "no_sections"),
        (f"[題目]\n{PROBLEM.instruction}\n[解答]\n{PROBLEM.output}", "untranslated"),
    ],
)
def test_the_form_of_a_reply(text, reason):
    assert translation.read(PROBLEM, text)[1] == reason


def test_every_number_can_be_asked_for():
    text = reply("#### 1,080", body="加起來就是一千零八十枝。")
    assert translation.read(PROBLEM, text)[1] == "" and translation.read(PROBLEM, text, "all")[1] == "number_lost"
    assert translation.read(PROBLEM, reply("#### 1,080"), "all")[1] == ""


def test_a_decimal_and_a_negative_answer():
    for answer in ("0.5", "-3", "2,125,000", "12.50"):
        turn = Turn("q", f"x\n#### {answer}")
        assert translation.read(turn, f"[題目]\n問\n[解答]\n答\n#### {answer}")[0] == Turn("問", f"答\n#### {answer}")
    assert translation.read(Turn("q", "x\n#### 3"), "[題目]\n問\n[解答]\n答\n#### -3")[1] == "answer_changed"


def problem(n):
    return Dialogue(f"g{n}", (Turn(f"What is {n} plus {n}?", f"It is {2 * n}.\n#### {2 * n}"),), language="en")


def test_a_bad_translation_is_asked_for_once_more_and_then_kept_as_a_failure():
    def script(body):
        number = int(body["messages"][0]["content"].rsplit("#### ", 1)[1])
        again = len(body["messages"]) > 1
        if number == 4 and not again or number == 6:
            return translated(body, last="#### 99")
        return refused() if number == 8 else translated(body)

    made, flow, failures = run(Translate(), [problem(n) for n in range(1, 6)], script)
    assert [d.id for d in made] == ["g1", "g2", "g5"]
    assert made[1].turns[0].output.endswith("\n#### 4") and made[1].language == "zh-Hant"
    assert flow.drops == {"answer_changed": [1, 1], "refused": [1, 1]}
    assert flow.counts == {"asked again": 2, "right at the second time": 1}
    assert {row["id"]: row["status"] for row in failures} == {"g3": "answer_changed", "g4": "refused"}
    again = [b["messages"] for b in run.asked if len(b["messages"]) == 3]
    assert len(again) == 2 and all("與原文不同" in messages[2]["content"] for messages in again)
    made, flow, failures = run(Translate(reask=False), [problem(2)], lambda body: translated(body, last="#### 99"))
    assert not made and len(run.asked) == 1 and len(failures) == 1


def test_one_turn_that_fails_costs_its_dialogue():
    both = Dialogue("b", (*problem(1).turns, *problem(3).turns))
    made, flow, failures = run(
        Translate(),
        [both, problem(2)],
        lambda body: "沒有" if "#### 6" in str(body["messages"][0]) else translated(body),
    )
    assert [d.id for d in made] == ["g2"] and flow.drops == {"no_sections": [1, 2]} and len(failures) == 1


# --- articles, and the data's own answers ------------------------------------------------------------


def asked(n, paragraph="段落", article="甲", answers=("答",)):
    return PassageQuestion(f"q{n}", paragraph, f"第{n}問？", answers, article=article)


def test_two_parts_of_the_articles_are_all_of_them_and_share_none():
    pieces = [asked(n, article=f"條目{n % 40}") for n in range(200)] + [asked(200, article="")]
    trained, flow, _ = run(Articles(last=0.8), pieces)
    unseen, _, _ = run(Articles(first=0.8), pieces)
    assert {piece.id for piece in trained} | {piece.id for piece in unseen} == {f"q{n}" for n in range(200)}
    assert not {piece.article for piece in trained} & {piece.article for piece in unseen}
    assert 20 < len({piece.article for piece in trained}) < 40
    assert flow.drops["no_article"][0] == 1 and flow.drops["other_article"][0] == len(unseen)


@pytest.mark.parametrize("knobs", [{"first": 1.0}, {"first": -0.1}, {"first": 0.5, "last": 0.5}, {"last": 1.1}])
def test_a_part_without_articles_is_refused(knobs):
    with pytest.raises(ValueError, match="dialogue.articles"):
        Articles(**knobs)


def test_questions_about_one_passage_share_it():
    pieces = [asked(1), asked(2), asked(3, answers=()), asked(4), asked(5), asked(6, paragraph="別的段落")]
    made, flow, _ = run(Instances(answers="gold", questions=3), pieces)
    assert [dialogue.id for dialogue in made] == ["q1+q2+q4", "q5", "q6"]
    first = made[0]
    assert [turn.instruction for turn in first.turns[1:]] == ["第2問？", "第4問？"]
    assert "段落" in first.turns[0].instruction and "第1問？" in first.turns[0].instruction
    assert first.paragraph == paragraph_digest("段落") and made[2].paragraph == paragraph_digest("別的段落")
    assert flow.joined == 2 and flow.drops["no_answer"][0] == 1
    alone, _, _ = run(Instances(answers="gold"), pieces)
    assert [len(dialogue.turns) for dialogue in alone] == [1] * 5


def test_an_api_is_asked_each_question_by_itself():
    with pytest.raises(ValueError, match="questions=2 is not accepted"):
        Instances(questions=2)

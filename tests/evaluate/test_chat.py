"""bailong-chat: a pipe, a terminal, and an OpenAI-compatible server."""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from bailong.data.turns import dialogue_of
from bailong.evaluate import answers, chat
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.settings import Chat, Subject
from bailong.model import llama_cpp
from tests.commands import call
from tests.conftest import ROOT
from tests.evaluate import talker
from tests.evaluate.serving import free_port, ready, serving

SMALL = ["generator.context=256", "sampling.max_new_tokens=20", "generator.device=cpu"]


@pytest.fixture(scope="module")
def folder(bench, tmp_path_factory):
    return talker.build(bench, tmp_path_factory.mktemp("talker") / "model")


def settings(folder, **changes):
    return Chat(str(folder), talker.card(), talker.generator(), **changes)


@pytest.fixture(scope="module")
def local(folder):
    from bailong.evaluate.generate import LocalModel

    return LocalModel(str(folder), talker.generator())


def talk(local, *lines):
    """A conversation through a pipe: what was answered, what was remarked, what is remembered."""
    answers, remarks = io.StringIO(), io.StringIO()
    one = chat.Conversation(local, settings("m"), io.StringIO("".join(f"{x}\n" for x in lines)), answers, remarks)
    one.run()
    return answers.getvalue(), remarks.getvalue(), one.turns


def test_a_pipe_is_a_conversation(local):
    answers, remarks, turns = talk(local, "hello", "", "and then?", "/new", "hello", "/quit", "never said")
    assert [prompt for prompt, _ in turns] == ["hello"] and set(remarks.splitlines()) <= {"(cut after 24 tokens)"}
    first, _, third = talk(local, "hello", "/new", "and then?", "/new", "hello")[0].split("\n")[:3]
    assert answers.split("\n")[0] == answers.split("\n")[2] == first == third  # drawn, and yet the same
    assert answers.split("\n")[1] != talk(local, "and then?")[0].strip()  # it knew what was said before


def test_retry_draws_anew_and_replaces(local):
    answers, _, turns = talk(local, "hello", "/retry", "/retry")
    assert len(set(answers.splitlines())) == 3 and len(turns) == 1
    assert "nothing to answer" in talk(local, "/retry")[1]


def test_commands_that_are_none_and_lines_that_go_on(local):
    _, remarks, turns = talk(local, "/nwe", "//slash", "two \\", "lines", "/help")
    assert "/nwe is no command" in remarks and "/save FILE" in remarks
    assert [prompt for prompt, _ in turns] == ["/slash", "two \nlines"]


def test_save_writes_a_dialogue(local, tmp_path):
    path = tmp_path / "kept.jsonl"
    _, remarks, turns = talk(local, "你好", "再見", f"/save {path}", "/save", f"/save {tmp_path}/no/where")
    (row,) = path.read_text(encoding="utf-8").splitlines()
    assert [tuple(turn) for turn in dialogue_of(json.loads(row)).turns] == turns and "你好" in row
    assert "needs the name of a file" in remarks and "cannot be written" in remarks


def test_old_turns_give_way_and_a_prompt_too_long_is_refused(local):
    answers, remarks, turns = talk(local, *["what is it that the rain says to the sea at night?"] * 9, "rain " * 200)
    assert "oldest turns no longer fit" in remarks and len(turns) == 9
    assert "this prompt alone takes" in remarks


def test_characters_of_several_tokens_are_shown_whole(local):
    import torch

    text = "中文🙂 ok\n第二行 é  end"
    ids = local.tokenizer(text, add_special_tokens=False).input_ids
    assert len(ids) > len(text)  # bytes
    to = io.StringIO()
    shown, grown = chat.TextStreamer(local.text, to), []
    shown.put(torch.tensor([[1, 5, 9]]))
    for i in ids:
        shown.put(torch.tensor([i]))
        grown.append(to.getvalue())
    shown.end()
    shown.close()
    assert to.getvalue() == text + "\n" and all(text.startswith(part) for part in grown)
    assert "中" in grown and "中文" in grown and "中文🙂" in grown and not any("\ufffd" in part for part in grown)
    cut = io.StringIO()
    shown = chat.TextStreamer(local.text, cut)
    for i in [0, *ids[:4]]:
        shown.put(torch.tensor([i]))
    shown.close()  # what never became a character is shown at the end


def test_the_words_of_the_command_line():
    assert chat.serve_words(["serve", "model=serve", "--help"]) == ["serve=true", "path=serve", "--help"]


def test_the_command_in_a_pipe(folder, place):
    env = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "latin-1"}  # a terminal of the last century
    code = "import sys; sys.argv[0] = 'bailong-chat'; from bailong import cli; cli.chat()"
    done = subprocess.run(
        [sys.executable, "-c", code, f"model={folder}", *SMALL],
        input="你好\n\n/new\n你好\n".encode(),
        capture_output=True,
        cwd=place,
        env=os.environ | env,
        timeout=120,
    )
    assert done.returncode == 0 and set(done.stderr.splitlines()) <= {b"(cut after 20 tokens)"}, done.stderr.decode()
    lines = done.stdout.decode("utf-8").split("\n")
    assert len(lines) >= 3 and done.stdout.decode("utf-8").count(lines[0]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=models/nothing"], "error: models/nothing is not there: give a model folder"),
        (["model=tokenizers"], "error: tokenizers is no model folder: it has no config.json"),
        (["model=models/tied"], "error: models/tied has no chat template"),
        (["serve", "model=models/tied"], "error: models/tied has no chat template, and a server"),
        ([], "error: model has no value: give it as model=FOLDER, or a Hub id"),
        (["serve", "model=models/tied", "port=0"], "error: port=0 is not accepted"),
        (["model=models/tied", "sampling.temprature=1"], "temprature"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, place):
    done = call("chat", *arguments, cwd=place)
    assert done.returncode == 2 and done.stdout == ""
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_a_terminal(folder, place):
    """Ctrl-C stops an answer and not the chat; at the prompt it leaves nothing; Ctrl-D leaves."""
    long = ["generator.context=256", "sampling.max_new_tokens=230", "sampling=greedy", "generator.device=cpu"]
    code = (
        "import sys, time; sys.argv[0] = 'bailong-chat'; from bailong import cli; from bailong.evaluate import chat\n"
        "put = chat.TextStreamer.put\n"
        "chat.TextStreamer.put = lambda self, value: (time.sleep(0.02), put(self, value))[1]\n"  # slow
        "cli.chat()\n"
    )
    process, master = pty.fork()
    if process == 0:
        os.chdir(place)
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(sys.executable, [sys.executable, "-c", code, f"model={folder}", *long])
    try:
        assert "/help says" in until(master, "> ")
        until(master, "Ctrl-D leaves.*> $", press=b"\x03")
        os.write(master, "你好 hello\n".encode())
        until(master, r"hello\r\n.{6}")
        assert "(stopped)" in until(master, "> $", press=b"\x03")
        os.write(master, b"/save kept.jsonl\n")
        assert "added to kept.jsonl" in until(master, "> $")
        os.write(master, b"\x04")
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
        process = None
    finally:
        if process is not None:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        os.close(master)
    (turn,) = dialogue_of(json.loads((place / "kept.jsonl").read_text(encoding="utf-8"))).turns
    assert turn.instruction == "你好 hello" and turn.output


def until(master, pattern, seconds=60, press=b""):
    """What the terminal shows until `pattern` is in it. `press` is pressed every two seconds until then: a Ctrl-C
    between the prompt and readline's waiting is not noticed before the next key."""
    seen, end, next_press = "", time.monotonic() + seconds, time.monotonic()
    while not re.search(pattern, seen, re.S):
        now = time.monotonic()
        assert now < end, f"waiting for {pattern!r}, saw {seen!r}"
        if press and now >= next_press:
            os.write(master, press)
            next_press = now + 2
        if select.select([master], [], [], 0.2)[0]:
            seen += os.read(master, 4096).decode("utf-8", "replace")
    return seen


def test_served_to_the_openai_client(folder, local):
    import openai

    from bailong.evaluate.prompt import Prompt

    with serving(folder) as server:
        client = openai.OpenAI(base_url=server.url, api_key="none")
        asked = {"model": server.model, "temperature": 0, "max_tokens": 20}
        messages = [{"role": "user", "content": "hello there"}]
        reply = client.chat.completions.create(messages=messages, **asked).choices[0]
        own = local.answers([Prompt(["hello there"])], talker.greedy(max_new_tokens=20))[0]
        assert reply.message.content.strip("\ufffd ") == own.text.strip("\ufffd ")
        assert reply.finish_reason == own.finish_reason
        pieces = client.chat.completions.create(messages=messages, stream=True, **asked)
        streamed = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        assert streamed.strip("\ufffd ") == reply.message.content.strip("\ufffd ")
        messages += [{"role": "assistant", "content": own.text}, {"role": "user", "content": "and?"}]
        assert client.chat.completions.create(messages=messages, **asked).usage.prompt_tokens == len(
            local.fit(Prompt(["hello there", "and?"], [own.text]), 20).ids
        )
        with pytest.raises(openai.BadRequestError):  # it serves one model, by one name
            client.chat.completions.create(messages=messages, model="another")
    assert server.process.poll() is not None


def begun(place, *words):
    """`bailong-chat serve` in a process of its own."""
    code = "import sys; sys.argv[0] = 'bailong-chat'; from bailong import cli; cli.chat()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "serve", *words],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_serve_command_is_the_server(folder, place):
    port = free_port()
    process = begun(place, f"model={folder}", f"port={port}", "generator.device=cpu")
    try:
        assert ready(process, port, time.monotonic() + 120)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert f"base_url=http://127.0.0.1:{port}/v1 model={folder}" in said and "curl" in said
    assert "does not say do_sample" in said


@pytest.fixture(scope="module")
def file(bench, tmp_path_factory):
    """Of a model that says no single bytes, of which transformers makes other text (each of `x\ufffd` is `\ufffd`)."""
    pytest.importorskip("gguf", reason="needs the extra 'gguf'")
    import torch
    from transformers import AutoModelForCausalLM

    from bailong.train import gguf

    folder = talker.build(bench, tmp_path_factory.mktemp("speaker") / "model")
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[3:259] = 0
    model.save_pretrained(folder)
    gguf.write(folder, "speaker", None)
    return folder / gguf.FILE


needs_llama_cpp = pytest.mark.skipif(not llama_cpp.installed(), reason="needs llama.cpp: pip install xllamacpp")


@needs_llama_cpp
def test_a_gguf_file_served_by_llama_cpp_answers_as_the_folder_here(file, tmp_path):
    """Questions of two turns: the same prompts to the token, and the same greedy text."""
    items = [Item(f"{i}", "b", [f"question {i}: 你好", "and then?"]) for i in range(6)]
    rows = {}
    with serving(file, strict=True, context=256) as server:
        api = {"model": "any", "base_url": server.url, "attempts": 1, "cache": None}
        for subject in (Subject("here", path=str(file.parent)), Subject("served", api=api)):
            source = answers.source(subject, talker.generator())
            rows[subject.name] = answers.collect(source, items, talker.greedy(), tmp_path / subject.name / "a.jsonl")
    known = ("prompt", "answer", "finish_reason", "prompt_tokens", "answer_tokens")
    said = {name: [[turn[key] for key in known] for row in of for turn in row["turns"]] for name, of in rows.items()}
    assert said["here"] == said["served"] and len(said["here"]) == 12
    assert len({turn[1] for turn in said["here"]}) > 1


@needs_llama_cpp
def test_the_serve_command_on_a_gguf_file_is_llama_cpp(file, place):
    port = free_port()
    process = begun(place, f"model={file}", f"port={port}", "generator.context=256")
    try:
        assert ready(process, port, time.monotonic() + 120)
        taken = call("chat", "serve", f"model={file}", f"port={port}", cwd=place)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert f"base_url=http://127.0.0.1:{port}/v1 model={file}" in said and process.returncode == 130
    assert not file.with_suffix("").exists(), "a file that is served is not converted"
    assert taken.returncode == 2
    # llama.cpp writes its own words from another thread, before or behind
    assert f"error: llama.cpp does not serve {file} at port={port}" in taken.stderr


@needs_llama_cpp
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float16"}, r"generator.dtype=float16 is not accepted: the weights of a GGUF file stay"),
        ({}, r"no chat template, and a server must know"),
    ],
)
def test_a_gguf_file_that_cannot_be_served_as_asked(bench, tmp_path, changes, message):
    pytest.importorskip("gguf", reason="needs the extra 'gguf'")
    from bailong.train import gguf

    silent = talker.build(bench, tmp_path / "silent", template="")
    gguf.write(silent, "silent", None)
    asked = Chat(str(silent / gguf.FILE), talker.card(), talker.generator(**changes), serve=True)
    with pytest.raises(ValueError, match=message):
        chat.serve(asked)


def test_a_gguf_file_that_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(chat.llama_cpp, "installed", lambda: True)
    with pytest.raises(ValueError, match=r"model=nothing.gguf does not exist: give a GGUF file"):
        chat.serve(settings("nothing.gguf", serve=True))
    (tmp_path / "x.gguf").write_bytes(b"GGUF, it says")
    with pytest.raises(ValueError, match=r"x.gguf is not accepted: it is no GGUF file, or damaged"):
        chat.serve(settings(tmp_path / "x.gguf", serve=True))
    monkeypatch.setattr(chat.llama_cpp, "installed", lambda: False)
    with pytest.raises(ValueError, match=r"serving a GGUF file needs llama.cpp, not installed here: pip install"):
        chat.serve(settings(tmp_path / "x.gguf", serve=True))


def test_a_server_that_is_not_installed(monkeypatch, folder):
    real = chat.importlib.util.find_spec
    monkeypatch.setattr(chat.importlib.util, "find_spec", lambda name: None if name == "uvicorn" else real(name))
    with pytest.raises(ValueError, match=r"serving needs uvicorn, not installed here: pip install 'bailong\[serve\]'"):
        chat.serve(settings(folder, serve=True))


def test_the_preset_is_the_cards():
    from omegaconf import OmegaConf

    card = OmegaConf.load(ROOT / "conf" / "sampling" / "card.yaml")
    assert (card.temperature, card.top_p, card.top_k, card.repetition_penalty) == (0.6, 0.9, 40, 1.1)

"""`bailong-chat`: a conversation in the terminal, or an OpenAI-compatible server by `transformers serve` or llama.cpp.

At a terminal prompts and remarks go to standard error and answers to standard output, so that a pipe carries nothing
but answers: `bailong-chat model=... < questions.txt > answers.txt`.
"""

import contextlib
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from bailong.evaluate import model_folder
from bailong.evaluate.settings import Chat
from bailong.model import gguf, llama_cpp
from bailong.model.gguf import as_folder
from bailong.run.process import importing

HELP = """\
/help        this
/new         begin anew: what was said is forgotten
/retry       answer the last prompt once more; where tokens are drawn, others are
/save FILE   write the conversation as a line of JSON, in the form that bailong-prepare reads (data.kind=dialogue)
/quit        leave; Ctrl-D too
Ctrl-C stops an answer. A line that ends in \\ goes on in the next one. // at the beginning stands for a plain /."""


def chat(settings: Chat) -> None:
    """Talk, or serve.

    Raises:
        ValueError: no such model, no chat template, no server installed.
    """
    if settings.serve:
        serve(settings)
    settings.path = as_folder(settings.path, "model") or settings.path
    # a wrong path is told at once, and not when torch has been imported
    model_folder.require_template(settings.path, settings.generator.template)
    if not sys.stdin.isatty():
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    with importing():
        from bailong.evaluate.generate import LocalModel

    local = LocalModel(settings.path, settings.generator, lambda line: print(line, file=sys.stderr))
    Conversation(local, settings, sys.stdin, sys.stdout, sys.stderr).run()


class Conversation:
    """What was said, and what is typed next.

    Attributes:
        turns: (prompt, answer) so far; an answer that was stopped counts with what was said of it.
        again: how often the last prompt has been answered anew.
    """

    def __init__(self, local: Any, settings: Chat, typed: TextIO, answers: TextIO, remarks: TextIO) -> None:
        self.local, self.sampling = local, settings.sampling
        self.typed, self.answers, self.remarks = typed, answers, remarks
        self.person = typed.isatty()
        self.turns: list[tuple[str, str]] = []
        self.again = 0
        if self.person:
            self._remark(
                f"{settings.path} on {local.device.type}, {settings.sampling.name}; /help says what can be typed"
            )

    def run(self) -> None:
        """Until the input ends, or /quit."""
        while (line := self._next()) is not None:
            word, _, rest = line.partition(" ")
            if word == "/quit":
                return
            command = {"/help": self.help, "/new": self.new, "/retry": self.retry, "/save": self.save}.get(word)
            if command is not None:
                command(rest.strip())
            elif line.startswith("/") and not line.startswith("//"):
                self._remark(f"{word} is no command; there are /help, /new, /retry, /save FILE, /quit")
            elif line.strip():
                self.again = 0
                self.ask(line[1:] if line.startswith("//") else line)

    def ask(self, prompt: str) -> None:
        """Answer a prompt, showing the answer as it grows; Ctrl-C ends it."""
        from bailong.evaluate.prompt import Prompt

        question = Prompt(
            [*(said for said, _ in self.turns), prompt],
            [answer for _, answer in self.turns],
            name="this prompt",
            draw=f"{self.again}" if self.again else "",
        )
        try:
            fitted = self.local.fit(question, self.sampling.max_new_tokens)
        except ValueError as error:  # too long; the conversation goes on without it
            self._remark(str(error))
            return
        if fitted.truncated:
            self._remark("(the oldest turns no longer fit into the context and are left out)")
        shown = TextStreamer(self.local.text, self.answers)
        try:
            seed = self.local.seed(question, self.sampling)
            (ids,) = self.local.generate([fitted.ids], self.sampling, [seed], fitted.room, streamer=shown)
            answer = self.local.answer(ids, fitted, 1)
            said, ended = answer.text, answer.finish_reason == "stop"
        except KeyboardInterrupt as interrupt:
            if not self.person or _is_kill(interrupt):
                raise
            said, ended = self.local.text(shown.ids).rstrip("\ufffd").strip(), True
            self._remark(" (stopped)")
        shown.close()
        if not ended:
            self._remark(f"(cut after {fitted.room} tokens)")
        # A chat template may refuse an empty turn, and a model learns nothing from one
        self.turns.append((prompt, said or "…"))

    def help(self, _: str) -> None:
        self._remark(HELP)

    def new(self, _: str) -> None:
        self.turns.clear()
        self.again = 0
        if self.person:
            self._remark("(a new conversation)")

    def retry(self, _: str) -> None:
        if not self.turns:
            self._remark("there is nothing to answer once more")
            return
        prompt, _answer = self.turns.pop()
        self.again += 1
        self.ask(prompt)

    def save(self, name: str) -> None:
        from bailong.data.turns import Dialogue, Turn

        if not name or not self.turns:
            self._remark("/save FILE needs the name of a file" if not name else "nothing has been said yet")
            return
        path = Path(name).expanduser()
        dialogue = Dialogue(path.stem, tuple(Turn(*turn) for turn in self.turns))
        try:
            with path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(dialogue.row(), ensure_ascii=False) + "\n")
        except OSError as error:
            self._remark(f"{path} cannot be written: {error.strerror}")
            return
        self._remark(f"(added to {path})")

    def _next(self) -> str | None:
        """The next prompt or command; None at the end of the input."""
        lines: list[str] = []
        while True:
            line = self._line("> " if not lines else ". ")
            if line is None:
                return "\n".join(lines) if lines else None
            if not line.endswith("\\"):
                return "\n".join([*lines, line])
            lines.append(line[:-1])

    def _line(self, mark: str) -> str | None:
        if self.person and not self.answers.isatty():  # where `input` would put its mark among the answers
            self.remarks.write(mark)
            self.remarks.flush()
        if not (self.person and self.answers.isatty()):
            line = self.typed.readline()
            return line.rstrip("\r\n") if line else None
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 (arrow keys and history in `input`)
        while True:
            try:
                return input(mark)
            except EOFError:
                self._remark("")
                return None
            except UnicodeDecodeError:
                self._remark("(that was not UTF-8)")
            except KeyboardInterrupt as interrupt:
                if _is_kill(interrupt):
                    raise
                self._remark(" (Ctrl-D leaves)")

    def _remark(self, line: str) -> None:
        print(line, file=self.remarks, flush=True)


def _is_kill(interrupt: KeyboardInterrupt) -> bool:
    """Whether it was a SIGTERM or a closed terminal (`bailong.run.process.interruptible`), and not Ctrl-C."""
    return getattr(interrupt, "number", signal.SIGINT) != signal.SIGINT


class TextStreamer:
    """Tokens as text while they come (transformers' streamer protocol).

    A character can be spread over several tokens (byte fallback): what does not yet end in a whole character is held
    back. Everything is decoded from the beginning each time, since a token's text depends on its neighbours.
    """

    def __init__(self, text: Callable[[list[int]], str], to: TextIO) -> None:
        self.text, self.to = text, to
        self.ids: list[int] = []
        self.shown = 0
        self._prompt = True

    def put(self, value: Any) -> None:
        if self._prompt:  # the first thing a streamer is given is the prompt
            self._prompt = False
            return
        self.ids.extend(value.reshape(-1).tolist())
        text = self.text(self.ids).lstrip()
        if not text.endswith("\ufffd"):
            self._show(text.rstrip())  # white space at the end waits too: it may be the end of the answer

    def end(self) -> None:
        """`generate` is through; `close` shows the rest, also after Ctrl-C."""

    def close(self) -> None:
        self._show(self.text(self.ids).strip())
        self.to.write("\n")
        self.to.flush()

    def _show(self, text: str) -> None:
        if len(text) > self.shown:
            self.to.write(text[self.shown :])
            self.to.flush()
            self.shown = len(text)


def serve_words(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra wants it: the bare word `serve`, and `model=`, which it would take for conf/model/."""
    words = ["serve=true" if word == "serve" else word for word in arguments]
    return [f"path={word.removeprefix('model=')}" if word.startswith("model=") else word for word in words]


def serve(settings: Chat) -> NoReturn:
    """Become `transformers serve` for this model, or llama.cpp's server for a GGUF file.

    Raises:
        ValueError: no such model, no chat template, or the server's packages are not installed.
    """
    command, environment = server(settings)
    address = f"http://{'127.0.0.1' if settings.host in ('0.0.0.0', '::') else settings.host}:{settings.port}"
    body = json.dumps({"model": settings.path, "messages": [{"role": "user", "content": "你好"}]}, ensure_ascii=False)
    print(
        f"base_url={address}/v1 model={settings.path}   (ready when {address}/health answers; Ctrl-C ends it)\n"
        f"  curl {address}/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'\n"
        f"  openai.OpenAI(base_url='{address}/v1', api_key='none')",
        file=sys.stderr,
        flush=True,
    )
    os.execvpe(command[0], command, environment)


def server(settings: Chat) -> tuple[list[str], dict[str, str]]:
    """The command and environment of the server for this model, with what it does not check itself checked.

    Raises:
        ValueError: as `serve`.
    """
    return _llama_cpp(settings) if gguf.is_file(settings.path) else _transformers(settings)


def _transformers(settings: Chat) -> tuple[list[str], dict[str, str]]:
    """Of `transformers serve`, for a folder or Hub id.

    Raises:
        ValueError: no such folder, it has no chat template, or packages are not installed.
    """
    missing = [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"serving needs {' and '.join(missing)}, not installed here: pip install 'bailong[serve]'")
    environment = dict(os.environ)
    if model_folder.is_local(settings.path):
        if not model_folder.has_template(settings.path):
            raise ValueError(
                f"{settings.path} has no chat template, and a server must know how the model wants to be asked: put "
                "its chat_template.jinja into the folder"
            )
        if not model_folder.has_sampling(settings.path):
            print(
                f"{settings.path}/generation_config.json does not say do_sample: true, so the server answers greedily "
                "whatever temperature it is asked for",
                file=sys.stderr,
            )
        environment["HF_HUB_OFFLINE"] = "1"  # it would ask the Hub about a folder that is here
    generator = settings.generator
    dtype = "float32" if generator.strict else generator.dtype
    options = {"device": generator.device, "dtype": dtype, "host": settings.host, "port": settings.port}
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", settings.path]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    environment["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"
    environment.setdefault("OMP_NUM_THREADS", str(generator.threads))
    return command, environment


def _llama_cpp(settings: Chat) -> tuple[list[str], dict[str, str]]:
    """Of llama.cpp's server, for a GGUF file.

    Raises:
        ValueError: no such file, it has no chat template, a setting that it does not know, or no llama.cpp here.
    """
    generator = settings.generator
    if not llama_cpp.installed():
        raise ValueError(f"serving a GGUF file needs llama.cpp, not installed here: {llama_cpp.INSTALL}")
    if generator.dtype != "auto":
        raise ValueError(
            f"generator.dtype={generator.dtype} is not accepted: the weights of a GGUF file stay as they are stored; "
            "generator.strict=true keeps all that is computed in float32"
        )
    if not gguf.has_template(settings.path):
        raise ValueError(f"{settings.path} has no chat template, and a server must know how the model is to be asked")
    command = llama_cpp.server(
        settings.path,
        host=settings.host,
        port=settings.port,
        context=generator.context,
        slots=1 if generator.strict else generator.batch,
        threads=generator.threads,
        exact=generator.strict,
        device=generator.device,
    )
    return command, dict(os.environ)

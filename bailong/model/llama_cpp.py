"""llama.cpp (PyPI xllamacpp) on a GGUF file: asked what it makes of it (ids, greedy text, dialogues), or serving it.

It runs in a process of its own: a file that it does not take may end that process, and nothing is left in memory. So
this file imports nothing of the package.
"""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

INSTALL = "pip install 'bailong[gguf]' (or xllamacpp)"


def installed() -> bool:
    """Whether llama.cpp is here to ask."""
    return importlib.util.find_spec("xllamacpp") is not None


def server(
    file: str, *, host: str, port: int, context: int, slots: int, threads: int, exact: bool, device: str
) -> list[str]:
    """The command that serves the file until it is interrupted, at `/v1` as OpenAI does, under the file's own name.

    Args:
        context: tokens of a prompt and its answer. slots: conversations that are answered at once, each with a context.
        exact: keys and values are kept in float32, and nothing is kept of earlier prompts, as in `ask`: greedy text is
            then that of transformers (in float32, where no two tokens are about as likely).
        device: `cpu`, or a GPU if this build of llama.cpp finds one.
    """
    asked = {"file": file, "host": host, "port": port, "context": context, "slots": slots}
    asked |= {"threads": threads, "exact": exact, "device": device}
    return [sys.executable, "-P", __file__, json.dumps(asked)]


def ask(file: Path, **request: Any) -> dict[str, Any]:
    """Load the file and answer.

    Args:
        request: `texts`; `prompts` as ids, each continued greedily by `new` tokens in a window of `context`;
            `dialogues` as messages.

    Returns:
        `version` of xllamacpp; `raw`, `usual`: ids of each text, where special tokens are text, and with all that is
        put around it; `spelled`: the bytes of each text's raw ids, in hexadecimal; `continued`: of each prompt `ids`,
        their `logprobs` (None where the server does not say) and the `stop`; `rendered`: each dialogue with the opening
        of an answer, None where the template refuses it.

    Raises:
        ValueError: llama.cpp does not load the file, or ended while it answered.
    """
    with tempfile.TemporaryDirectory() as place:
        asked, told = Path(place) / "asked.json", Path(place) / "told.json"
        asked.write_text(json.dumps({"file": str(file)} | request), encoding="utf-8")
        # -P: else the folder of this file would stand in the path of imports, and its names before others'
        command = [sys.executable, "-P", __file__, str(asked), str(told)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        if done.returncode or not told.is_file():
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise ValueError(
                f"llama.cpp does not take the GGUF file (exit {done.returncode}): "
                f"{said[-1] if said else 'without a word'}"
            )
        return json.loads(told.read_text(encoding="utf-8"))


def _params(file: str, threads: int, exact: bool) -> tuple[Any, Any]:
    """The package, and its parameters for the file."""
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = file
    params.warmup = False
    params.verbosity = 1  # errors alone
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.poll = 0  # wait for work asleep
        cpu.n_threads = threads
    if exact:  # by default keys and values are rounded to float16
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.cache_prompt = False  # what is kept was computed in a batch of another size
    return xllamacpp, params


def _serve(asked: dict[str, Any]) -> None:
    xllamacpp, params = _params(asked["file"], asked["threads"], asked["exact"])
    params.n_ctx, params.n_parallel = asked["context"] * asked["slots"], asked["slots"]
    params.hostnames, params.port = [asked["host"]], asked["port"]
    if asked["device"] == "cpu":
        params.n_gpu_layers = 0
    try:
        listening = xllamacpp.Server(params)
    except RuntimeError:  # it has said why
        print(f"error: llama.cpp does not serve {asked['file']} at port={asked['port']}", file=sys.stderr, flush=True)
        os._exit(2)
    assert listening.listening_address
    threading.Event().wait()


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    xllamacpp, params = _params(asked["file"], cores, exact=True)
    params.n_ctx, params.n_parallel = asked["context"], 1
    server = xllamacpp.Server(params)

    def post(path: str, **body: Any) -> Any:
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(server.listening_address + path, json.dumps(body).encode(), head)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    raw = [
        post("/tokenize", content=text, add_special=False, parse_special=False, with_pieces=True)["tokens"]
        for text in asked["texts"]
    ]
    usual = [post("/tokenize", content=text, add_special=True, parse_special=True) for text in asked["texts"]]
    return {
        "version": xllamacpp.__version__,
        "raw": [[token["id"] for token in tokens] for tokens in raw],
        "usual": [each["tokens"] for each in usual],
        "spelled": [b"".join(_bytes(token["piece"]) for token in tokens).hex() for tokens in raw],
        "continued": [_continued(post, ids, asked["new"]) for ids in asked["prompts"]],
        "rendered": [_rendered(post, messages) for messages in asked["dialogues"]],
    }


def _bytes(piece: str | list[int]) -> bytes:
    return piece.encode("utf-8") if isinstance(piece, str) else bytes(piece)


def _continued(post: Any, ids: list[int], new: int) -> dict[str, Any]:
    greedy = {"temperature": 0.0, "samplers": ["temperature"], "n_probs": 1, "cache_prompt": False}
    told = post("/completion", prompt=ids, n_predict=new, return_tokens=True, **greedy)
    ids, steps = told["tokens"], told["completion_probabilities"]
    logprobs: list[float | None] = [None] * len(ids)
    for step, at in zip(steps, places(ids, [step["id"] for step in steps]), strict=True):
        if at is not None:
            logprobs[at] = step["logprob"]
    return {"ids": ids, "logprobs": logprobs, "stop": told["stop_type"]}


def places(ids: list[int], known: list[int]) -> list[int | None]:
    """Where each of `known` stands in `ids`, where there is one place alone that it can have.

    The server says no probability of a token that leaves a character unfinished: those are `ids` without some.
    """

    def earliest(ids: list[int], known: list[int]) -> list[int]:
        found: list[int] = []
        for i in known:
            found.append(ids.index(i, found[-1] + 1 if found else 0))
        return found

    last = [len(ids) - 1 - at for at in earliest(ids[::-1], known[::-1])][::-1]
    return [at if at == other else None for at, other in zip(earliest(ids, known), last, strict=True)]


def _rendered(post: Any, messages: list[dict[str, str]]) -> str | None:
    try:
        return post("/apply-template", messages=messages)["prompt"]
    except urllib.error.HTTPError:
        return None


if __name__ == "__main__":
    if len(sys.argv) == 2:
        try:
            _serve(json.loads(sys.argv[1]))
        except KeyboardInterrupt:
            os._exit(130)
    Path(sys.argv[2]).write_text(json.dumps(_answer(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
    os._exit(0)  # the server's threads need no ending

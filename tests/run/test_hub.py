"""Without a network the Hub is asked once; a slow one as often as its client likes."""

import json
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from bailong.run import hub
from tests.conftest import ROOT

ASK = """
import json, os, sys, time
waits = []
time.sleep = waits.append
from bailong.evaluate.benchmark.rows import _hub
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.model.backbone import configuration
from bailong.model.settings import Model
from bailong.prepare.dedup.embed import locate
from bailong.reader.table import hub_rows
from bailong.tokenizer.merge import model_file
asked = {
    "tokenizer.base": lambda: model_file("some/model"),
    "model.path": lambda: configuration(Model(name="m", path="some/model")),
    "semdedup.model": lambda: locate("some/model"),
    "data.sources": lambda: list(hub_rows("hub:some/data", "train")),
    "evaluation": lambda: _hub(Benchmark(name="b", path="hub:some/data")),
}
for name in sys.argv[1:]:
    said = "nothing"
    try:
        asked[name]()
    except ValueError as error:
        said = str(error)
    print(json.dumps([name, said, len(waits)]))
"""


def ask(endpoint, home, *names):
    environment = {"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["env", *(f"{key}={value}" for key, value in environment.items()), sys.executable, "-c", ASK, *names],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://nosuchhost.invalid"])
def test_a_hub_that_cannot_be_reached_is_told_in_one_line_at_once(tmp_path, endpoint):
    names = ["tokenizer.base", "model.path", "semdedup.model", "data.sources", "evaluation"]
    answers, noise = ask(endpoint, tmp_path, *names)
    for name, said, waits in answers:
        assert waits == 0 and said != "nothing" and "\n" not in said, (name, said)
    assert [name for name, _, _ in answers] == names and "Retrying" not in noise and "thrown" not in noise


def test_what_is_slow_and_what_fails_after_an_answer_stays_for_the_client_to_repeat():
    httpx = pytest.importorskip("httpx2")
    happens = []

    def send(request):
        happening = happens.pop(0)
        if isinstance(happening, Exception):
            raise happening
        return happening

    client, request = SimpleNamespace(send=send), httpx.Request("GET", "http://127.0.0.1:9/a")
    client = hub._impatient(client, threading.Event())
    refused, slow = httpx.ConnectError("refused"), httpx.ReadTimeout("slow")
    happens += [slow, httpx.ConnectTimeout("slow"), refused, "an answer", refused]
    for kind in (httpx.ReadTimeout, httpx.ConnectTimeout, OfflineModeIsEnabled):
        with pytest.raises(kind):
            client.send(request)
    assert client.send(request) == "an answer"
    with pytest.raises(httpx.ConnectError):
        client.send(request)

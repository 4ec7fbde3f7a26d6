"""The commands as a person types them: quick to answer, one line for a mistake, no traceback."""

import signal
import subprocess
import sys
import time

import pytest

from tests.commands import SHORT, call
from tests.conftest import ROOT

COMMANDS = ("train", "extend", "audit", "export", "compare", "law", "prepare")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", [["--help"], ["--cfg", "job"]])
def test_help_and_config_never_import_torch(command, flag):
    extra = {"audit": ["run=a"], "export": ["run=a", "to=b"], "compare": ["runs=a"], "law": ["points=a"]}.get(
        command, []
    )
    code = (
        f"import sys; sys.argv = ['bailong-{command}', *{flag + extra!r}]; from bailong import cli\n"
        f"try: cli.{command}()\nexcept SystemExit as e: assert not e.code, e.code\n"
        "heavy = [m for m in ('torch', 'transformers', 'lightning', 'wandb') if m in sys.modules]\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    expected = (
        f"bailong-{command}"
        if flag == ["--help"]
        else {"train": "initializer:", "extend": "tokenizer:", "prepare": "minhash:", "audit": "segments:"}
    )
    assert (expected if isinstance(expected, str) else expected.get(command, "to:")) in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_ends_every_command_in_one_line_and_its_own_exit_code(command, number):
    extra = {"audit": ["run=a"], "export": ["run=a", "to=b"], "compare": ["runs=a"], "law": ["points=a"]}.get(
        command, []
    )
    code = (
        f"import sys, time; sys.argv = ['bailong-{command}', *{[*extra, 'hydra.run.dir=.']!r}]\n"
        f"from bailong import cli\ncli._{command} = lambda _: print('at work', flush=True) or time.sleep(60)\n"
        f"cli.{command}()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a test run in the background ignores Ctrl-C
    )
    assert process.stdout.readline() == "at work\n"
    process.send_signal(number)
    said = process.communicate(timeout=30)[1]
    goes_on = "goes on, and loses nothing that was finished"
    if command == "audit":
        goes_on = "begins the audit anew; the run is as it was"
    assert said == f"error: interrupted; the same command {goes_on}\n"
    assert process.returncode == 128 + number


def test_tab_completes_choices_and_named_runs():
    def complete(line):
        done = call("train", "-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
        return done.stdout.split()

    assert "initializer=zip_tie" in complete("bailong-train initializer=z")
    assert "sweeps=initializers" in complete("bailong-train sweeps=")
    assert complete("bailong-train experiments=paper_c") == ["experiments=paper_cpt"]
    assert not any(word.startswith(("conf", "bailong", "tests", "notebooks")) for word in complete("bailong-train "))


@pytest.mark.parametrize("command", ["train", "compare", "chat"])
def test_one_registration_completes_every_command(command):
    script = call(command, "-sc", "install=bash").stdout
    names = subprocess.run(
        ["bash", "-c", 'eval "$1"; complete -p', "bash", script], capture_output=True, text=True, check=True
    ).stdout
    for name in ("train", "extend", "audit", "export", "compare", "law", "prepare", "evaluate", "chat"):
        assert f"hydra_bash_completion bailong-{name}\n" in names


MISTAKES = {
    "misspelt initializer": (["initializer=ziptie"], "initializer=ziptie is not accepted", "did you mean zip_tie?"),
    "negative rate": (["optimizer.lr=-1"], "optimizer.lr=-1.0 is not accepted", "above 0"),
    "unknown key": (["stage.max_stps=5"], "unknown key stage.max_stps", "did you mean stage.max_steps?"),
    "unknown key with plus": (["+stage.max_stps=5"], "unknown key stage.max_stps", "did you mean max_steps?"),
    "key of another group": (["stage.lr=1"], "unknown key stage.lr", "did you mean optimizer.lr?"),
    "wrong type": (["seed=ten"], "seed=ten is not accepted", "whole number"),
    "out of range in a sweep": (["sweeps=initializers", "adapter.dropout=0.1,2"], "adapter.dropout=2.0", "in [0, 1)"),
    "unknown experiment": (["experiments=tinyy"], "experiments=tinyy is not accepted", "did you mean tiny?"),
    "missing model": (
        ["data.folder=null", "model.path=nowhere/at/all", "tokenizer=none"],
        "model.path=nowhere/at/all does not exist",
        "checkpoint folder",
    ),
    "missing text": (
        ["data.folder=null", "data.sources=[{path: nowhere.jsonl}]"],
        "data source not found: nowhere.jsonl",
        "a file, a folder or a pattern",
    ),
    "corpus not made": (["data.held_out=0.2"], "data.folder=data/sample holds no prepared corpus", "bailong-prepare"),
    "unreadable override": (["data.sources={a"], "cannot read", "quote"),
    "an axis of two keys": (["data.take.tr,data.take.hi=1:0,0:1"], "are several keys", "the file of a sweep"),
    "old language that is not there": (
        ["data.folder=null", "model.path=nowhere", "tokenizer=none", "old_language.path=gone.txt"],
        "data source not found: gone.txt",
        "a file, a folder or a pattern",
    ),
    "a text with a wrong key": (
        ["data.folder=null", "evaluation_texts=[{pth: a.jsonl, language: en}]"],
        "unknown key evaluation_texts[].pth",
        "did you mean path?",
    ),
    "a word for a text": (["old_language=en"], "old_language=en is not accepted", "{key: value, ..}, or null"),
    "words for texts": (["evaluation_texts=[a]"], "evaluation_texts=[a] is not accepted", "a list, as in"),
    "two texts of one name": (
        ["data.folder=null", "evaluation_texts=[{path: a.jsonl, language: en}]"],
        "evaluation_texts[0].name=en is not accepted",
        "give each a name of its own",
    ),
    "tokenizer not made": (
        ["data.folder=null", "tokenizer.folder=nowhere", "data.held_out=0.2"],
        "tokenizer.folder=nowhere",
        "bailong-extend",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_clear_line_and_leaves_nothing(name, tmp_path):
    arguments, what, accepted = MISTAKES[name]
    done = call("train", *arguments, cwd=tmp_path)
    assert done.returncode not in (0, None)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    assert what in lines[0] and accepted in lines[0], lines[0]
    left = {p.name for p in tmp_path.rglob("*") if p.is_file()}
    assert not any(name in left for name in ("run.json", "metrics.jsonl", "config.yaml")), left


def test_a_base_that_is_not_sentencepiece_is_named(tmp_path):
    wrong = tmp_path / "tokenizer.model"
    wrong.write_text("this is not a model")
    done = call("extend", f"tokenizer.base={wrong}", "data.folder=null", cwd=tmp_path)
    assert done.returncode != 0 and len(done.stderr.strip().splitlines()) == 1
    assert str(wrong) in done.stderr and "SentencePiece" in done.stderr and "Traceback" not in done.stderr


def test_plan_prints_the_papers_shares_without_weights(tmp_path):
    assert "4.60 %" in call("train", "experiments=paper_cpt", "plan=true", cwd=tmp_path).stdout
    assert "4.12 %" in call("train", "experiments=paper_sft", "plan=true", cwd=tmp_path).stdout
    assert list(tmp_path.iterdir()) == [], "a plan leaves nothing behind"


def test_a_sweep_goes_on_past_a_failing_job_skips_what_is_done_and_compares(place):
    failing = call("train", *SHORT, "initializer=random,zip_tie", "optimizer.lr=1e-3,1e30", cwd=place)
    assert failing.returncode == 1, failing.stderr
    text = failing.stderr
    assert "2 finished, 0 skipped, 2 failed, 0 interrupted" in text, text
    assert "not finite" in text and "Traceback" not in text

    began = time.monotonic()
    again = call("train", *SHORT, "initializer=random,zip_tie", "optimizer.lr=1e-3", cwd=place, COLUMNS="200")
    assert again.returncode == 0, again.stderr
    assert "0 finished, 2 skipped, 0 failed" in again.stderr
    assert time.monotonic() - began < 30, "a finished sweep must not start its jobs"
    assert "bits per byte; en " in again.stderr, "the old language stands in the table"

    sweep = next((place / "outputs" / "tiny").iterdir())
    compared = call("compare", f"runs='{sweep}'", cwd=place)
    assert compared.returncode == 0, compared.stderr
    for name in ("report.html", "runs.csv", "curves.svg", "curves.png"):
        assert (sweep / name).stat().st_size > 0
    assert "zip_tie" in compared.stdout


def test_no_command_loads_heavy_packages_before_it_works():
    """`--help`, Tab and a finished run need the settings of every choice and step, and nothing that computes."""
    heavy = ("torch", "numpy", "pyarrow", "scipy", "transformers", "datasets", "matplotlib", "wandb", "openai")
    code = (
        f"import sys; from bailong import cli; cli.schema.register(); print([m for m in {heavy} if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.strip() == "[]"

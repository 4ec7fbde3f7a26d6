"""What a mistaken command line is told: one line, with the word that would have been right."""

import pytest

from tests.commands import call

SAID = [
    ("chat", [], "model has no value: give it as model=FOLDER"),
    ("chat", ["mdoel=x"], "unknown key mdoel (did you mean model?)"),
    ("train", ["experiment=tiny"], "did you mean experiments?"),
    ("train", ["sweep=initializers"], "did you mean sweeps?"),
    ("train", ["optimizer.learning_rate=1"], "did you mean optimizer.lr?"),
    ("train", ["stage.seq_len=1"], "did you mean stage.context?"),
    ("train", ["batch_size=4"], "did you mean stage.batch_size?"),
    ("train", ["lora_r=4"], "did you mean adapter.rank?"),
    ("train", ["data=some/x.jsonl"], "your own is given as 'data.sources=[{path: some/x.jsonl}]'"),
    ("prepare", ["data=x.jsonl"], "your own is given as 'data.sources=[{path: x.jsonl}]'"),
    ("train", ["model=models/x"], "your own is given as model.path=models/x"),
    ("train", ["models/x"], "a path is given as model.path=models/x"),
    ("chat", ["models/x"], "a path is given as model=models/x"),
    ("compare", ["outputs"], "a path is given as runs=outputs"),
    ("train", ["--lr", "1"], "unknown option --lr: settings are given as key=value (did you mean optimizer.lr?)"),
    ("evaluate", ["--models=x"], "unknown option --models=x"),
    ("train", ["model.path=a=b"], "as in 'model.path=\"a=b\"'"),
    ("train", ["model.path=模型/甲"], "as in 'model.path=\"模型/甲\"'"),
    ("compare", ["runs=輸出/甲"], "as in 'runs=\"輸出/甲\"'"),
    ("compare", ["runs=[outputs/seed=0]"], "as in 'runs=[\"a=b\"]'"),
    ("train", ["--seed=0"], "unknown option --seed=0: settings are given as key=value (write seed=...)"),
    ("train", ["--plan"], "(write plan=...)"),
    ("train", ["plan=maybe"], "plan=maybe is not accepted: it must be true or false"),
    ("train", ["adapter=null"], "an option is chosen by its name"),
    ("train", ["=1"], "an option is chosen by its name"),
    ("train", ["+adapter=pair"], "write adapter=pair without a plus sign"),
    ("train", ["seed=${stage}"], "seed=${stage} is not accepted: it must be a whole number, which ${stage} is not"),
    ("train", ["+engine=local"], "unknown key engine; --cfg job prints every key"),
    ("train", ["+minhash=paper"], "unknown key minhash"),
    ("train", ["stage.context=null"], "stage.context=null is not accepted: it needs a value"),
    ("train", ["data.held_out=NULL"], "data.held_out=null is not accepted: it needs a value"),
    ("export", ["run=null"], "run=null is not accepted: give it as run=..."),
    ("chat", ["model=null"], "model=null is not accepted: give it as model=..."),
    ("extend", ["data.sources=[{path: null}]"], "data.sources[].path=null is not accepted: it needs a value"),
    ("extend", ["protect=[{path: null}]"], "protect[].path=null is not accepted: it needs a value"),
    (
        "extend",
        ["protect=[{path: a, language: null}]"],
        "protect[].language=null is not accepted: it needs a value; left out, it is ''",
    ),
    ("extend", ["data.sources=null"], "data.sources=null is not accepted: it needs a value"),
    ("train", ["extend_run=[a,b]"], "extend_run=[a,b] is not accepted: it must be one word or path"),
    ("train", ["-m", "optimizer.lr=${oc.env:NOWHERE}", "seed=0,1"], "Environment variable 'NOWHERE' not found"),
]


@pytest.mark.parametrize(("command", "arguments", "said"), SAID)
def test_a_mistake_is_told_what_was_meant(tmp_path, command, arguments, said):
    done = call(command, *arguments, cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ") and said in done.stderr, done.stderr


@pytest.mark.parametrize("group", ["experiments", "sweeps"])
def test_the_folders_that_were_searched_are_named(tmp_path, group):
    done = call("train", f"{group}=turkish", cwd=tmp_path)
    assert len(done.stderr.splitlines()) == 1 and f"searched: {tmp_path.resolve() / group} and " in done.stderr


@pytest.mark.parametrize("folder", ["/proc/nowhere", "a_file/inside"])
def test_a_folder_that_cannot_be_written_is_one_line(bench, tmp_path, folder):
    (tmp_path / "a_file").write_text("")
    arguments = [f"tokenizer.folder={bench}/tokenizers/extended", f"model.path={bench}/models/tied", "data.folder=null"]
    done = call("train", *arguments, "tracking=local", f"outputs={folder}", cwd=tmp_path)
    assert done.returncode == 2 and folder.split("/")[1] in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith(f"error: cannot use {folder}"), done.stderr

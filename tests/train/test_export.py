from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sentencepiece as spm
import torch
from peft import PeftModel
from sentencepiece import sentencepiece_model_pb2 as pb
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from bailong.data.settings import Data, Source
from bailong.data.sources import SAMPLE
from bailong.initializer.random import Random
from bailong.initializer.zip_tie import ZipTie
from bailong.model import adapters, agreement
from bailong.model.settings import Adapter, Model, Shape
from bailong.model.tie import is_tied, untie
from bailong.run.folder import Run
from bailong.run.settings import Tracking
from bailong.tokenizer import folder, merge
from bailong.tokenizer.settings import Tokenizer
from bailong.train import checkpoint, model_card, proof
from bailong.train.assemble import assemble
from bailong.train.export import export
from bailong.train.settings import Export, Optimizer, Train, Trainer, load
from bailong.train.stage.cpt import Cpt
from bailong.train.stage.pretrain import Pretrain
from bailong.train.train import train

SHAPE = Shape(hidden=64, layers=2, heads=4, kv_heads=2, intermediate=128, context=128, vocabulary=500, tied=True)
STAGE = {"context": 64, "batch_size": 4, "max_steps": 5, "evaluate_every_tokens": 10**9}
ADAPTER = Adapter(name="all", rank=4, alpha=16, dropout=0.1)


def learn(text: Path, prefix: Path, size: int, coverage: float) -> pb.ModelProto:
    spm.SentencePieceTrainer.train(  # type: ignore[attr-defined]
        input=str(text),
        model_prefix=str(prefix),
        vocab_size=size,
        character_coverage=coverage,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    model = pb.ModelProto()
    model.ParseFromString(prefix.with_suffix(".model").read_bytes())
    return model


@dataclass
class World:
    """A tiny project: text, two tokenizers, a base model, and a run of every kind."""

    root: Path
    runs: dict[str, Path]
    base: Path

    def settings(self, **changes: Any) -> Train:
        text = Source(path=str(self.root / "text.jsonl"))
        values: dict[str, Any] = {
            "initializer": ZipTie(),
            "stage": Cpt(**STAGE),
            "data": Data(name="text", sources=[text], held_out=0.2, evaluation_bytes=6_000),
            "tokenizer": Tokenizer(name="new", folder=str(self.root / "tokenizers/new")),
            "model": Model(name="m", path=str(self.base), quantization="none", dtype="float32"),
            "adapter": ADAPTER,
            "optimizer": Optimizer(name="adamw", lr=1e-2),
            "trainer": Trainer(name="default", micro_batch=4, accelerator="cpu", head_chunk=128),
            "tracking": Tracking(name="off", wandb="off"),
            "outputs": str(self.root / "outputs"),
        }
        return Train(**(values | changes))

    def train(self, name: str, **changes: Any) -> Path:
        run = Run(self.root / "outputs/t/runs" / name, name, "t", None, command=f"bailong-train {name}")
        train(self.settings(**changes), run)
        self.runs[name] = run.folder
        return run.folder

    def copy(self, name: str, to: Path) -> Path:
        shutil.copytree(self.runs[name], to)
        return to


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("world")
    rows = [json.loads(line) for line in (SAMPLE / "corpus.jsonl").read_text().splitlines()[:60]]
    (root / "text.jsonl").write_text("".join(json.dumps({"text": row["zht"]}) + "\n" for row in rows))
    for name, key in (("en.txt", "en"), ("zh.txt", "zht")):
        (root / name).write_text("\n".join(row[key] for row in rows))
    old = learn(root / "en.txt", root / "en", 500, 0.9995)
    zh = learn(root / "zh.txt", root / "zh", 2400, 0.98)
    new = merge.append(old, zh, keep="cjk", scores="decreasing", max_new=None)
    for name, model, base in (("old", old, None), ("new", new, old)):
        (root / "tokenizers" / name).mkdir(parents=True)
        digest = hashlib.sha256((root / "tokenizers/old/tokenizer.model").read_bytes()).hexdigest() if base else None
        place = root / "tokenizers" / name
        folder.write(place, folder.of_model(model, base, None), name=name, base_sha256=digest, recipe={}, corpus={})

    world = World(root, {}, root / "models/tied")
    old_tokenizer = Tokenizer(name="old", folder=str(root / "tokenizers/old"))
    scratch = Model(name="m", shape=SHAPE, quantization="none")
    full = Adapter(name="full", linears=False, pair=False)
    world.train("pretrain", stage=Pretrain(**STAGE), tokenizer=old_tokenizer, model=scratch, adapter=full)
    export(Export(run=str(world.runs["pretrain"]), to=str(world.base), dtype="float32"))

    apart = AutoModelForCausalLM.from_pretrained(world.base)
    untie(apart)
    noise = torch.randn(apart.lm_head.weight.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        apart.lm_head.weight += 0.02 * noise
    shutil.copytree(world.base, root / "models/untied", ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    apart.save_pretrained(root / "models/untied")

    plain = {"quantization": "none", "dtype": "float32"}
    world.train("tied")
    world.train("nf4", model=Model(name="m", path=str(world.base), dtype="bfloat16"))
    world.train("untied", model=Model(name="m", path=str(root / "models/untied"), tie="keep", **plain))
    world.train("linears", adapter=replace(ADAPTER, pair=False), initializer=Random())
    return world


def rebuilt(run: Path) -> Any:
    """The run's model, put together without the exporter."""
    built = assemble(load(run))
    path = run / "checkpoints/last.ckpt"
    checkpoint.restore(checkpoint.read(path), adapters.trainable(built.model), path)
    return built.model.eval()


def logits(model: Any, text: str, tokenizer: Any) -> torch.Tensor:
    ids = tokenizer(text, return_tensors="pt")["input_ids"][:, :100]
    with torch.no_grad():
        return model(input_ids=ids).logits.float()


TEXT = "玉山主峰標高三千九百五十二公尺，坐落在南投、嘉義與高雄三地的交界。 It is high."


@pytest.mark.parametrize("name", ["tied", "nf4", "untied", "linears"])
def test_a_stored_run_is_the_run(world: World, tmp_path: Path, name: str) -> None:
    run, to = world.runs[name], tmp_path / "models/x"
    assert export(Export(run=str(run), to=str(to), dtype="float32", tokens=300)) == to
    stored: Any = AutoModelForCausalLM.from_pretrained(to, local_files_only=True)
    tokenizer: Any = AutoTokenizer.from_pretrained(to, local_files_only=True)
    model = rebuilt(run)
    if name == "nf4":  # its embedding and norms are bfloat16, and this is about the weights
        from bailong.model.merge import to_float32

        to_float32(model)
    own = assemble(load(run)).tokenizer
    difference = (logits(model, TEXT, own) - logits(stored, TEXT, tokenizer)).abs().max()
    assert 0 < difference <= 1e-4
    with model.disable_adapter():  # the adapters must matter, or nothing above was proved
        assert (logits(model, TEXT, own) - logits(stored, TEXT, tokenizer)).abs().max() > 0.05

    assert is_tied(stored) == (name == "linears") == stored.config.tie_word_embeddings
    config_json = json.loads((to / "config.json").read_text())
    assert config_json["architectures"] == ["LlamaForCausalLM"] and config_json["vocab_size"] == len(tokenizer)
    assert "quantization_config" not in config_json and config_json["dtype"] == "float32"
    assert not any("lora" in key or "base_layer" in key for key in stored.state_dict())

    texts = [TEXT, " a", "<s>x", "𠮷é\n\n中", ""]
    assert [tokenizer(t)["input_ids"] for t in texts] == [own(t)["input_ids"] for t in texts]
    assert tokenizer(TEXT)["input_ids"][0] == tokenizer.bos_token_id == stored.generation_config.bos_token_id
    assert stored.generation_config.eos_token_id == tokenizer.eos_token_id

    prompt = tokenizer("玉山主峰", return_tensors="pt")
    written = stored.generate(**prompt, max_new_tokens=24, do_sample=False)
    assert tokenizer.decode(written[0]) == own.decode(model.generate(**prompt, max_new_tokens=24, do_sample=False)[0])
    assert written.shape[1] > prompt["input_ids"].shape[1]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_proof_is_stored(world: World, tmp_path: Path, dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    run, to = world.runs["nf4"], tmp_path / "x"
    export(Export(run=str(run), to=str(to), dtype=dtype))
    record = json.loads((to / "export.json").read_text())
    result = json.loads((run / "result.json").read_text())
    assert record["merged_float32"]["max_logit_difference"] <= 1e-4
    assert 0 < record["stored"]["kl"] <= 1e-3
    assert record["text"]["what"] == "evaluation text of the run" and record["text"]["tokens_compared"] > 1000
    assert record["bits_per_byte"]["recorded"] == record["bits_per_byte"]["run"] == result["bpb_final"]
    assert abs(record["bits_per_byte"]["stored"] - result["bpb_final"]) < 0.01
    assert record["run"]["fingerprint"] == result["fingerprint"] and record["versions"]["packages"]["torch"]
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in to.iterdir()}
    assert record["files"] == {name: digest for name, digest in hashes.items() if name != "export.json"}
    assert {"tokenizer.model", "pieces.jsonl", "manifest.json", "generation_config.json"} <= set(hashes)
    assert AutoModelForCausalLM.from_pretrained(to, dtype="auto").dtype == getattr(torch, dtype)
    assert "max logit difference" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (to / "model.safetensors").stat().st_mode == (to / "config.json").stat().st_mode


def test_a_pretrained_base_stays_tied_and_is_trained_on(world: World) -> None:
    stored = AutoModelForCausalLM.from_pretrained(world.base, local_files_only=True)
    assert is_tied(stored) and stored.config.tie_word_embeddings
    saved = checkpoint.read(world.runs["pretrain"] / "checkpoints/last.ckpt")["parameters"]
    assert all(torch.equal(stored.state_dict()[name], value) for name, value in saved.items())
    result = json.loads((world.runs["tied"] / "result.json").read_text())
    assert result["base"]["tied_checkpoint"] is True and result["new_rows"] > 1000


def test_an_export_is_a_base_in_turn(world: World, tmp_path: Path) -> None:
    """The untied, grown model serves a further run without extension, and the exported folder's tokenizer too."""
    to = tmp_path / "x"
    export(Export(run=str(world.runs["tied"]), to=str(to), dtype="float32", tokens=100))
    settings = world.settings(
        tokenizer=Tokenizer(name="none"),
        model=Model(name="x", path=str(to), quantization="none", dtype="float32", tie="keep"),
        stage=Cpt(**(STAGE | {"max_steps": 1})),
        outputs=str(tmp_path / "outputs"),
    )
    run = Run(tmp_path / "again", "again", None, None)
    result = train(settings, run)
    assert result is not None
    before = json.loads((world.runs["tied"] / "result.json").read_text())
    assert result["bpb_step0"] == pytest.approx(before["bpb_final"], abs=1e-4)
    export(Export(run=str(run.folder), to=str(tmp_path / "y"), tokens=100))


def test_the_original_base(world: World, tmp_path: Path) -> None:
    to = tmp_path / "x"
    bounds = {"max_kl_original": 5.0, "tokens": 300}
    export(Export(run=str(world.runs["nf4"]), to=str(to), base="original", dtype="float32", **bounds))
    record = json.loads((to / "export.json").read_text())
    assert record["merged_float32"]["max_logit_difference"] <= 1e-4
    assert record["stored_against_run"]["kl"] > 100 * record["stored"]["kl"]
    stored = AutoModelForCausalLM.from_pretrained(to)
    settings = load(world.runs["nf4"])
    model = assemble(replace(settings, model=replace(settings.model, quantization="none", dtype="float32"))).model
    path = world.runs["nf4"] / "checkpoints/last.ckpt"
    checkpoint.restore(checkpoint.read(path), adapters.trainable(model), path)
    assert isinstance(model, PeftModel)
    down = "model.layers.1.mlp.down_proj.weight"
    with pytest.warns(UserWarning, match="tie_word_embeddings"):
        expected = model.merge_and_unload().state_dict()[down]
    torch.testing.assert_close(stored.state_dict()[down], expected, rtol=0, atol=1e-6)

    with pytest.raises(ValueError, match="max_kl_original=1e-12"):
        tight = Export(run=str(world.runs["nf4"]), to=str(tmp_path / "y"), base="original", max_kl_original=1e-12)
        export(replace(tight, max_kl=1e-9, dtype="float32", tokens=100))
    with pytest.raises(ValueError, match="base=original is not accepted"):
        export(Export(run=str(world.runs["pretrain"]), to=str(tmp_path / "z"), base="original"))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def tamper(path: Path, name: str, change: str, honest: bool) -> None:
    """Damage one tensor of a checkpoint; `honest`: with a checksum that fits."""
    content = torch.load(path, weights_only=True)
    tensors = content["parameters"]
    key = next(key for key in tensors if name in key)
    if change == "value":
        tensors[key] = -tensors[key]
    elif change == "nan":
        tensors[key].view(-1)[3] = float("nan")
    else:
        del tensors[key]
    if honest:
        content["sha256"] = checkpoint.digest(tensors)
    torch.save(content, path)


def vouch(run: Path) -> None:
    """Make the run's own record go along with its checkpoint, whatever that holds."""
    result = json.loads((run / "result.json").read_text())
    result["parameters_sha256"] = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["sha256"]
    (run / "result.json").write_text(json.dumps(result))


@pytest.mark.parametrize(
    ("change", "honest", "message"),
    [
        ("value", False, "damaged: its parameters do not fit their checksum"),
        ("nan", False, "damaged: its parameters do not fit their checksum"),
        ("missing", False, "damaged: its parameters do not fit their checksum"),
        ("value", "checksum", "is not what the run ended with"),
        ("value", True, "bits per byte now and"),
        ("nan", True, "nan bits per byte now and"),
        ("missing", True, "does not fit the model: 1 parameters differ"),
    ],
)
def test_a_corrupted_adapter_is_refused(
    world: World, tmp_path: Path, change: str, honest: bool | str, message: str
) -> None:
    run = world.copy("tied", tmp_path / "run")
    tamper(run / "checkpoints/last.ckpt", "lm_head.lora_B", change, bool(honest))
    if honest is True:
        vouch(run)
    with pytest.raises(ValueError, match=message):
        export(Export(run=str(run), to=str(tmp_path / "models/x"), tokens=100))
    assert not any((tmp_path / "models").iterdir())


def test_a_truncated_checkpoint_is_refused(world: World, tmp_path: Path) -> None:
    run = world.copy("tied", tmp_path / "run")
    path = run / "checkpoints/last.ckpt"
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ValueError, match="is not a readable checkpoint"):
        export(Export(run=str(run), to=str(tmp_path / "models/x")))
    assert not any((tmp_path / "models").iterdir())


def test_without_the_data_the_sample_serves(world: World, tmp_path: Path) -> None:
    """The proof of the merge needs no text of the run; a damaged adapter with fitting checksums is then not seen."""
    run = world.copy("linears", tmp_path / "run")
    settings = (run / "config.yaml").read_text().replace("text.jsonl", "gone.jsonl")
    (run / "config.yaml").write_text(settings.replace(str(world.root / "outputs"), str(tmp_path / "nowhere")))
    export(Export(run=str(run), to=str(tmp_path / "x"), tokens=200))
    record = json.loads((tmp_path / "x/export.json").read_text())
    assert "built-in sample" in record["text"]["what"] and record["bits_per_byte"]["recorded"] is None
    assert record["merged_float32"]["max_logit_difference"] <= 1e-4

    tamper(run / "checkpoints/last.ckpt", "q_proj.lora_B", "nan", honest=True)
    vouch(run)
    with pytest.raises(ValueError, match="not finite after merging"):
        export(Export(run=str(run), to=str(tmp_path / "y"), tokens=200))
    assert not (tmp_path / "y").exists()


def test_another_base_or_tokenizer_is_refused(world: World, tmp_path: Path) -> None:
    run = world.copy("tied", tmp_path / "run")
    saved = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(saved.replace("models/tied", "models/untied"))
    with pytest.raises(ValueError, match="is not the checkpoint that"):
        export(Export(run=str(run), to=str(tmp_path / "x")))
    (run / "config.yaml").write_text(saved.replace("tokenizers/new", "tokenizers/old"))
    with pytest.raises(ValueError, match="is not the tokenizer that"):
        export(Export(run=str(run), to=str(tmp_path / "x")))
    (run / "config.yaml").write_text(saved.replace("alpha: uniform", "alpha: first"))
    with pytest.raises(ValueError, match="new rows come out different"):
        export(Export(run=str(run), to=str(tmp_path / "x")))
    (run / "config.yaml").write_text(saved.replace("name: zip_tie", "name: random"))
    with pytest.raises(ValueError, match=r"config\.yaml gives initializer=random a knob alpha, which it does not have"):
        export(Export(run=str(run), to=str(tmp_path / "x")))
    assert not (tmp_path / "x").exists()


def test_unfinished_runs_are_refused(world: World, tmp_path: Path) -> None:
    run = world.copy("tied", tmp_path / "run")
    (run / "result.json").unlink()
    with pytest.raises(ValueError, match=r"is not finished \(no result.json\): finish it with bailong-train tied"):
        export(Export(run=str(run), to=str(tmp_path / "x")))
    with pytest.raises(ValueError, match="is not a run folder") as refused:
        export(Export(run=str(tmp_path / "mistyped"), to=str(tmp_path / "x")))
    assert str(refused.value).endswith("give one that bailong-train wrote"), "one that is not finished is no help"


@pytest.mark.parametrize(("asked", "word"), [("mistyped", "there"), ("", "in it"), ("..", "in it")])
def test_a_folder_above_finished_runs_or_beside_them_is_told_of_one(
    world: World, tmp_path: Path, asked: str, word: str
) -> None:
    run = world.copy("tied", tmp_path / "sweep" / "seed=0")
    (world.copy("tied", tmp_path / "sweep" / "seed=1") / "result.json").unlink()
    with pytest.raises(ValueError, match="is not a run folder") as refused:
        export(Export(run=os.path.normpath(tmp_path / "sweep" / asked), to=str(tmp_path / "x")))
    assert str(refused.value).endswith(f"""such as the latest finished one {word}: run="'{run}'\"""")


@pytest.mark.parametrize(
    ("label", "language", "tagged"),
    [("Turkish", ["tr"], None), ("en_US", ["en"], ["en-US"]), ("prose", None, None)],
)
def test_the_hub_reads_a_code_whatever_the_label(world: World, label: str, language: object, tagged: object) -> None:
    train = load(world.runs["tied"])
    found = model_card.front_matter(train, [label, ""]).to_dict()
    assert (found.get("language"), found.get("language_bcp47")) == (language, tagged)


def test_a_failed_proof_leaves_nothing(world: World, tmp_path: Path) -> None:
    asked = Export(run=str(world.runs["tied"]), to=str(tmp_path / "x"), tokens=100)
    with pytest.raises(ValueError, match="logits differ by up to"):
        export(replace(asked, max_logit_difference=1e-12))
    with pytest.raises(ValueError, match="KL .* in dtype=bfloat16"):
        export(replace(asked, max_kl=1e-12))
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unasked(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "x"
    asked = Export(run=str(world.runs["linears"]), to=str(to), tokens=100)
    leftover = tmp_path / ".x.partial"
    leftover.mkdir()
    (leftover / "model.safetensors").write_text("from an export that was killed")
    export(asked)
    before = (to / "export.json").stat().st_mtime_ns
    capsys.readouterr()
    export(asked)
    assert "exported before" in capsys.readouterr().out and (to / "export.json").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="add overwrite=true to replace it"):
        export(replace(asked, dtype="float16"))
    export(replace(asked, dtype="float16", overwrite=True))
    assert json.loads((to / "config.json").read_text())["dtype"] == "float16"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="exists and is no export"):
        export(replace(asked, to=str(tmp_path / "mine"), overwrite=True))
    assert (tmp_path / "mine/thesis.txt").exists()


@pytest.mark.parametrize("key", ["tokens", "max_kl", "max_logit_difference"])
def test_settings_are_checked(key: str) -> None:
    with pytest.raises(ValueError, match=f"{key}=0 is not accepted"):
        Export(run="a", to="b", **{key: 0})
    with pytest.raises(ValueError, match="did you mean bfloat16"):
        Export(run="a", to="b", dtype="bfloat")


def test_a_table_that_contradicts_itself_is_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run, merged and stored model agree on logits that are not those the run was trained by."""
    real = LlamaForCausalLM.forward

    def scaled(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = real(self, *args, **kwargs)
        found.logits = found.logits / 4
        return found

    monkeypatch.setattr(LlamaForCausalLM, "forward", scaled)
    with pytest.raises(ValueError, match=r"loss that is trained is .* its own logits give"):
        export(Export(run=str(world.runs["tied"]), to=str(tmp_path / "x"), tokens=300))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("which", "what"), [(1, "the merged model"), (2, "the stored model")])
def test_every_model_of_the_proof_must_have_its_own_loss(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int, what: str
) -> None:
    real, calls = agreement.fused_loss, []

    def off(*args: Any) -> float:
        calls.append(1)
        return real(*args) + (0.1 if len(calls) == which + 1 else 0.0)

    monkeypatch.setattr(agreement, "fused_loss", off)
    with pytest.raises(ValueError, match=f"{what} of .* its own logits give"):
        export(Export(run=str(world.runs["tied"]), to=str(tmp_path / "x"), tokens=300))


def test_bits_per_byte_of_run_and_stored_model_must_agree(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = proof.evaluate

    def off(train: Any, model: Any, *args: Any) -> Any:
        found = real(train, model, *args)
        return found if hasattr(model, "peft_config") else replace(found, nll=found.nll * 1.02)

    monkeypatch.setattr(proof, "evaluate", off)
    with pytest.raises(ValueError, match="it scores .* bits per byte and the run"):
        export(Export(run=str(world.runs["tied"]), to=str(tmp_path / "x"), tokens=300))

"""Which architectures are accepted: those whose own logits give the fused loss, and no other by any way in."""

import json

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from bailong.model import agreement, backbone
from bailong.model.architecture import PLAIN, require_plain
from bailong.model.score import Windows
from bailong.model.settings import Model
from tests import tiny

TOKENS = torch.arange(3, 51)


def random_model(kind: str, **changes):
    """Large weights, so that a factor or a cap that is left out is seen."""
    shape = {
        "vocab_size": 400,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "intermediate_size": 128,
        "max_position_embeddings": 256,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": None,
        "initializer_range": 0.2,
        "attn_implementation": "eager",
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(shape | changes))).float().eval()


def windows() -> Windows:
    ids = TOKENS.numpy()
    return [(ids[:-1], ids[1:])]  # type: ignore[return-value]


def losses(model, precision="32-true"):
    chosen = agreement.first_windows(windows(), 1)
    return agreement.fused_loss(model, chosen, 16, precision), agreement.own_loss(model, chosen, precision)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", PLAIN)
def test_an_accepted_architecture_has_the_fused_loss(kind, tied):
    fused, own = losses(random_model(kind, tie_word_embeddings=tied))
    assert fused == pytest.approx(own, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("granite", {"logits_scaling": 8.0, "embedding_multiplier": 12.0}),
        ("gemma2", {"final_logit_softcapping": 5.0}),
        ("cohere", {}),
        ("vaultgemma", {}),
    ],
)
def test_a_head_that_is_not_plain_is_refused_by_name_and_by_value(kind, changes, tmp_path):
    model = random_model(kind, **changes)
    fused, own = losses(model)
    assert abs(fused - own) > 0.01, "the case would prove nothing"
    with pytest.raises(ValueError, match="does more to its logits"):
        agreement.require_own_loss("model.path=x", model, windows(), chunk=16, precision="32-true")
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"model_type is {kind}.*accepted: llama") as caught:
        backbone.load(Model(name="x", path=str(tmp_path), quantization="none"), torch.device("cpu"), torch.float32)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["gemma", "gemma3_text", "granitemoe", "llama4_text", "gpt2", None])
def test_what_was_not_compared_is_refused_even_where_it_might_agree(kind):
    with pytest.raises(ValueError, match=f"model_type is {kind}"):
        require_plain("m", {"model_type": kind})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("logits_scaling", 8.0),
        ("logit_scale", 0.0625),
        ("final_logit_softcapping", 30.0),
        ("logits_soft_cap", 30),
        ("embedding_multiplier", 12),
        ("scale_emb", 12),
        ("lm_head_multiplier", 0.5),
        ("residual_multiplier", 0.22),
        ("mup_width_scale", 2.0),
        ("mlp_multipliers", [1.0, 0.5]),
    ],
)
def test_a_factor_in_an_accepted_configuration_is_refused(key, value):
    """transformers ignores it on a Llama: the model is not what its checkpoint says, whoever reads it."""
    with pytest.raises(ValueError, match=f"{key}=.*accepted: 1, null"):
        require_plain("m", {"model_type": "llama", key: value})
    for neutral in (None, 1, 1.0, [1.0, 1.0]):
        require_plain("m", {"model_type": "llama", key: neutral})


@pytest.mark.parametrize("kind", PLAIN)
def test_no_default_of_an_accepted_architecture_is_taken_for_a_factor(kind):
    rope = {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
    require_plain("m", AutoConfig.for_model(kind).to_dict() | {"rope_scaling": rope, "output_router_logits": False})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_rounding_alone_never_refuses_a_plain_model(dtype, precision):
    model = random_model("llama").to(dtype).train()
    agreement.require_own_loss("m", model, windows(), chunk=16, precision=precision)
    assert model.training
    fused, own = losses(model, precision)
    exact = (dtype, precision) == (torch.float32, "32-true")
    most = agreement.TOLERANCE if exact else agreement.TOLERANCE_BF16
    assert abs(fused - own) < most / 5 * own


def test_a_scaled_llama_is_noticed_though_its_name_is_accepted(bench, tmp_path):
    """By value: whatever a future release does to an accepted architecture."""
    model = backbone.load(
        Model(name="b", path=str(bench / "models" / "tied"), dtype="float32", quantization="none"),
        torch.device("cpu"),
        torch.float32,
    )
    model.register_forward_hook(lambda module, args, out: setattr(out, "logits", out.logits * 0.9))
    with pytest.raises(ValueError, match="does more to its logits"):
        agreement.require_own_loss("m", model, windows(), chunk=16, precision="32-true")


@pytest.mark.parametrize("plan", [False, True])
def test_a_run_is_refused_before_its_text_is_read(bench, tmp_path, plan, monkeypatch):
    from bailong.train import identity, train

    monkeypatch.setattr(identity, "identity", None)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "granite"}))
    settings = tiny.settings(bench, tmp_path, model=Model(name="g", path=str(tmp_path)), plan=plan)
    with pytest.raises(ValueError, match="model_type is granite"):
        train.train(settings, tiny.run(tmp_path))

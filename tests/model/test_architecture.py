"""Which architectures are accepted: those whose own logits give the fused loss, and no other by any way in."""

import json

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from bailong.model import agreement, backbone
from bailong.model.architecture import FAMILIES, Logits, attention, logits_of, positions, require_known
from bailong.model.score import Windows
from bailong.model.settings import Model
from tests import families, tiny

TOKENS = torch.arange(3, 51)


def random_model(kind: str, **changes):
    """Large weights, so that a factor or a cap that is left out is seen."""
    own = {"num_key_value_heads": 2, "head_dim": 32, "attn_implementation": "eager"}
    shape = families.SHAPE | own
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(shape | changes))).float().eval()


def windows() -> Windows:
    ids = TOKENS.numpy()
    return [(ids[:-1], ids[1:])]  # type: ignore[return-value]


def losses(model, precision="32-true"):
    chosen = agreement.first_windows(windows(), 1)
    return agreement.fused_loss(model, chosen, 16, precision), agreement.own_loss(model, chosen, precision)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("vaultgemma", {}),
        ("granitemoe", {"logits_scaling": 8.0, "num_local_experts": 2, "num_experts_per_tok": 1}),
        ("cohere2_moe", {}),
    ],
)
def test_a_head_that_was_not_compared_is_refused_by_name_and_by_value(kind, changes, tmp_path):
    model = random_model(kind, **changes)
    fused, own = losses(model)
    assert abs(fused - own) > 0.01, "the case would prove nothing"
    with pytest.raises(ValueError, match="does more to its logits"):
        agreement.require_own_loss("model.path=x", model, windows(), chunk=16, precision="32-true")
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"model_type is {kind}.*accepted: cohere, .*llama, ") as caught:
        backbone.load(Model(name="x", path=str(tmp_path), quantization="none"), torch.device("cpu"), torch.float32)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["gemma3", "phi", "granitemoe", "llama4_text", "gpt2", None])
def test_what_was_not_compared_is_refused_even_where_it_might_agree(kind):
    with pytest.raises(ValueError, match=f"model_type is {kind}"):
        require_known("m", {"model_type": kind})


def test_the_refusal_of_a_gemma_with_eyes_names_the_text_model():
    with pytest.raises(ValueError, match=r"text model alone \(gemma3_text\)$"):
        require_known("m", {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}})


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
        require_known("m", {"model_type": "llama", key: value})
    for neutral in (None, 1, 1.0, [1.0, 1.0]):
        require_known("m", {"model_type": "llama", key: neutral})


@pytest.mark.parametrize("kind", FAMILIES)
def test_no_default_of_an_accepted_architecture_is_taken_for_a_factor(kind):
    rope = {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
    require_known("m", AutoConfig.for_model(kind).to_dict() | {"rope_scaling": rope, "output_router_logits": False})


@pytest.mark.parametrize(
    ("kind", "key"),
    [("cohere", "logit_scale"), ("granite", "logits_scaling"), ("granite", "embedding_multiplier")],
)
@pytest.mark.parametrize("value", [None, 0, -1.0, float("nan"), float("inf"), "8", True, [8.0]])
def test_a_factor_that_gives_no_finite_logits_is_refused(kind, key, value):
    with pytest.raises(ValueError, match=f"{key}=.*accepted: a number above 0 or no such key") as caught:
        require_known("m", {"model_type": kind, key: value})
    assert "\n" not in str(caught.value)
    for sound in (1, 1.0, 0.0625, 12):
        require_known("m", {"model_type": kind, key: sound})
    with pytest.raises(ValueError, match=f"{key}=0.5, which a llama does not"):
        require_known("m", {"model_type": "llama", key: 0.5})


@pytest.mark.parametrize("key", ["final_logit_softcapping", "attn_logit_softcapping"])
def test_a_cap_may_be_null_and_not_zero(key):
    for kind in ("gemma2", "gemma3_text"):
        for sound in (None, 30, 30.0):
            require_known("m", {"model_type": kind, key: sound})
        with pytest.raises(ValueError, match=f"{key}=0.*accepted: a number above 0, null or no such key"):
            require_known("m", {"model_type": kind, key: 0})


#: what config.json of released checkpoints holds beside sizes
RELEASED = {
    "Command R": {"model_type": "cohere", "logit_scale": 0.0625, "model_max_length": 131072, "use_qk_norm": False},
    "Command R7B": {
        "model_type": "cohere2",
        "logit_scale": 0.25,
        "layer_switch": 4,
        "order_of_interleaved_layers": "local_attn_first",
        "position_embedding_type": "rope_gptj",
        "use_embedding_sharing": True,
        "use_parallel_embedding": False,
    },
    "Gemma 2B": {"model_type": "gemma", "hidden_activation": None, "head_dim": 256, "rope_scaling": None},
    "Gemma 2 27B": {
        "model_type": "gemma2",
        "attn_logit_softcapping": 50.0,
        "cache_implementation": "hybrid",
        "final_logit_softcapping": 30.0,
        "query_pre_attn_scalar": 144,
    },
    "Gemma 3 1B": {
        "model_type": "gemma3_text",
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "query_pre_attn_scalar": 256,
        "rope_local_base_freq": 10000,
        "sliding_window_pattern": 6,
    },
    "Granite 3": {
        "model_type": "granite",
        "attention_multiplier": 0.0078125,
        "embedding_multiplier": 12.0,
        "logits_scaling": 16.0,
        "residual_multiplier": 0.22,
    },
    "Llama 3.1": {"model_type": "llama", "pretraining_tp": 1, "rope_scaling": {"factor": 8.0, "rope_type": "llama3"}},
    "Mistral 7B v0.3": {"model_type": "mistral", "sliding_window": None},
    "OLMo 2": {"model_type": "olmo2", "attention_bias": False},
    "Phi-3 mini": {
        "model_type": "phi3",
        "auto_map": {"AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"},
        "rope_scaling": None,
        "sliding_window": 2047,
    },
    "Phi-4-mini": {"model_type": "phi3", "full_attn_mod": 1, "interpolate_factor": 1, "lm_head_bias": False},
    "Qwen2.5": {"model_type": "qwen2", "max_window_layers": 28, "use_mrope": False, "use_sliding_window": False},
    "SmolLM3": {"model_type": "smollm3", "no_rope_layer_interval": 4, "no_rope_layers": [1, 1, 1, 0]},
}


@pytest.mark.parametrize("name", RELEASED)
def test_what_released_checkpoints_say_is_accepted(name):
    require_known(name, RELEASED[name])


def test_attention_that_looks_ahead_is_refused():
    require_known("m", {"model_type": "gemma3_text", "use_bidirectional_attention": False})
    with pytest.raises(ValueError, match="use_bidirectional_attention=True"):
        require_known("m", {"model_type": "gemma3_text", "use_bidirectional_attention": True})


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("llama", {}, Logits()),
        ("cohere", {}, Logits(0.0625)),  # what transformers takes where config.json says nothing
        ("cohere", {"logit_scale": 1.0}, Logits(1.0)),
        ("granite", {}, Logits(1.0)),
        ("granite", {"logits_scaling": 8}, Logits(0.125)),
        ("gemma2", {}, Logits(1.0, 30.0)),
        ("gemma2", {"final_logit_softcapping": None}, Logits()),
        ("gemma3_text", {}, Logits()),
        ("gemma3_text", {"final_logit_softcapping": 30.0}, Logits(1.0, 30.0)),
    ],
)
def test_what_is_done_to_logits_is_read_from_the_configuration(kind, changes, expected):
    assert logits_of(AutoConfig.for_model(kind, **changes)) == expected


def test_the_limit_of_a_stretched_phi3_is_what_it_was_before():
    rope = {"rope_type": "longrope", "short_factor": [1.0] * 48, "long_factor": [2.0] * 48}
    phi = AutoConfig.for_model("phi3", rope_parameters=rope, max_position_embeddings=131072)
    assert positions(phi) == (4096, "original_max_position_embeddings")
    assert positions(AutoConfig.for_model("phi3")) == (4096, "max_position_embeddings")
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768, "rope_theta": 1e6}
    qwen = AutoConfig.for_model("qwen2", rope_parameters=yarn, max_position_embeddings=131072)
    assert positions(qwen) == (131072, "max_position_embeddings")  # the same for every sequence
    assert positions(AutoConfig.for_model("gemma3_text")) == (131072, "max_position_embeddings")


def test_capped_attention_is_computed_where_the_cap_is():
    for asked in ("sdpa", "eager"):
        assert attention(AutoConfig.for_model("gemma2"), asked) == "eager"
        assert attention(AutoConfig.for_model("gemma2", attn_logit_softcapping=None), asked) == "eager"
        assert attention(AutoConfig.for_model("gemma3_text"), asked) == asked
        assert attention(AutoConfig.for_model("gemma3_text", attn_logit_softcapping=50.0), asked) == "eager"
        assert attention(AutoConfig.for_model("llama"), asked) == asked


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
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "granitemoe"}))
    settings = tiny.settings(bench, tmp_path, model=Model(name="g", path=str(tmp_path)), plan=plan)
    with pytest.raises(ValueError, match="model_type is granitemoe"):
        train.train(settings, tiny.run(tmp_path))

"""Settings of a model: its architecture, the checkpoint, and where its adapters go."""

from dataclasses import dataclass

from omegaconf import MISSING

from bailong.run.checks import Knobs

TIES = ("keep", "none", "input", "head", "mean", "rms_matched_mean")
#: the random numbers of dropout (bailong.model.dropout), by name: two of them are two runs. Before: torch's own
STREAM, OLD_STREAM = "bits16", "torch"


@dataclass
class Shape(Knobs, group="model.shape"):
    """A Llama architecture, for models made from scratch and for `plan=true` without weights.

    `tied` says whether embedding and head come as one matrix.
    """

    hidden: int = MISSING
    layers: int = MISSING
    heads: int = MISSING
    kv_heads: int = MISSING
    intermediate: int = MISSING
    context: int = 2048
    vocabulary: int = MISSING
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    initializer_range: float = 0.02
    tied: bool = False

    def __post_init__(self) -> None:
        self.positive("hidden", "layers", "heads", "kv_heads", "intermediate", "context", "vocabulary")
        self.require(self.hidden % self.heads == 0, "heads", f"a divisor of model.shape.hidden ({self.hidden})")
        self.require(self.heads % self.kv_heads == 0, "kv_heads", f"a divisor of model.shape.heads ({self.heads})")


@dataclass
class Model(Knobs, group="model"):
    """The base model.

    `path` is a local folder or Hub id of a checkpoint (bailong/model/architecture.py: which), or a GGUF file, which is
    converted to a folder beside it. `quantization` is `nf4` (bitsandbytes, CUDA and CPU) or `none`; `dtype` is what
    unquantized weights are stored in, and what NF4 is dequantized to. `storage` is how NF4 weights stand while training
    (bailong/model/storage.py): `nf4`, `bf16` or `fp8`.
    `tie` is `keep` (embedding and head as the checkpoint has them), `none` (a matrix each, equal at first where they
    come as one), or which matrix serves both (bailong.model.tie): `input`, as in the paper's pre-training, `head`,
    `mean` or `rms_matched_mean`.
    """

    name: str = MISSING
    path: str | None = None
    shape: Shape | None = None
    quantization: str = "nf4"
    double_quantization: bool = True
    storage: str = "nf4"
    dtype: str = "bfloat16"
    tie: str = "input"
    attention: str = "sdpa"

    def ties(self, tied: bool) -> bool:
        """Whether embedding and head are one matrix while training, with a checkpoint that comes `tied` or not."""
        return self.tie != "none" and (tied or self.tie != "keep")

    def __post_init__(self) -> None:
        self.one_of("quantization", ("nf4", "none"))
        self.one_of("dtype", ("float32", "bfloat16", "float16"))
        self.one_of("storage", ("nf4", "bf16", "fp8"))
        self.require(
            self.storage == "nf4" or self.quantization == "nf4",
            "storage",
            f"nf4 with model.quantization={self.quantization}: bf16 and fp8 say how weights in NF4 are kept",
        )
        self.require(
            self.storage != "bf16" or self.dtype == "bfloat16",
            "storage",
            f"nf4 or fp8 with model.dtype={self.dtype}, which NF4 is dequantized to: bf16 needs model.dtype=bfloat16",
        )
        self.one_of("tie", TIES)
        self.one_of("attention", ("sdpa", "eager"))


@dataclass
class Adapter(Knobs, group="adapter"):
    """LoRA (paper, section 3.4: on embedding, head and every linear layer).

    `linears` and `pair` say where: every linear layer of the decoder (seven in a layer of a Llama), and the
    embedding/head pair. With both false every parameter is trained instead. `rows` says how the pair is trained: `lora`
    has a *separate* adapter on each end, `shared` one for both ends of a tied pair, `trainable_new` no adapter but the
    new rows themselves, `composed` these with what is learned of their parts, and `full` all rows (bailong.model.rows).
    `shared_dropout`: layers that read the same states (queries, keys and values; gate and up) drop the same of them.
    """

    name: str = MISSING
    linears: bool = True
    pair: bool = True
    rows: str = "lora"
    rank: int = 64
    alpha: float = 16.0
    dropout: float = 0.1
    shared_dropout: bool = False

    def __post_init__(self) -> None:
        self.positive("rank", "alpha")
        self.one_of("rows", ("lora", "shared", "trainable_new", "composed", "full"))
        self.require(self.pair or self.rows == "lora", "rows", "lora with adapter.pair=false, which trains no row")
        self.require(0 <= self.dropout < 1, "dropout", "in [0, 1)")

    @property
    def stream(self) -> str | None:
        """What its dropout is drawn from; None where nothing is dropped."""
        return STREAM if self.present and self.dropout else None

    @property
    def present(self) -> bool:
        return self.linears or self.pair

    @property
    def told(self) -> str:
        """What is trained, in words."""
        pair = {"lora": "embedding and head, separately", "shared": "embedding and head together"}.get(self.rows)
        where = ["linear layers"] * self.linears + ([pair] if self.pair and pair else [])
        themselves = {
            "trainable_new": "new rows themselves",
            "composed": "new rows themselves and by their parts",
            "full": "all rows themselves",
        }
        rows = themselves.get(self.rows) if self.pair else None
        lora = f"LoRA rank {self.rank}: {' + '.join(where)}" if where else None
        return ", ".join(part for part in (lora, rows) if part) or "every parameter"

"""What a run will cost, from its numbers alone: parameters, memory, FLOPs (`bailong-train plan=true`).

Everything is in closed form, so that a 13B plan prints in milliseconds on a laptop; no torch, no weights.
The tests hold each formula against a real model: PEFT's parameters, `FlopCounterMode`, saved tensors.

Symbols: L layers, d hidden, q and k the widths of queries and keys (q = d in a Llama), f intermediate, V vocabulary,
s context, r rank, P = L(2dq + 2dk + 3df) weights of linear layers, A = their LoRA weights.
"""

import re
from dataclasses import astuple, dataclass

from bailong.model.body import Body
from bailong.model.settings import Adapter
from bailong.train.settings import Optimizer

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

#: bytes a weight: 4 bits, an fp32 scale for each 64 of them
NF4 = (4 + 32 / 64) / 8
#: the scales are themselves 8-bit, with an fp32 scale for each 256 of them: 0.516
NF4_DOUBLE = (4 + 8 / 64 + 32 / (64 * 256)) / 8

#: two moments of fp32, or of 8 bits with an fp32 scale for each 256
ADAM_BYTES = {"adamw": 8.0, "adamw_8bit": 2 * (1 + 4 / 256), "paged_adamw_8bit": 2 * (1 + 4 / 256)}
#: adapters of the pair, by `adapter.rows`
ENDS_WITH_ADAPTERS = {"lora": 2, "shared": 1, "trainable_new": 0, "composed": 0, "full": 0}


# --- parameters --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameters:
    """Parameter counts. `adapters` is 0 and `trainable` everything when the whole model is trained.

    `norms` are all vectors: those of norms, and biases. `rows` of `pair` are trained themselves (`adapter.rows`), by
    masters in float32 beside the matrix.
    """

    linears: int
    pair: int
    norms: int
    adapters: int
    trainable: int
    quantized: bool
    rows: int = 0

    @property
    def true(self) -> int:
        """Every parameter counted once, a tied pair once."""
        return self.linears + self.pair + self.norms + self.adapters

    @property
    def packed(self) -> int:
        """As `sum(p.numel())` sees a 4-bit model, two weights a byte: the count behind the paper's 4.6 % and 4.12 %."""
        return self.true - (self.linears // 2 if self.quantized else 0)

    @property
    def share_true(self) -> float:
        return self.trainable / self.true

    @property
    def share_packed(self) -> float:
        return self.trainable / self.packed


def count_parameters(
    body: Body, vocabulary: int, tied: bool, adapter: Adapter, quantization: str, new: int = 0
) -> Parameters:
    """Parameters of a model with `vocabulary` rows, `new` of them, and its adapters.

    The two ends of a tied pair share the base matrix, yet each has an adapter of its own: that alone gives
    the paper's 4.6 % (one shared adapter 4.50 %, an untied base 4.32 %).
    """
    layer = body.linears()
    linears = body.layers * sum(i * o for i, o in layer)
    pair = vocabulary * body.hidden * (1 if tied else 2)
    norms = body.layers * body.vectors + body.closing
    adapters = 0
    if adapter.linears:
        adapters += body.layers * adapter.rank * sum(i + o for i, o in layer)
    adapters += ENDS_WITH_ADAPTERS[adapter.rows] * adapter.rank * (vocabulary + body.hidden) * adapter.pair
    rows = trained_rows(adapter, vocabulary, new) * body.hidden * (1 if tied else 2)
    return Parameters(
        linears=linears,
        pair=pair,
        norms=norms,
        adapters=adapters,
        trainable=adapters + rows if adapter.present else linears + pair + norms,
        quantized=quantization == "nf4",
        rows=rows,
    )


def trained_rows(adapter: Adapter, vocabulary: int, new: int) -> int:
    """How many rows of a matrix are parameters themselves."""
    return {"trainable_new": new, "composed": new, "full": vocabulary}.get(adapter.rows, 0) if adapter.pair else 0


# --- FLOPs -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of the matrix products per token (a multiply-add is two).

    `attention` is the part of `forward` that causal attention takes, counted at half of the full square;
    `recompute` is what gradient checkpointing and the flash backward do a second time.
    """

    forward: float
    backward: float
    attention: float
    recompute: float

    @property
    def model(self) -> float:
        """Work that the mathematics needs: the numerator of MFU."""
        return self.forward + self.backward

    @property
    def hardware(self) -> float:
        """Work that the device does: the numerator of HFU."""
        return self.model + self.recompute


def flops_per_token(
    body: Body, vocabulary: int, adapter: Adapter, context: int, gradient_checkpointing: bool = False, new: int = 0
) -> Flops:
    """FLOPs per token of a training step.

    Full training is the familiar 6N: backward = 2 x forward. Under LoRA a frozen weight needs only dX, so
    with adapters everywhere forward + backward = 4P + 4Vd + 6(A + A_pair) + 6Lsd, not 6N; rows that are trained
    themselves need the product of their gradient, 2d each. A layer with a window that
    is shorter than the context attends to fewer tokens.
    """
    layer = body.linears()
    d, layers, r = body.hidden, body.layers, adapter.rank
    linears = 2 * layers * sum(i * o for i, o in layer)
    head = 2 * vocabulary * d
    attention = 4 * body.seen(context) * body.queries
    lora = 2 * layers * r * sum(i + o for i, o in layer) if adapter.linears else 0
    # head: h·Aᵀ and u·Bᵀ; embedding: a lookup in A, then the product with B
    pair = 2 * r * (vocabulary + d) + 2 * r * d if adapter.pair and ENDS_WITH_ADAPTERS[adapter.rows] else 0

    forward = linears + head + lora + pair + attention
    if adapter.present:
        backward = linears + head + 2 * (lora + pair + attention) + 2 * d * trained_rows(adapter, vocabulary, new)
        if not adapter.pair and not gradient_checkpointing:
            # nothing below the first layer's adapters asks for a gradient (PEFT makes checkpointed layers ask)
            first = body.first()
            backward -= 2 * sum(i * o for i, o in first) + 2 * r * sum(i for i, _ in first)
    else:
        backward = 2 * forward
    recompute = attention / 2  # flash attention forms Q·Kᵀ again in its backward
    if gradient_checkpointing:
        # non-reentrant checkpointing stops a layer's recomputation at the last tensor that it misses, so
        # the last product (down_proj, or its adapter's B, which PEFT adds after) is not done again, unless
        # a norm behind it asks for what it gave
        last = 0 if body.behind else r * d if adapter.linears else body.intermediate * d
        recompute += linears + lora + attention - 2 * layers * last
    return Flops(forward, backward, attention, recompute)


# --- memory ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Memory:
    """Bytes on one device, by what holds them: a first-order estimate.

    It leaves out the CUDA context, fragmentation and the short-lived tensors of the backward pass: plan for
    10 to 20 % more; and what NCCL keeps for its exchange. `buckets`: a second copy of every gradient, in which DDP
    exchanges them (torch keeps it from step to step, unless gradients are views of it: `gradient_as_bucket_view`).
    """

    base: float
    adapters: float
    gradients: float
    buckets: float
    optimizer: float
    casts: float
    activations: float
    head: float

    @property
    def total(self) -> float:
        return sum(astuple(self))


def activation_bytes(body: Body, adapter: Adapter, compute: int, context: int = 0) -> float:
    """Bytes that one decoder layer saves for its backward pass, per token, in transformers' code.

    Counted from the saved tensors of a Llama: an fp32 copy of each norm's input; q, k, v and the attention's output;
    gate, silu(gate) and up; and the inputs of every trained product. Under LoRA (bailong.model.lora) these are the
    inputs, once where layers share them, a byte a number for each mask and the rank-r results; a frozen weight saves
    nothing. Of other architectures it is a first-order estimate (within 20 % of the saved tensors in the tests).

    Args:
        compute: bytes an element of the products (2 under bf16 autocast).
        context: tokens that attention without a kernel of torch's (`eager`) holds a square of.
    """
    d, f, q, k = body.hidden, body.intermediate, body.queries, body.keys
    norms = body.norms * (4 * d + 4) + (4 * (q + k) if body.head_norms else 0)
    if body.eager:  # keys and values of every head, the tanh of the cap, softmax in fp32 and its cast
        attention = compute * 4 * q + body.heads * context * (4 + 4)
    else:
        attention = compute * (2 * q + 2 * k) + 4 * body.heads
    if body.joined:  # the value is a view that keeps query and key alive beside their rotated copies
        attention += compute * (q + k)
    mlp = compute * 3 * f
    layer = body.linears()
    if adapter.linears:
        wide = sum(i for i, _ in layer)
        once = wide - sum(i for i, _ in layer if i == d) + 2 * d  # q, k, v share one input, gate and up another
        inputs = compute * (once + len(layer) * adapter.rank)
        if adapter.dropout > 0:
            inputs += 2 * d + q + f if adapter.shared_dropout else wide
    elif adapter.present:
        inputs = 0
    else:
        inputs = compute * ((q + 4 * d if compute == 2 else q + d) + f)
        norms += body.norms * 4 * d  # the normalised states, for the gradient of the norms' weights
    return norms + attention + mlp + inputs


# --- a run --------------------------------------------------------------------------------------------


@dataclass
class Budget:
    """A run in numbers.

    Attributes:
        vocabulary: rows after extension, `base_vocabulary` before.
        batch_size: sequences of `context` tokens an optimizer step, shared among `devices`; `micro_batch` of them at
            once a device. Each device holds all of the model (DDP).
        steps, tokens: the length; give the one that is known, or none where the length of the corpus is unknown.
        bf16: whether the products run in bf16 (`trainer.precision`).
        cuda: whether the run is for a CUDA device (decides `optimizer.name=auto`).
        checkpoints: so many lie in the run's folder at its end.
    """

    body: Body
    adapter: Adapter
    optimizer: Optimizer
    vocabulary: int
    base_vocabulary: int
    tied: bool
    context: int
    batch_size: int
    micro_batch: int
    steps: int | None = None
    tokens: int | None = None
    quantization: str = "nf4"
    double_quantization: bool = True
    storage: str = "nf4"
    dtype: str = "bfloat16"
    gradient_checkpointing: bool = False
    head_chunk: int = 1024
    bf16: bool = True
    cuda: bool = True
    checkpoints: int = 1
    devices: int = 1

    def __post_init__(self) -> None:
        if self.steps is None and self.tokens is not None:
            self.steps = max(1, round(self.tokens / self.tokens_per_step))
        self.tokens = None if self.steps is None else self.steps * self.tokens_per_step

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.context

    @property
    def new(self) -> int:
        """Rows that no old token names."""
        return self.vocabulary - self.base_vocabulary

    @property
    def parameters(self) -> Parameters:
        return count_parameters(self.body, self.vocabulary, self.tied, self.adapter, self.quantization, self.new)

    @property
    def flops(self) -> Flops:
        checkpointing = self.gradient_checkpointing
        return flops_per_token(self.body, self.vocabulary, self.adapter, self.context, checkpointing, self.new)

    @property
    def total_flops(self) -> float | None:
        """Model FLOPs of the whole run."""
        return None if self.tokens is None else self.flops.model * self.tokens

    @property
    def memory(self) -> Memory:
        """Peak bytes of a forward and backward over a micro-batch on one device."""
        d, layers, adapter, parameters = self.body.hidden, self.body.layers, self.adapter, self.parameters
        tokens, stored = self.micro_batch * self.context, DTYPE_BYTES[self.dtype]
        compute = 2 if self.bf16 else 4
        base = parameters.linears * (self._linear_bytes if parameters.quantized else stored)
        if self.storage == "fp8":  # fp32 scales: a row of each copy
            base += 4 * layers * sum(i + o for i, o in self.body.linears())
        base += (parameters.pair + parameters.norms) * stored

        layer = activation_bytes(self.body, adapter, compute, self.context)
        residual = stored if adapter.present else DTYPE_BYTES["float32"]
        per_token = (residual * d * layers + layer) if self.gradient_checkpointing else layers * layer
        per_token += 4 * d + (3 * compute + 1) * d  # the last norm; the head's states, dropped states, mask, dh

        # logits and their gradient in the compute dtype beside fp32, and the sums of dB or dW before they are added
        head = min(self.head_chunk, tokens) * self.vocabulary * (4 if compute == 4 else 4 + compute)
        head += min(self.head_chunk, tokens) * self.vocabulary * (4 if self.body.capped else 0)  # the cap's derivative
        if not adapter.present:
            head += 4 * d * self.vocabulary
        elif adapter.pair and ENDS_WITH_ADAPTERS[adapter.rows]:
            head += 4 * adapter.rank * self.vocabulary
        head += 4 * d * trained_rows(adapter, self.vocabulary, self.new)

        name = self.optimizer.name
        if name == "auto":
            name = "paged_adamw_8bit" if self.cuda else "adamw"
        trained = 4 if adapter.present else stored  # adapters are fp32 masters
        gradients = float(trained * parameters.trainable)
        return Memory(
            base=base,
            adapters=4.0 * (parameters.adapters + parameters.rows),
            gradients=gradients,
            buckets=gradients if self.devices > 1 else 0.0,
            optimizer=ADAM_BYTES[name] * parameters.trainable,
            # autocast keeps a bf16 copy of every trained weight for the backward pass
            casts=2.0 * parameters.trainable if self.bf16 and trained == 4 else 0.0,
            activations=float(tokens * per_token),
            head=float(head),
        )

    @property
    def _linear_bytes(self) -> float:
        """Bytes a weight of a linear layer in NF4, as `storage` keeps it."""
        nf4 = NF4_DOUBLE if self.double_quantization else NF4
        return {"nf4": nf4, "bf16": 2.0, "fp8": nf4 + 2.0}[self.storage]

    @property
    def checkpoint(self) -> float:
        """Bytes of a checkpoint: every trained parameter, as large as its gradient, and the optimizer's state."""
        return self.memory.gradients + self.memory.optimizer


# --- peak rates --------------------------------------------------------------------------------------

#: FLOP/s by the vendor's datasheet or whitepaper, *dense* (datasheets like to print twice that, for 2:4
#: sparsity), with fp32 accumulation, at boost clock. float32 is the CUDA cores' rate: torch keeps TF32 off by default.
#: First match wins, on the name that the driver reports.
PEAK_FLOPS: tuple[tuple[str, dict[str, float]], ...] = (
    (r"\bB200\b", {"bfloat16": 2250e12, "float16": 2250e12}),
    (r"\bH100 PCIe\b", {"bfloat16": 756e12, "float16": 756e12, "float32": 51e12}),
    (r"\bH100 NVL\b", {"bfloat16": 835e12, "float16": 835e12, "float32": 60e12}),
    (r"\bH200 NVL\b", {"bfloat16": 835e12, "float16": 835e12, "float32": 60e12}),
    (r"\b(H100|H200|GH200|H800)\b", {"bfloat16": 989e12, "float16": 989e12, "float32": 67e12}),
    (r"\b(A100|A800)\b", {"bfloat16": 312e12, "float16": 312e12, "float32": 19.5e12}),
    (r"\bA40\b", {"bfloat16": 149.7e12, "float16": 149.7e12, "float32": 37.4e12}),
    (r"\bA10G\b", {"bfloat16": 70e12, "float16": 70e12}),
    (r"\bA10\b", {"bfloat16": 125e12, "float16": 125e12, "float32": 31.2e12}),
    (r"\bL40S\b", {"bfloat16": 362e12, "float16": 362e12, "float32": 91.6e12}),
    (r"\bL40\b", {"bfloat16": 181e12, "float16": 181e12, "float32": 90.5e12}),
    (r"\bL4\b", {"bfloat16": 121e12, "float16": 121e12, "float32": 30.3e12}),
    (r"\bRTX 5090\b(?! Laptop)", {"bfloat16": 209.5e12, "float16": 209.5e12, "float32": 104.8e12}),
    (r"\bRTX 4090 D\b", {"bfloat16": 147e12, "float16": 147e12, "float32": 73.5e12}),
    (r"\bRTX 4090\b(?! Laptop)", {"bfloat16": 165.2e12, "float16": 165.2e12, "float32": 82.6e12}),
    (r"\bRTX 3090 Ti\b", {"bfloat16": 80e12, "float16": 80e12, "float32": 40e12}),
    (r"\bRTX 3090\b", {"bfloat16": 71e12, "float16": 71e12, "float32": 35.6e12}),
    (r"\bV100-PCIE", {"float16": 112e12, "float32": 14e12}),
    (r"\bV100-SXM", {"float16": 125e12, "float32": 15.7e12}),
    (r"\bT4\b", {"float16": 65e12, "float32": 8.1e12}),
)


def peak_flops(device_name: str, dtype: str) -> float | None:
    """Datasheet dense FLOP/s of a device, the denominator of MFU.

    None where there is no honest figure: a CPU, a card that is not in the table, a dtype that it has no
    units for, or a MIG slice of a card.

    Args:
        device_name: as `torch.cuda.get_device_name()` gives it.
        dtype: `bfloat16`, `float16` or `float32`, the dtype of the products.
    """
    if re.search(r"\bMIG\b", device_name):
        return None
    for pattern, rates in PEAK_FLOPS:
        if re.search(pattern, device_name):
            return rates.get(dtype)
    return None

"""The settings of a training run: those of the trainer, for every project, and those of pre-training."""

from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from typing import Any, Literal, get_args

from phase01_foundation.project03_pretrain.given.attention import AttentionKind
from phase01_foundation.project03_pretrain.model import Activation, Config
from phase01_foundation.project03_pretrain.optimizers import Kind
from shared import artifacts, corpora
from shared.kinds import check_kinds

PARALLEL = ("ddp", "fsdp")
StreamFormat = Literal["float32", "compute"]
FEWEST_CHARACTERS = 2_000  # a shorter text of tinyworld may hold no document


@dataclass(frozen=True)
class TrainerConfig:
    """How a model is trained, whatever it is trained for."""

    name: str = "tiny-base"
    """the model is published under this name"""
    steps: int = 1000
    batch_size: int = 32
    """rows a step, over all processes"""
    micro_batch: int = 0
    """rows a process takes at once; the step's gradients add up. 0: all its rows"""
    optimizer: Kind = "muon"
    learning_rate: float = 2e-3
    """at the peak"""
    warmup: int = 100
    """steps until the peak"""
    decay_share: float = 0.6
    """the last part of all steps, in which the learning rate falls"""
    weight_decay: float = 0.1
    max_norm: float = 1.0
    """gradients are clipped to this norm"""
    evaluate_every: int = 250
    """steps between validations, each with samples and a checkpoint"""
    checkpoint_minutes: float = 10.0
    """a checkpoint is also written whenever this much time has passed since the last"""
    log_every: int = 10
    """steps between entries for TensorBoard"""
    gradient_checkpointing: bool = False
    """compute each block again on the way back, instead of keeping what is inside it"""
    compile: bool = False
    """torch.compile: a minute of waiting, then faster steps"""
    attention: AttentionKind = "auto"
    """auto, fused (torch's kernel) or written (out, by hand); given/attention.py says which one auto takes"""
    stream: StreamFormat = "float32"
    """the residual stream's format: float32, or compute: that of the matrix products, half the bytes between them"""
    parallel: str = "ddp"
    """of several processes (torchrun): ddp, each with the whole model, or fsdp, each with its shard"""
    tensorboard: bool = True
    """write curves for `tensorboard --logdir work/models`"""
    wandb: bool = False
    """write them to Weights & Biases too, where that is installed"""
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    """of the matrix products: auto, float32, bfloat16 or float16 (with loss scaling)"""
    threads: int = 0
    """of each process; 0: the cores, shared by the processes of this machine"""
    restart: bool = False
    """begin anew, whatever checkpoint there is"""

    def __post_init__(self):
        check_kinds(self)
        artifacts.check_name(self.name)
        for name in ("steps", "batch_size", "evaluate_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "max_norm", "checkpoint_minutes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("warmup", "weight_decay", "micro_batch", "threads"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be from 0 to {2**32 - 1}, not {self.seed}")
        if not 0 <= self.decay_share <= 1:
            raise ValueError(f"decay_share must be from 0 to 1, not {self.decay_share}")
        if self.optimizer not in get_args(Kind):
            raise ValueError(f"optimizer must be {' or '.join(get_args(Kind))}, not {self.optimizer!r}")
        if self.parallel not in PARALLEL:
            raise ValueError(f"parallel must be {' or '.join(PARALLEL)}, not {self.parallel!r}")
        for name, kinds in (("attention", AttentionKind), ("stream", StreamFormat)):
            if getattr(self, name) not in get_args(kinds):
                allowed = " or ".join(get_args(kinds))
                raise ValueError(f"{name} must be {allowed}, not {getattr(self, name)!r}")
        if self.stream == "compute" and self.dtype == "float16":
            raise ValueError("a stream in float16 can overflow; with stream compute, use bfloat16")
        if self.wandb and not find_spec("wandb"):
            raise ValueError("wandb is wanted and not installed: pip install wandb, or leave it out")

    def identity(self) -> dict[str, Any]:
        """The settings that a checkpoint must agree with; where and how fast a run is done is not among them."""
        free = {
            "name",
            "fallback",
            "device",
            "dtype",
            "threads",
            "restart",
            "compile",
            "gradient_checkpointing",
            "attention",
            "stream",
        }
        free |= {"micro_batch", "parallel", "tensorboard", "wandb", "log_every", "checkpoint_minutes"}
        return {name: value for name, value in asdict(self).items() if name not in free}


@dataclass(frozen=True)
class PretrainConfig(TrainerConfig):
    """What is trained on what. The presets in configs/ give the reasons for their numbers."""

    corpus: str = "tinyworld"
    """a corpus by name: tinyworld, shakespeare, wikitext2, wikitext103, tinystories, names"""
    fallback: str | None = "tinyworld"
    """the corpus to use when that one cannot be had; null makes it an error"""
    characters: int | None = None
    """the size of tinyworld's train split, where that is the corpus"""
    questions: float = 0.0
    """of these characters, the share that is instructions with their answers, each a document of its own"""
    whole_documents: bool = False
    """rows begin where a document begins, so that a document which fits is whole in one; else they begin anywhere"""
    tokenizer: str = "bpe"
    """char or bpe, made from the corpus; or the name of a trained tokenizer, or of a model, to take that one"""
    vocab_size: int = 4096
    """of a bpe made from the corpus"""
    validation_windows: int = 256
    """pieces of the validation text, spread over it, that a validation reads; the last one reads all"""
    prompt: str = ""
    """what the samples begin with; nothing means the beginning of a text"""
    context_length: int = 512
    """tokens the model reads at once"""
    layers: int = 6
    heads: int = 4
    kv_heads: int = 4
    dim: int = 256
    """width of the residual stream"""
    hidden_dim: int = 688
    """width inside the feed-forward"""
    head_dim: int | None = None
    """width of a head, where it is not dim / heads"""
    rope_base: float = 10_000.0
    tied_embeddings: bool = False
    qk_norm: bool = False
    activation: Activation = "swiglu"
    logit_softcap: float | None = None
    dropout: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        self.model_config(vocab_size=1)  # which checks the rest
        if self.fallback not in (None, corpora.EMBEDDED):
            raise ValueError(f"fallback must be {corpora.EMBEDDED} or null, not {self.fallback!r}")
        if self.validation_windows < 1:
            raise ValueError(f"validation_windows must be at least 1, not {self.validation_windows}")
        if self.characters is not None and self.characters < FEWEST_CHARACTERS:
            raise ValueError(f"characters must be at least {FEWEST_CHARACTERS:,}, not {self.characters:,}")
        if not 0 <= self.questions < 1:
            raise ValueError(f"questions must be 0 or more and below 1, not {self.questions}")
        if self.questions and self.corpus != corpora.EMBEDDED:
            raise ValueError(f"questions are made for {corpora.EMBEDDED} only, not for {self.corpus}")

    def model_config(self, vocab_size: int) -> Config:
        """The model's shape for that many tokens. Raises ValueError where the numbers do not fit."""
        own = {field.name for field in fields(self)}
        shared = {field.name: getattr(self, field.name) for field in fields(Config) if field.name in own}
        return Config(**{**shared, "vocab_size": vocab_size})

"""What a user would decode with instead: transformers, and, where they are installed, ctranslate2 and llama.cpp.

Each has the same weights as our model, written once into a folder in the form that it reads.
"""

import ctypes
import importlib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.phase01 import LLM, save_model

MODULES = {"ctranslate2": ("ctranslate2",), "llama.cpp": ("llama_cpp", "gguf")}
"""what must be installed for each peer besides transformers"""


def missing(peer: str) -> list[str]:
    """The modules of a peer that are not installed."""
    return [name for name in MODULES[peer] if importlib.util.find_spec(name) is None]


class Transformers:
    """transformers' model and its own cache, one step at a time."""

    def __init__(self, model: LLM, folder: Path, dtype: torch.dtype):
        transformers: Any = importlib.import_module("transformers")
        transformers.logging.disable_progress_bar()
        save_model(model, folder)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
        self.new_cache = transformers.DynamicCache
        self.cache: Any = None
        self.length = 0

    @torch.inference_mode()
    def read(self, tokens: Tensor, rows: int = 1) -> Tensor:
        """Start anew with (row, time) tokens, each of them in so many rows; the logits of the last place."""
        self.cache, self.length = self.new_cache(), 0
        logits = self.step(tokens)
        if rows > 1:
            self.cache.batch_repeat_interleave(rows)
        return logits

    @torch.inference_mode()
    def step(self, tokens: Tensor) -> Tensor:
        """Go on with (row, time) more; the logits of the last place, (row, vocab)."""
        self.length += tokens.shape[1]
        return self.model(tokens, past_key_values=self.cache, logits_to_keep=1).logits[:, -1]

    def rewind(self, length: int) -> None:
        """Keep the first `length` tokens of each row."""
        if length < self.length:
            self.cache.crop(length - self.length)  # negative: so many tokens are removed
            self.length = length

    def write(self, prompts: Sequence[Sequence[int]], count: int) -> list[list[int]]:
        """Greedily, so many tokens after each of several prompts of one length, by its `generate`."""
        tokens = torch.tensor(prompts)
        with torch.inference_mode():
            found = self.model.generate(
                tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=count,
                min_new_tokens=count, eos_token_id=None,
            )  # fmt: skip
        return found[:, tokens.shape[1] :].tolist()


class CTranslate2:
    """ctranslate2's generator, float32: on a CPU it has no bfloat16."""

    def __init__(self, model: LLM, folder: Path, dtype: torch.dtype, threads: int):
        ctranslate2: Any = importlib.import_module("ctranslate2")
        converters: Any = importlib.import_module("ctranslate2.converters")
        if dtype != torch.float32:
            raise ValueError("ctranslate2 has no bfloat16 on a CPU")
        save_model(model, folder / "from")
        _write_tokenizer(folder / "from", model.config.vocab_size)
        converters.TransformersConverter(str(folder / "from")).convert(str(folder / "to"), force=True)
        self.generator = ctranslate2.Generator(str(folder / "to"), device="cpu", intra_threads=threads)

    def write(self, prompts: Sequence[Sequence[int]], count: int) -> list[list[int]]:
        """Greedily, so many tokens after each prompt."""
        results = self.generator.generate_batch(
            [[f"t{token}" for token in prompt] for prompt in prompts], max_length=count, min_length=count,
            sampling_topk=1, include_prompt_in_result=False, end_token=[], max_batch_size=len(prompts),
        )  # fmt: skip
        return [result.sequences_ids[0] for result in results]


def _write_tokenizer(folder: Path, vocab_size: int) -> None:
    """A tokenizer of made-up words, t0, t1, ...: ctranslate2 wants one, though here only ids count."""
    tokenizers: Any = importlib.import_module("tokenizers")
    words = {f"t{id}": id for id in range(vocab_size)}
    tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="t0")).save(
        str(folder / "tokenizer.json")
    )
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "t1",
        "eos_token": "t2",
        "unk_token": "t0",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


class LlamaCpp:
    """llama.cpp through its C interface, all rows in one batch a step."""

    def __init__(self, model: LLM, folder: Path, dtype: torch.dtype, threads: int, rows: int, length: int):
        self.api: Any = importlib.import_module("llama_cpp")
        api, path = self.api, folder / "model.gguf"
        write_gguf(model, path, dtype)
        self.said: list[str] = []
        # Kept alive, for C calls it. It must take the text that it is given: one that drops it ends the process.
        self.log = api.llama_log_callback(
            lambda level, text, data: self.said.append(text.decode(errors="replace"))
        )
        api.llama_log_set(self.log, ctypes.c_void_p(0))
        api.llama_backend_init()
        settings = api.llama_model_default_params()
        settings.n_gpu_layers = 0
        self.model = api.llama_model_load_from_file(str(path).encode(), settings)
        wanted = api.llama_context_default_params()
        wanted.n_ctx, wanted.n_batch, wanted.n_ubatch, wanted.n_seq_max = rows * length, 512, 512, rows
        wanted.n_threads = wanted.n_threads_batch = threads
        self.context = api.llama_init_from_model(self.model, wanted)
        if not self.model or not self.context:
            raise RuntimeError(
                f"llama.cpp could not open the model that was written for it: {''.join(self.said)}"
            )
        self.vocab_size = model.config.vocab_size
        self.batch = api.llama_batch_init(512, 0, 1)

    def _read(self, tokens: Sequence[tuple[int, int, int, bool]]) -> list[int]:
        """One pass over (token, position, row, wanted); the likeliest token after each that is wanted."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, (token, position, row, wanted) in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, wanted
            batch.seq_id[i][0] = row
        if self.api.llama_decode(self.context, batch):
            raise RuntimeError("llama.cpp could not read a batch")
        chosen = []
        for i, (*_, wanted) in enumerate(tokens):
            if wanted:
                logits = self.api.llama_get_logits_ith(self.context, i)
                row = torch.frombuffer((ctypes.c_float * self.vocab_size).from_address(
                    ctypes.addressof(logits.contents)), dtype=torch.float32)  # fmt: skip
                chosen.append(int(row.argmax()))
        return chosen

    def write(self, prompts: Sequence[Sequence[int]], count: int) -> list[list[int]]:
        """Greedily, so many tokens after each prompt."""
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
        texts: list[list[int]] = []
        for row, prompt in enumerate(prompts):
            last = len(prompt) - 1
            texts.append(self._read([(token, i, row, i == last) for i, token in enumerate(prompt)]))
        for step in range(count - 1):
            new = [(text[-1], len(prompts[row]) + step, row, True) for row, text in enumerate(texts)]
            for text, token in zip(texts, self._read(new), strict=True):
                text.append(token)
        return texts


def write_gguf(model: LLM, path: Path, dtype: torch.dtype) -> None:
    """The model as llama.cpp reads it: its names, its order of rotary pairs, matrices in `dtype`."""
    gguf: Any = importlib.import_module("gguf")
    config = model.config
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.dim)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.hidden_dim)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_dimension_count(config.head_width)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("no_vocab")
    names = {"embedding": "token_embd", "norm": "output_norm", "head": "output"}
    inside = {
        "attention_norm": "attn_norm", "attention.q": "attn_q", "attention.k": "attn_k", "attention.v": "attn_v",
        "attention.out": "attn_output", "feed_forward_norm": "ffn_norm", "feed_forward.gate": "ffn_gate",
        "feed_forward.up": "ffn_up", "feed_forward.down": "ffn_down",
    }  # fmt: skip
    for name, parameter in model.named_parameters():
        part = name.removesuffix(".weight")
        if part.startswith("blocks."):
            _, layer, part = part.split(".", 2)
            theirs = f"blk.{layer}.{inside[part]}.weight"
        else:
            theirs = f"{names[part]}.weight"
        weight = parameter.detach()
        if part in ("attention.q", "attention.k"):  # neighbours are a rotary pair there, halves are one here
            pairs = weight.view(-1, 2, config.head_width // 2, weight.shape[1])
            weight = pairs.transpose(1, 2).reshape(weight.shape)
        if weight.ndim == 1 or dtype == torch.float32:
            writer.add_tensor(theirs, weight.float().numpy())
        else:
            bits = weight.bfloat16().contiguous().view(torch.uint8).numpy()
            writer.add_tensor(theirs, bits, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

"""What else serves batches on a CPU: ctranslate2 and llama.cpp, where they are installed (transformers is Padded).

Each has our weights in its own file, and goes on greedily from several prompts with so many tokens each.
"""

import ctypes
import importlib
import importlib.util
import json
from collections.abc import Iterator
from collections.abc import Sequence as List
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.phase01 import LLM, save_model

PACKAGES = {"ctranslate2": ("ctranslate2",), "llama.cpp": ("llama_cpp", "gguf")}
ROOM = 512
"""tokens that llama.cpp reads at once"""


def absent(peer: str) -> list[str]:
    """The packages of a peer that are not installed."""
    return [name for name in PACKAGES[peer] if importlib.util.find_spec(name) is None]


class CTranslate2Batches:
    """ctranslate2, in float32: it has no bfloat16 on a CPU. It knows tokens by words; here, by their numbers."""

    def __init__(self, model: LLM, folder: Path, threads: int):
        package: Any = importlib.import_module("ctranslate2")
        tokenizers: Any = importlib.import_module("tokenizers")
        converters: Any = importlib.import_module("ctranslate2.converters")
        source, target = folder / "hugging-face", str(folder / "ctranslate2")
        save_model(model, source)
        numbers = {str(token): token for token in range(model.config.vocab_size)}
        words = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, unk_token="0"))
        words.save(str(source / "tokenizer.json"))
        special = {"bos_token": "1", "eos_token": "2", "unk_token": "0"}
        about = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
        (source / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
        converters.TransformersConverter(str(source)).convert(target, force=True)
        self.generator = package.Generator(target, device="cpu", intra_threads=threads)

    def write(self, prompts: List[List[int]], count: int) -> list[list[int]]:
        """So many tokens after each prompt, all at once."""
        found = self.generator.generate_batch(
            [[str(token) for token in prompt] for prompt in prompts], max_batch_size=len(prompts), min_length=count,
            max_length=count, sampling_topk=1, include_prompt_in_result=False, end_token=[],
        )  # fmt: skip
        return [one.sequences_ids[0] for one in found]


class LlamaCppBatches:
    """llama.cpp by its C interface: each text is a sequence of its own, and a step is one batch of all of them."""

    def __init__(self, model: LLM, folder: Path, dtype: torch.dtype, threads: int, texts: int, longest: int):
        """For so many texts of at most so many tokens, prompt and all. Raises RuntimeError where it does not open its
        file, with what it says.
        """
        self.api: Any = importlib.import_module("llama_cpp")
        api, path, said = self.api, folder / "model.gguf", []
        folder.mkdir(parents=True, exist_ok=True)
        write_file(model, path, dtype)
        # Kept as long as the object lives, for C calls it.
        self.told = api.llama_log_callback(
            lambda level, text, data: said.append(text.decode(errors="replace"))
        )
        api.llama_log_set(self.told, ctypes.c_void_p(0))
        api.llama_backend_init()
        self.model = api.llama_model_load_from_file(str(path).encode(), api.llama_model_default_params())
        wanted = api.llama_context_default_params()
        wanted.n_seq_max, wanted.n_ctx, wanted.n_batch, wanted.n_ubatch = texts, texts * longest, ROOM, ROOM
        wanted.n_threads, wanted.n_threads_batch = threads, threads
        self.context = api.llama_init_from_model(self.model, wanted) if self.model else None
        if not self.context:
            raise RuntimeError(f"llama.cpp does not open its file: {''.join(said)}")
        self.vocab_size, self.batch = model.config.vocab_size, api.llama_batch_init(ROOM, 0, 1)

    def write(self, prompts: List[List[int]], count: int) -> list[list[int]]:
        """So many tokens after each prompt; prompts, too, are read many at once."""
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
        texts: list[list[int]] = [[] for _ in prompts]
        new = [
            (number, place, token, place == len(prompt) - 1)
            for number, prompt in enumerate(prompts)
            for place, token in enumerate(prompt)
        ]
        while True:
            for start in range(0, len(new), ROOM):
                for number, token in self._read(new[start : start + ROOM]):
                    texts[number].append(token)
            if len(texts[0]) == count:
                return texts
            new = [
                (number, len(prompts[number]) + len(text) - 1, text[-1], True)
                for number, text in enumerate(texts)
            ]

    def _read(self, new: List[tuple[int, int, int, bool]]) -> Iterator[tuple[int, int]]:
        """One pass over (text, place, token, wanted); yields the text and the likeliest token after each wanted one."""
        batch = self.batch
        batch.n_tokens = len(new)
        for i, (number, place, token, wanted) in enumerate(new):
            batch.token[i], batch.pos[i], batch.logits[i] = token, place, wanted
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, number
        if status := self.api.llama_decode(self.context, batch):
            raise RuntimeError(f"llama.cpp could not read {len(new)} tokens: {status}")
        for i, (number, _, _, wanted) in enumerate(new):
            if wanted:
                start = ctypes.addressof(self.api.llama_get_logits_ith(self.context, i).contents)
                row = (ctypes.c_float * self.vocab_size).from_address(start)
                yield number, int(torch.frombuffer(row, dtype=torch.float32).argmax())


NAMES = {
    "embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight", "head.weight": "output.weight",
    "attention_norm.weight": "attn_norm.weight", "feed_forward_norm.weight": "ffn_norm.weight",
    "attention.q.weight": "attn_q.weight", "attention.k.weight": "attn_k.weight",
    "attention.v.weight": "attn_v.weight", "attention.out.weight": "attn_output.weight",
    "feed_forward.gate.weight": "ffn_gate.weight", "feed_forward.up.weight": "ffn_up.weight",
    "feed_forward.down.weight": "ffn_down.weight",
}  # fmt: skip
"""ours and llama.cpp's"""


def write_file(model: LLM, path: Path, dtype: torch.dtype) -> None:
    """A GGUF file: matrices in `dtype`, the rest in float32."""
    gguf: Any = importlib.import_module("gguf")
    config, file = model.config, gguf.GGUFWriter(str(path), "llama")
    for what, value in {
        "context_length": config.context_length, "embedding_length": config.dim, "block_count": config.layers,
        "feed_forward_length": config.hidden_dim, "head_count": config.heads, "head_count_kv": config.kv_heads,
        "layer_norm_rms_eps": config.norm_eps, "rope_dimension_count": config.head_width,
        "rope_freq_base": config.rope_base, "vocab_size": config.vocab_size, "tokenizer_model": "no_vocab",
    }.items():  # fmt: skip
        getattr(file, f"add_{what}")(value)
    for name, parameter in model.named_parameters():
        parts = name.split(".")
        place, own = (f"blk.{parts[1]}.", ".".join(parts[2:])) if parts[0] == "blocks" else ("", name)
        weight = parameter.detach()
        if own in ("attention.q.weight", "attention.k.weight"):
            weight = neighbours(weight, config.head_width)
        if weight.ndim == 1 or dtype == torch.float32:
            file.add_tensor(place + NAMES[own], weight.float().numpy())
        else:
            numbers = weight.to(torch.bfloat16).contiguous().view(torch.uint8).numpy()
            file.add_tensor(place + NAMES[own], numbers, raw_dtype=gguf.GGMLQuantizationType.BF16)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def neighbours(weight: Tensor, width: int) -> Tensor:
    """Rows so that a rotary pair are neighbours, as llama.cpp has it; in ours they are half a head apart."""
    halves = weight.unflatten(0, (-1, 2, width // 2))
    return halves.transpose(1, 2).flatten(0, 2)

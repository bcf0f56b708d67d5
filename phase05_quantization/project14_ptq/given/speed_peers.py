"""Who else writes from quantized weights on a CPU: llama.cpp and ctranslate2, where they are installed."""

import ctypes
import importlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from phase05_quantization.project14_ptq.given.gguf_file import write_gguf
from shared.phase01 import LLM, save_model

PACKAGES = {"llama.cpp": ("llama_cpp", "gguf"), "ctranslate2": ("ctranslate2", "transformers")}


def absent(peer: str) -> list[str]:
    """The packages of a peer that are not installed."""
    return [name for name in PACKAGES[peer] if find_spec(name) is None]


class LlamaCpp:
    """llama.cpp by its C interface, from a GGUF file of our blocks."""

    def __init__(self, model: LLM, folder: Path, kind: str, threads: int, longest: int):
        """Raises RuntimeError where it does not open its file, with what it says."""
        self.api: Any = importlib.import_module("llama_cpp")
        api, path, said = self.api, folder / f"{kind}.gguf", []
        write_gguf(model, path, kind)
        # Kept as long as the object lives, for C calls it.
        self.told = api.llama_log_callback(
            lambda level, text, data: said.append(text.decode(errors="replace"))
        )
        api.llama_log_set(self.told, ctypes.c_void_p(0))
        api.llama_backend_init()
        self.model = api.llama_model_load_from_file(str(path).encode(), api.llama_model_default_params())
        wanted = api.llama_context_default_params()
        wanted.n_ctx = wanted.n_batch = wanted.n_ubatch = longest
        wanted.n_threads = wanted.n_threads_batch = threads
        self.context = api.llama_init_from_model(self.model, wanted) if self.model else None
        if not self.context:
            raise RuntimeError(f"llama.cpp does not open its file: {''.join(said)}")
        self.vocab_size, self.batch = model.config.vocab_size, api.llama_batch_init(longest, 0, 1)

    def write(self, prompt: list[int], count: int) -> list[int]:
        """Greedily, so many tokens after a prompt."""
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
        text = [self._read(prompt, 0)]
        while len(text) < count:
            text.append(self._read(text[-1:], len(prompt) + len(text) - 1))
        return text

    def _read(self, tokens: list[int], start: int) -> int:
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = token, start + i, i == len(tokens) - 1
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        if status := self.api.llama_decode(self.context, batch):
            raise RuntimeError(f"llama.cpp could not read {len(tokens)} tokens: {status}")
        place = ctypes.addressof(self.api.llama_get_logits_ith(self.context, len(tokens) - 1).contents)
        row = (ctypes.c_float * self.vocab_size).from_address(place)
        return int(torch.frombuffer(row, dtype=torch.float32).argmax())


class CTranslate2:
    """ctranslate2 with int8 weights. It knows tokens by words; here, by their numbers."""

    def __init__(self, model: LLM, folder: Path, threads: int):
        package: Any = importlib.import_module("ctranslate2")
        tokenizers: Any = importlib.import_module("tokenizers")
        converters: Any = importlib.import_module("ctranslate2.converters")
        source, target = folder / "hugging-face", str(folder / "ctranslate2")
        save_model(model, source)
        numbers = {str(token): token for token in range(model.config.vocab_size)}
        tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, unk_token="0")).save(
            str(source / "tokenizer.json")
        )
        about = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "1",
            "eos_token": "2",
            "unk_token": "0",
        }
        (source / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
        converters.TransformersConverter(str(source)).convert(target, quantization="int8", force=True)
        self.generator = package.Generator(target, device="cpu", compute_type="int8", intra_threads=threads)

    def write(self, prompt: list[int], count: int) -> list[int]:
        """Greedily, so many tokens after a prompt."""
        [found] = self.generator.generate_batch(
            [[str(token) for token in prompt]], min_length=count, max_length=count, sampling_topk=1,
            include_prompt_in_result=False, end_token=[],
        )  # fmt: skip
        return found.sequences_ids[0]

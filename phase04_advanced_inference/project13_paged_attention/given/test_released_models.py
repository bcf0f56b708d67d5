"""Released models write the same texts over blocks, however they are computed, as project 8 writes with its cache."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phase04_advanced_inference.project11_speculative_decoding.ngram import NGramProposer
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.phase01 import load_base, load_llama2c, load_llama2c_tokenizer
from shared.phase03 import generate_tokens

GREEDY = SamplingParams(max_tokens=12, temperature=0)
BEGINNINGS = [
    "Once upon a time there was a little dog. ",
    "",
    "Once upon a time there was a little dog. One day",
]
WAYS = {
    "in company": {"num_blocks": 40},
    "in chunks": {"num_blocks": 40, "max_tokens": 9, "chunk": 4},
    "computed anew": {"num_blocks": 5, "max_sequences": 3},
    "by way of the host": {"num_blocks": 5, "max_sequences": 3, "swap_blocks": 20},
    "with guesses": {"num_blocks": 40, "proposer": NGramProposer()},
}


def stories260k():
    """Karpathy's smallest model, and the beginning of each text."""
    mirror = os.environ.get("LADDER_DATA_MIRROR")
    folder = Path(mirror or "LADDER_DATA_MIRROR") / "models" / "stories260K"
    if not mirror or not (folder / "stories260K.bin").is_file():
        pytest.skip(f"there is no {folder / 'stories260K.bin'}")
    return load_llama2c(folder / "stories260K.bin").double(), load_llama2c_tokenizer(folder / "tok512.bin")


def tiny_base():
    """The model of phase 1."""
    return load_base("tiny-base", torch.float64)


@pytest.mark.parametrize("load", [stories260k, tiny_base])
def test_they_write_what_they_write_with_project_8s_cache(load):
    model, tokenizer = load()
    prompts = [tokenizer.encode(text) or [0] for text in BEGINNINGS]
    expected = generate_tokens(model, prompts, GREEDY)
    for name, way in WAYS.items():
        engine = LLMEngine(model, tokenizer, block_size=8, watermark=0.0, **way)
        for _ in range(2):  # the second time, all prompts are hit
            results = engine.generate(prompts, GREEDY)
            assert [result.completions[0].tokens for result in results] == expected, name
        assert (engine.saved.preempted > 0) == (way["num_blocks"] == 5)
        assert engine.saved.prompts.total.hit > 0


@pytest.mark.parametrize("load", [stories260k, tiny_base])
def test_what_is_drawn_is_the_same_alone_and_in_company(load):
    model, tokenizer = load()
    params = [
        replace(GREEDY, temperature=0.8, top_p=0.9, presence_penalty=0.3, seed=seed) for seed in range(3)
    ]
    prompts = [tokenizer.encode(text) or [0] for text in BEGINNINGS]
    alone = LLMEngine(model, tokenizer, 40, max_sequences=1).generate(prompts, params)
    for name, way in WAYS.items():
        if name != "with guesses":
            results = LLMEngine(model, tokenizer, block_size=8, watermark=0.0, **way).generate(
                prompts, params
            )
            assert [result.text for result in results] == [result.text for result in alone], name

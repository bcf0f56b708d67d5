"""OpenAI's tokenizers, trained and released, by name: gpt2, r50k_base, cl100k_base, o200k_base.

Their files come from the mirror, the cache or a download, and are checked; see shared.corpora.
"""

from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.formats import from_ranks, parse_gpt2, parse_ranks
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from shared.corpora import File, read_file

ORIGIN = "https://openaipublic.blob.core.windows.net"
ENCODER = File(
    "tokenizers/gpt2/encoder.json",
    1_042_301,
    "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    f"{ORIGIN}/gpt-2/encodings/main/encoder.json",
)
VOCAB = File(
    "tokenizers/gpt2/vocab.bpe",
    456_318,
    "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    f"{ORIGIN}/gpt-2/encodings/main/vocab.bpe",
)
END = "<|endoftext|>"
MIDDLE = {"<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260}


def _ranks(name: str, size: int, sha256: str) -> File:
    return File(f"tokenizers/tiktoken/{name}.tiktoken", size, sha256, f"{ORIGIN}/encodings/{name}.tiktoken")


# Name: the file of ranks, the pattern, the special tokens.
RANKS: dict[str, tuple[File, str, dict[str, int]]] = {
    "r50k_base": (
        _ranks("r50k_base", 835_554, "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"),
        "gpt2",
        {END: 50256},
    ),
    "cl100k_base": (
        _ranks("cl100k_base", 1_681_126, "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"),
        "cl100k",
        {END: 100257, **MIDDLE, "<|endofprompt|>": 100276},
    ),
    "o200k_base": (
        _ranks("o200k_base", 3_613_922, "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
        "o200k",
        {END: 199999, "<|endofprompt|>": 200018},
    ),
}
NAMES = ("gpt2", *RANKS)


def load_openai_tokenizer(name: str, native: bool = True) -> Tokenizer[ByteBPE]:
    """The tokenizer of that name, one of NAMES; `native=False` keeps to Python.

    Raises ValueError for another name, and shared.corpora's CorpusError when a file cannot be had.
    """
    if name == "gpt2":
        files = read_file(ENCODER).decode(), read_file(VOCAB).decode()
        return parse_gpt2(*files, ENCODER.path, VOCAB.path, native)
    if name not in RANKS:
        raise ValueError(f"there is no tokenizer {name!r} of OpenAI's; there is {', '.join(NAMES)}")
    file, pattern, special_tokens = RANKS[name]
    return from_ranks(parse_ranks(read_file(file), file.path), pattern, special_tokens, native)

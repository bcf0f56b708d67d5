"""The corpora that are known by name: which files, pinned by checksum, and how they become splits."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

GITHUB = "https://raw.githubusercontent.com"
WORD_LANGUAGE_MODEL = f"{GITHUB}/pytorch/examples/main/word_language_model/data/wikitext-2"


@dataclass(frozen=True)
class File:
    """A file as it lies in the mirror and in the cache; without a `url` it can only come from a mirror."""

    path: str
    size: int
    sha256: str
    url: str = ""


@dataclass(frozen=True)
class Source:
    """A corpus: its licence, and for every split the files it is made from and the function that makes it."""

    licence: str
    splits: Mapping[str, tuple[tuple[File, ...], Callable[..., str]]]


def _whole(*texts: str) -> str:
    return "".join(texts)


def _first_nine_tenths(text: str) -> str:
    return text[: len(text) * 9 // 10]


def _last_tenth(text: str) -> str:
    return text[len(text) * 9 // 10 :]


def _names(digits: str) -> Callable[[str], str]:
    """The names whose hash ends in one of these hex digits: a name can be in one split only.

    The file is sorted by how common a name is, so that a cut would put all rare names in one split.
    """

    def split(text: str) -> str:
        lines = text.split()
        return "".join(
            f"{line}\n" for line in lines if hashlib.sha256(line.encode()).hexdigest()[-1] in digits
        )

    return split


def _tinystories(v2: str, v1: str) -> str:
    """All whole stories of the v2 part, each with its end mark, then the v1 part, which has no end marks.

    The v2 part is cut in the middle of its last story, which is left out.
    """
    end = "<|endoftext|>\n"
    return v2[: v2.rindex(end) + len(end)] + v1


_SHAKESPEARE = File(
    "shakespeare/input.txt",
    1_115_394,
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    f"{GITHUB}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
)
_NAMES = File(
    "names/names.txt",
    228_145,
    "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
    f"{GITHUB}/karpathy/makemore/master/names.txt",
)
# In the original the articles stand in another order; the tokens and the vocabulary are the same.
_WIKITEXT2_TRAIN = File(
    "wikitext-2/train.txt",
    10_797_148,
    "728c77e87e176af4730f9a80fc6008bcaff421a7202c1c048877c0eec3685f89",
)
_WIKITEXT2_VALID = File(
    "wikitext-2/valid.txt",
    1_121_681,
    "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
    f"{WORD_LANGUAGE_MODEL}/valid.txt",
)
_WIKITEXT2_TEST = File(
    "wikitext-2/test.txt",
    1_256_449,
    "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
    f"{WORD_LANGUAGE_MODEL}/test.txt",
)
_TINYSTORIES_V2 = File(
    "tinystories/v2-gpt4-train-part.txt",
    1_424_708,
    "5a19b936d7b53bbdac1eea03230b00161dceca24ae272f5bd8e9dbbc2a883418",
)
_TINYSTORIES_V1 = File(
    "tinystories/v1-train-part.txt",
    944_426,
    "c56cfd24fb1c542b141a396184b822a4db3672abdb4c49c6aa843171c5e822a5",
)
_TINYSTORIES_VALID = File(
    "tinystories/v1-valid-part.txt",
    794_375,
    "5fc1fb0113df62b567fb271806cd645ce8d75f59c58ca0b764c03d3b6ff34ca6",
)

SOURCES = {
    "shakespeare": Source(
        "public domain",
        {"train": ((_SHAKESPEARE,), _first_nine_tenths), "validation": ((_SHAKESPEARE,), _last_tenth)},
    ),
    "wikitext2": Source(
        "CC BY-SA 3.0",
        {
            "train": ((_WIKITEXT2_TRAIN,), _whole),
            "validation": ((_WIKITEXT2_VALID,), _whole),
            "test": ((_WIKITEXT2_TEST,), _whole),
        },
    ),
    "tinystories": Source(
        "CDLA-Sharing 1.0",
        {
            "train": ((_TINYSTORIES_V2, _TINYSTORIES_V1), _tinystories),
            "validation": ((_TINYSTORIES_VALID,), _whole),
        },
    ),
    "names": Source(
        "MIT",
        {
            "train": ((_NAMES,), _names("0123456789abcd")),
            "validation": ((_NAMES,), _names("e")),
            "test": ((_NAMES,), _names("f")),
        },
    ),
}

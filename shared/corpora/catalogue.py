"""The corpora that are known by name: which files, pinned by checksum, and how they become splits and pieces."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

GITHUB = "https://raw.githubusercontent.com"
WORD_LANGUAGE_MODEL = f"{GITHUB}/pytorch/examples/main/word_language_model/data/wikitext-2"


@dataclass(frozen=True)
class HubSplit:
    """A split of a data set of the Hugging Face hub whose rows are lines, in the column "text".

    The revision is a git commit, which pins the bytes.
    """

    dataset: str
    config: str
    split: str
    revision: str


@dataclass(frozen=True)
class File:
    """A file as it lies in the mirror and in the cache; where both lack it, it comes from `url` or the hub, if given.

    An empty `sha256` says that no checksum is known.
    """

    path: str
    size: int
    sha256: str
    url: str = ""
    hub: HubSplit | None = None


def _lines(lines: Iterable[str]) -> Iterator[str]:
    return iter(lines)


@dataclass(frozen=True)
class Entry:
    """A corpus: its licence, and for every split the files it is made from and the function that makes it.

    `pieces` joins the lines of a split to documents, where the corpus shows where they begin.
    """

    licence: str
    splits: Mapping[str, tuple[tuple[File, ...], Callable[..., str]]]
    pieces: Callable[[Iterable[str]], Iterator[str]] = _lines


def whole(*texts: str) -> str:
    """The files one after another, as they are; so a split can be read without holding it."""
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


def wikitext_articles(lines: Iterable[str]) -> Iterator[str]:
    """Whole articles: one begins at a title, " = Robert Boulter = " after an empty line.

    Titles of sections have more equals signs; a formula may look like a title, but follows upon text.
    """
    title = re.compile(r" = [^=\n]+ = \n")
    article: list[str] = []
    for line in lines:
        if title.fullmatch(line) and article and not article[-1].strip() and any(map(str.strip, article)):
            yield "".join(article)
            article = []
        article.append(line)
    if article:
        yield "".join(article)


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
_WIKITEXT103 = ("Salesforce/wikitext", "wikitext-103-v1")
_WIKITEXT103_REVISION = "b08601e04326c79dfdd32d625aee71d232d685c3"
_WIKITEXT103_TRAIN = File(
    "wikitext-103/train.txt", 0, "", hub=HubSplit(*_WIKITEXT103, "train", _WIKITEXT103_REVISION)
)
_WIKITEXT103_VALID = File(
    "wikitext-103/valid.txt",
    1_141_010,
    "77e84560fb526719a7c312c653c7ee39c0934dde27c0d4a86832641637d7c583",
    hub=HubSplit(*_WIKITEXT103, "validation", _WIKITEXT103_REVISION),
)
_WIKITEXT103_TEST = File(
    "wikitext-103/test.txt",
    1_279_610,
    "5c3f54ac993e8e6bbf53c5f531f08c50c28c98c295250883468196169e3532cc",
    hub=HubSplit(*_WIKITEXT103, "test", _WIKITEXT103_REVISION),
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

CATALOGUE = {
    "shakespeare": Entry(
        "public domain",
        {"train": ((_SHAKESPEARE,), _first_nine_tenths), "validation": ((_SHAKESPEARE,), _last_tenth)},
    ),
    "wikitext2": Entry(
        "CC BY-SA 3.0",
        {
            "train": ((_WIKITEXT2_TRAIN,), whole),
            "validation": ((_WIKITEXT2_VALID,), whole),
            "test": ((_WIKITEXT2_TEST,), whole),
        },
        wikitext_articles,
    ),
    "wikitext103": Entry(
        "CC BY-SA 3.0",
        {
            "train": ((_WIKITEXT103_TRAIN,), whole),
            "validation": ((_WIKITEXT103_VALID,), whole),
            "test": ((_WIKITEXT103_TEST,), whole),
        },
        wikitext_articles,
    ),
    "tinystories": Entry(
        "CDLA-Sharing 1.0",
        {
            "train": ((_TINYSTORIES_V2, _TINYSTORIES_V1), _tinystories),
            "validation": ((_TINYSTORIES_VALID,), whole),
        },
    ),
    "names": Entry(
        "MIT",
        {
            "train": ((_NAMES,), _names("0123456789abcd")),
            "validation": ((_NAMES,), _names("e")),
            "test": ((_NAMES,), _names("f")),
        },
    ),
}

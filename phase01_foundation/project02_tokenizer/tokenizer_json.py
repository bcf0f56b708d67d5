"""Saves and loads tokenizers as tokenizer.json, the format of the `tokenizers` library, which gives the same ids.

Characters, words and byte-level BPE each have their form in it:

    ByteBPE          a BPE model between a Split by the pattern and a ByteLevel
    WordTokenizer    a WordLevel model after a Split by GPT-2's pattern
    CharTokenizer    a BPE model without merges and without a pre-tokenizer

The library always takes special tokens for what they are; here they have to be allowed. Added tokens that are not
special are always taken, there as here.
"""

import json
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.formats import FormatError
from phase01_foundation.project02_tokenizer.given.added import (
    AddedTokens,
    begins_or_ends_in_a_word,
    can_meet,
)
from phase01_foundation.project02_tokenizer.given.byte_level import BYTE_OF, printed, unprinted
from phase01_foundation.project02_tokenizer.pretokenize import GPT2, PATTERNS
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project02_tokenizer.words import UNKNOWN, WordTokenizer
from shared.files import write_text

# The library's engine writes the end of the text as \z; `regex` writes \Z.
REGEX_OF = {name: pattern.replace(r"\Z", r"\z") for name, pattern in PATTERNS.items()}
NAME_OF = {text: name for name, text in REGEX_OF.items()} | {
    # The same patterns as others write them.
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": "gpt2",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+": "llama3",
}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def save(tokenizer: Tokenizer, path: Path) -> None:
    """Write the tokenizer as one JSON file, whole or not at all."""
    write_text(Path(path), json.dumps(to_json(tokenizer), ensure_ascii=False, indent=1) + "\n")


def load(path: Path, native: bool = True) -> Tokenizer[Any]:
    """Read a tokenizer.json of one of the forms that `save` writes, whoever has written it.

    What a post-processor would add around a text, such as a token for its beginning, is left to the caller, and so is
    what a decoder would change in a text.
    Raises FormatError for a file that is broken, and for one that asks for more than there is here.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise FormatError(f"{path} is no JSON: {problem}") from None
    try:
        return from_json(content, native)
    except ValueError as problem:
        raise FormatError(f"{path}: {problem}") from None
    except (KeyError, TypeError, AttributeError) as problem:
        raise FormatError(f"{path} is no tokenizer.json: {type(problem).__name__} {problem}") from None


def to_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The tokenizer as the contents of a tokenizer.json, from which the library makes one of the same ids.

    It has a version ("1.0"), truncation, padding, added_tokens, normalizer, pre_tokenizer, post_processor, decoder and
    model; what there is nothing of is None. Three depend on the kind: model, pre_tokenizer and decoder, in this order:

        ByteBPE: `_bpe` with tokens and merges as `printed` writes them, the two parts of a merge with a space between,
            and with the model's whole_pieces; a {"type": "Sequence", "pretokenizers": [...]} of two, the `_split` by
            the pattern's REGEX_OF and BYTE_LEVEL; BYTE_LEVEL
        WordTokenizer: {"type": "WordLevel", "vocab": ids by word, "unk_token": UNKNOWN}; the `_split` by GPT2;
            {"type": "Fuse"}, which joins
        CharTokenizer: `_bpe` with the ids by character and no merges; None; the same Fuse

    The special and added tokens stand in added_tokens, as `_added` makes them, and in the vocab by their content, as
    the library chooses their ids otherwise. Nothing in the result is shared with the tokenizer or with BYTE_LEVEL:
    whoever changes it changes nothing else. Raises TypeError for a model of another kind, naming its class.
    """
    model = tokenizer.model
    if isinstance(model, ByteBPE):
        vocab = {printed(token): id for id, token in model.tokens.items()}
        merges = [
            f"{printed(model.tokens[left])} {printed(model.tokens[right])}" for left, right in model.merges
        ]
        body = _bpe(vocab, merges, model.whole_pieces)
        pre_tokenizer = {
            "type": "Sequence",
            "pretokenizers": [_split(REGEX_OF[model.pattern]), dict(BYTE_LEVEL)],
        }
        decoder = dict(BYTE_LEVEL)
    elif isinstance(model, WordTokenizer):
        vocab = model.id_of
        body = {"type": "WordLevel", "vocab": vocab, "unk_token": UNKNOWN}
        pre_tokenizer, decoder = _split(GPT2), {"type": "Fuse"}
    elif isinstance(model, CharTokenizer):
        vocab = model.id_of
        body, pre_tokenizer, decoder = _bpe(vocab, [], False), None, {"type": "Fuse"}
    else:
        raise TypeError(f"a {type(model).__name__} has no form in a tokenizer.json")
    # The library gives an added token the next free id, unless the vocabulary has one for it.
    added = _added(tokenizer)
    body["vocab"] = vocab | {token["content"]: token["id"] for token in added}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": body,
    }


def _added(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """The added_tokens. The library looks for those that are not `normalized` first, as here for special tokens."""
    added = tokenizer.added_tokens
    return [
        {"id": id, "content": name, "single_word": name in added.single_words, "lstrip": False, "rstrip": False,
         "normalized": name in added.ids, "special": name in tokenizer.special_tokens}
        for name, id in (tokenizer.special_tokens | added.ids).items()
    ]  # fmt: skip


def _bpe(vocab: Mapping[str, int], merges: list[str], whole_pieces: bool) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": whole_pieces,
        "vocab": vocab,
        "merges": merges,
    }


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def from_json(content: Mapping[str, Any], native: bool = True) -> Tokenizer[Any]:
    """The tokenizer of a tokenizer.json's contents. Raises ValueError for what there is not here, naming it."""
    for part in ("truncation", "padding"):
        if content.get(part) is not None:
            raise ValueError(f"it has a {part}, which is not supported: {content[part]}")
    special_tokens, added_tokens = _special_and_added(content["added_tokens"])
    added_ids = special_tokens | added_tokens.ids
    if content["normalizer"] is not None:
        raise ValueError(
            f"it changes texts by the normalizer {content['normalizer']['type']}; there are none here"
        )
    body, pre_tokenizer = content["model"], content["pre_tokenizer"]
    kind, needed = body.get("type", "BPE"), set()
    if kind == "BPE" and pre_tokenizer is not None:  # added tokens can be tokens of the model too
        needed = {*BYTE_OF, *(part for merge in body["merges"] for part in _parts(merge))}
    vocab = {token: id for token, id in body["vocab"].items() if token not in added_ids or token in needed}
    for token, id in vocab.items():
        _whole(token, id)
    if kind == "WordLevel":
        if _pattern_of(pre_tokenizer) != "gpt2" or body["unk_token"] != UNKNOWN:
            raise ValueError(
                f"its words are not cut by GPT-2's pattern, or what it does not know is not {UNKNOWN}"
            )
        return Tokenizer(WordTokenizer(_in_order(vocab)), special_tokens, added_tokens)
    if kind != "BPE":
        raise ValueError(f"its model is {kind}; here there are BPE and WordLevel")
    for name in ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if body.get(name):
            raise ValueError(f"its model has {name} {body[name]!r}, which is not supported")
    if pre_tokenizer is None:
        if body["merges"] or any(len(token) != 1 for token in vocab):
            raise ValueError("it merges without a pre-tokenizer, which is not supported")
        return Tokenizer(CharTokenizer("".join(_in_order(vocab))), special_tokens, added_tokens)
    return Tokenizer(_byte_bpe(body, vocab, pre_tokenizer, native), special_tokens, added_tokens)


def _special_and_added(tokens: Any) -> tuple[dict[str, int], AddedTokens]:
    """Special tokens by name, and the others that are added; see given/added.py."""
    special_tokens, added_ids, single_words = {}, {}, set()
    for token in tokens:
        name, special = token["content"], token["special"]
        if token["lstrip"] or token["rstrip"]:
            raise ValueError(f"the added token {name!r} takes spaces away, which is not supported")
        if token["single_word"] and special:
            raise ValueError(f"the special token {name!r} must be a word of its own, which is not supported")
        (special_tokens if special else added_ids)[name] = _whole(name, token["id"])
        if token["single_word"]:
            single_words.add(name)
    # Here special tokens are looked for first, there those that are not normalized: the same, unless two can meet.
    for one, other in combinations(tokens, 2):
        theirs, ours = ((one[flag], other[flag]) for flag in ("normalized", "special"))
        if (theirs[1] - theirs[0]) != (ours[0] - ours[1]) and _can_meet(one, other):
            raise ValueError(
                f"the added tokens {one['content']!r} and {other['content']!r} can overlap: "
                f"the order in which they are looked for (special, normalized) is not supported"
            )
    return special_tokens, AddedTokens(added_ids, single_words)


def _can_meet(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    names = one["content"], other["content"]
    by_word = one["single_word"] or other["single_word"]
    return can_meet(*names) or (by_word and any(map(begins_or_ends_in_a_word, names)))


def _whole(token: str, id: Any) -> int:
    if type(id) is not int:  # JSON has other numbers too
        raise ValueError(f"the id of {token!r} is {id!r}, which is no whole number")
    return id


def _parts(merge: Any) -> list[str]:
    """A merge's two tokens, and what they make; files have a list of two, or a text with a space between."""
    parts = merge.split(" ") if isinstance(merge, str) else list(merge)
    return [*parts, "".join(parts)]


def _byte_bpe(body: Mapping[str, Any], vocab: Mapping[str, int], pre_tokenizer: Any, native: bool) -> ByteBPE:
    merges = []
    for rank, merge in enumerate(body["merges"]):
        *parts, _ = _parts(merge)
        if len(parts) != 2 or not set(parts) <= vocab.keys():
            raise ValueError(f"merge {rank}, {merge!r}, is no pair of tokens")
        merges.append((vocab[parts[0]], vocab[parts[1]]))
    tokens = {id: unprinted(token) for token, id in vocab.items()}
    whole_pieces = bool(body.get("ignore_merges"))
    return ByteBPE(tokens, merges, _pattern_before_bytes(pre_tokenizer), whole_pieces, native)


def _pattern_before_bytes(pre_tokenizer: Mapping[str, Any]) -> str:
    """The name of the pattern of a pre-tokenizer that ends in bytes."""
    steps = pre_tokenizer["pretokenizers"] if pre_tokenizer["type"] == "Sequence" else [pre_tokenizer]
    *before, last = steps
    if last["type"] != "ByteLevel" or last["add_prefix_space"] or len(before) > 1:
        names = ", ".join(step["type"] for step in steps)
        raise ValueError(f"its pre-tokenizer ({names}) is not a Split and a ByteLevel that adds no space")
    own_pattern = last.get("use_regex", True)
    if own_pattern == bool(before):
        raise ValueError("its pre-tokenizer cuts twice, or not at all")
    return "gpt2" if own_pattern else _pattern_of(before[0])


def _pattern_of(step: Mapping[str, Any] | None) -> str:
    if step is None or step["type"] != "Split" or step["behavior"] != "Isolated" or step["invert"]:
        raise ValueError(f"its pre-tokenizer is no plain Split: {step}")
    pattern = step["pattern"].get("Regex")
    if pattern not in NAME_OF:
        raise ValueError(f"its pattern is none of {', '.join(PATTERNS)}: {pattern}")
    return NAME_OF[pattern]


def _in_order(vocab: Mapping[str, int]) -> list[str]:
    tokens = sorted(vocab, key=lambda token: vocab[token])
    if [vocab[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError("the ids of its words do not go from 0 up without a gap")
    return tokens

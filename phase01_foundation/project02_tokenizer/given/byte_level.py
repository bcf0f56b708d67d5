"""Bytes as GPT-2 numbers and prints them.

A byte-level tokenizer starts from the 256 bytes, so there is no text that it cannot encode. Its files, however, are
text: each byte is written as a character of its own, a printable one, as a space or a line end would get lost.
"""


def printable_characters() -> dict[int, str]:
    """The character that stands for each byte, in the order of the characters' code points.

    Bytes that print in Latin-1 (! to ~, ¡ to ¬, ® to ÿ) stand for themselves; the other 68, in rising order, for the
    characters from U+0100 on. A space, byte 32, is thus Ġ (U+0120), and a line end is Ċ (U+010A).
    """
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in set(plain)]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}


CHARACTER_OF = printable_characters()
BYTE_OF = {character: byte for byte, character in CHARACTER_OF.items()}
BYTES = tuple(CHARACTER_OF)
"""The byte of each of the first 256 ids, in GPT-2's order; `tokenizers` trains with the same."""


def printed(token: bytes) -> str:
    """A token as GPT-2's files write it: b" the" is "Ġthe"."""
    return "".join(CHARACTER_OF[byte] for byte in token)


def unprinted(text: str) -> bytes:
    """The token that is written so. Raises ValueError for a character that stands for no byte."""
    try:
        return bytes(BYTE_OF[character] for character in text)
    except KeyError as unknown:
        raise ValueError(f"{text!r} is no byte-level token: {unknown} stands for no byte") from None

"""Characters to numbers and back: the simplest tokenizer there is."""

from collections.abc import Iterable


class CharTokenizer:
    """Gives every character of an alphabet a number, its id: 0, 1, 2, ... in the alphabet's order."""

    def __init__(self, alphabet: str):
        """Raises ValueError for an empty alphabet and for one that names a character twice."""
        if not alphabet:
            raise ValueError("the alphabet is empty: a tokenizer needs at least one character")
        if len(set(alphabet)) != len(alphabet):
            twice = sorted({character for character in alphabet if alphabet.count(character) > 1})
            raise ValueError(f"the alphabet names {', '.join(map(repr, twice))} more than once")
        self.alphabet = alphabet
        self.id_of = {character: id for id, character in enumerate(alphabet)}

    @classmethod
    def from_text(cls, text: str) -> "CharTokenizer":
        """The tokenizer whose alphabet is the characters of `text`, each once, in the order of their code points."""
        return cls("".join(sorted(set(text))))

    @property
    def vocab_size(self) -> int:
        return len(self.alphabet)

    def encode(self, text: str) -> list[int]:
        """The ids of the characters of `text`.

        Raises ValueError for a character that is not in the alphabet, naming it, its position, counted from 0, and
        the alphabet. Where there are several, it names the first.
        """
        try:
            return [self.id_of[character] for character in text]
        except KeyError:
            position, unknown = next((i, c) for i, c in enumerate(text) if c not in self.id_of)
            raise ValueError(
                f"the character {unknown!r} (U+{ord(unknown):04X}) at position {position} is not one of the "
                f"{self.vocab_size} that this tokenizer knows: {self.alphabet!r}"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text whose ids these are. Raises ValueError for an id outside 0 ... vocab_size - 1, naming it."""
        characters = []
        for id in ids:
            # A negative index would count from the alphabet's end, and hide a mistake.
            if not 0 <= id < self.vocab_size:
                raise ValueError(
                    f"there is no character with the id {id}; ids go from 0 to {self.vocab_size - 1}"
                )
            characters.append(self.alphabet[id])
        return "".join(characters)

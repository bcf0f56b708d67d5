"""Dialogues: a user and an assistant about the world, or two children. Consistent with the world's facts."""

from collections.abc import Iterator
from dataclasses import dataclass

from . import dialogue_assistant, dialogue_children, people
from .grammar import capital
from .rng import Rng
from .splits import check_split, in_split

Turn = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Turns of (role, content). Roles are "user" and "assistant", or the names of those who speak."""

    messages: tuple[Turn, ...]
    split: str

    @property
    def text(self) -> str:
        """One line a turn: "User: ...", "Mia: ..."."""
        return "\n".join(f"{capital(role)}: {content}" for role, content in self.messages)


def dialogue(index: int, split: str = "train", seed: int = 0) -> Dialogue:
    """Dialogue number `index` of a split and seed."""
    return draw_dialogue(Rng("dialogue", seed, split, index), split)


def dialogues(split: str = "train", seed: int = 0) -> Iterator[Dialogue]:
    """Endless dialogues of a split. Raises ValueError if there is no such split."""
    check_split(split)

    def stream() -> Iterator[Dialogue]:
        index = 0
        while True:
            yield dialogue(index, split, seed)
            index += 1

    return stream()


def draw_dialogue(rng: Rng, split: str) -> Dialogue:
    """A dialogue that belongs to the split: draws until one does."""
    while True:
        turns = _assistant(rng) if rng.chance(0.5) else _children(rng)
        made = Dialogue(_merged(turns), split)
        if in_split(made.text, split):
            return made


def _options(rng: Rng, *options: str) -> str:
    return rng.choose(options)


def _merged(turns: list[Turn]) -> tuple[Turn, ...]:
    """The turns, where two in a row by the same speaker are one."""
    out: list[Turn] = []
    for role, content in turns:
        if out and out[-1][0] == role:
            out[-1] = (role, f"{out[-1][1]} {content}")
        else:
            out.append((role, content))
    return tuple(out)


def _assistant(rng: Rng) -> list[Turn]:
    """A user asks, an assistant answers: two to four exchanges."""
    turns: list[Turn] = []
    if rng.chance(0.3):
        turns.append(("user", _options(rng, "Hello!", "Good morning.", "Hi there!", "Good evening.")))
        turns.append(("assistant", _options(rng, "Hello! What can I do for you?", "Good to see you. How can "
            "I help?",
                                            "Hello! What would you like to know?")))  # fmt: skip
    for number in range(rng.integer(2, 4)):
        make = rng.choose(dialogue_assistant.TOPICS)
        turns.extend(make(rng, number > 0))
    if rng.chance(0.5):
        turns.append(
            (
                "user",
                _options(rng, "Thank you.", "Thanks a lot!", "That helps, thank you.", "Very good, thanks."),
            )
        )
        turns.append(("assistant", _options(rng, "You are welcome.", "I am glad that I could help.",
        "Gladly.",
                                            "You are welcome. Come back soon!")))  # fmt: skip
    return turns


def _children(rng: Rng) -> list[Turn]:
    """Two children talk: a greeting, one or two matters, a farewell."""
    a, b = rng.sample(people.CHILDREN, 2)
    turns: list[Turn] = []
    if rng.chance(0.7):
        turns.append((a.name, _options(rng, f"Hello, {b.name}!", f"Good morning, {b.name}.",
        f"Hey, {b.name}!",
                                       f"{b.name}, wait for me!", f"There you are, {b.name}!")))  # fmt: skip
        turns.append((b.name, _options(rng, f"Hello, {a.name}! How are you?", f"Oh, hello, {a.name}!",
        "Hello! Nice to see you.",
                                       f"{a.name}! I was just looking for you.")))  # fmt: skip
    for make in rng.sample(dialogue_children.TOPICS, rng.integer(1, 3)):
        turns.extend(make(rng, *rng.shuffled((a, b))))
    if rng.chance(0.6):
        leave = "I must go home. Goodbye!" if a.name == "Zoe" else "My mother is calling. Goodbye!"
        leaves = ("I have to go now. Goodbye!", "See you tomorrow!", "Until later!", leave)
        turns.append((a.name, rng.choose(leaves)))
        turns.append(
            (
                b.name,
                _options(rng, f"Goodbye, {a.name}!", "See you soon!", "Take care!", f"Until then, {a.name}."),
            )
        )
    return turns

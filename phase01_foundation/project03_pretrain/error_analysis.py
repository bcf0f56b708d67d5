"""What kind of mistake is it? Every wrong answer to a tinyworld item goes into one of these named categories.

A score says how often a model fails, the categories say at what: numbers that are off by one want other work than
things that are made up. The rules are tried in the order of CATEGORIES, and the first that holds decides.

    failures = analyse(items, predictions)
    Console().print(table(failures, len(items)))
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from shared.tinyworld import Item, exact_match
from shared.tinyworld.grammar import number_word

# Words, parts and kinds: see the functions of these names. "In the prompt": its words stand there in a row.
CATEGORIES = {
    "empty": "no word at all",
    "form": "the answer's words, but for capitals, punctuation, or 5 where five is asked",
    "copied question": 'begins with "Question", or like the question (the prompt\'s last line): its first three '
    "words, where the answer does not begin so",
    "wrong order": "the answer's parts, two or more, in another order",
    "one missing": "the answer's parts but one",
    "one too many": "the answer's two or more parts, and one more, in any order",
    "more than the answer": "the answer's words in a row, with others around them",
    "stopped early": "the answer's beginning, with two or more parts missing",
    "wrong kind": "words where a number is asked, a list where one thing is asked, and the like",
    "yes for no": "yes for no, or no for yes",
    "another of the prompt": "something else of the prompt, which has the answer too",
    "off by one": "a number, one too high or too low",
    "off by ten": "a number, ten too high or too low: a carry is lost",
    "another number": "a number that is wrong by more",
    "repeats the prompt": "something of the prompt, which does not have the answer",
    "misspelt": "one wrong letter in four to seven, at most two in eight or more",
    "one part wrong": "two or more parts as asked, but one is another",
    "made up": "in the prompt is the answer, and not what is said",
    "not known": "neither is in the prompt: it was to be known or worked out",
}
NUMBERS = {number_word(number): str(number) for number in range(100)}


@dataclass(frozen=True)
class Failure:
    """A wrong answer and its category."""

    item: Item
    prediction: str
    category: str


def words(text: str) -> list[str]:
    """The words in small letters, without punctuation, numbers as digits: "Five red hens." is 5, red, hens."""
    found: list[str] = re.findall(r"\w+(?:['-]\w+)*", text.lower())
    return [NUMBERS.get(word, word) for word in found]


def parts(text: str) -> list[str]:
    """The items of a list with commas; of any other text, its words. Items are compared by their words alone."""
    pieces = text.split(",") if "," in text else text.split()
    joined = [" ".join(words(piece)) for piece in pieces]
    return [piece for piece in joined if piece]


def kind(text: str) -> str:
    """What a text is: "list" if it has a comma between parts, "yes or no", "number", and "words" for all others."""
    found = words(text)
    if "," in text and len(parts(text)) > 1:
        return "list"
    if found in (["yes"], ["no"]):
        return "yes or no"
    return "number" if len(found) == 1 and found[0].isdecimal() else "words"


def stands_in(run: Sequence[str], text: Sequence[str]) -> bool:
    """Whether the words of `run` stand in `text` one after another; no words at all stand nowhere."""
    size = len(run)
    return size > 0 and any(list(text[i : i + size]) == list(run) for i in range(len(text) - size + 1))


def edit_distance(first: str, second: str) -> int:
    """How many characters must be put in, taken out or replaced, at least, to make `second` of `first`.

    Levenshtein 1966, by Wagner and Fischer's table (1974): row i has the distances from the first i characters of
    `first` to each beginning of `second`; only the last row is kept.
    """
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, start=1):
        above, row = row, [i]
        for j, right in enumerate(second, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (left != right)))
    return row[-1]


def categorise(item: Item, prediction: str) -> str:
    """The name of the first of CATEGORIES that fits a wrong answer; its rules are stated there.

    Texts are compared by `words`, lists and their likes by `parts`, whose order counts for "wrong order" alone: take
    them as a Counter. Of spelling, the words joined by spaces are compared: at most `longer // 4` edits, and never
    more than two, where `longer` is the length of the longer text. A question of fewer than three words is
    copied where its words are all that is said. Raises ValueError for a right answer (`exact_match`), naming it.
    """
    if exact_match(prediction, item.answer):
        raise ValueError(f"{prediction!r} is right: there is nothing to categorise")
    said, right, prompt = words(prediction), words(item.answer), words(item.prompt)
    question = words(item.prompt.strip().split("\n")[-1])
    if not said:
        return "empty"
    if said == right:
        return "form"
    if said[0] == "question" or said[:3] == question[:3] != right[:3]:
        return "copied question"
    ours, theirs = Counter(parts(item.answer)), Counter(parts(prediction))
    missing, added = (ours - theirs).total(), (theirs - ours).total()
    several = ours.total() > 1
    if several and added == 0 and missing < 2:
        return "one missing" if missing else "wrong order"
    if several and (missing, added) == (0, 1):
        return "one too many"
    if stands_in(right, said):
        return "more than the answer"
    if said == right[: len(said)]:
        return "stopped early"
    if kind(prediction) != kind(item.answer):
        return "wrong kind"
    if kind(prediction) == "yes or no":
        return "yes for no"
    told, known = stands_in(said, prompt), stands_in(right, prompt)
    if told and known:
        return "another of the prompt"
    if kind(prediction) == "number":
        names = {1: "off by one", 10: "off by ten"}
        return names.get(abs(int(said[0]) - int(right[0])), "another number")
    if told:
        return "repeats the prompt"
    spoken, wanted = " ".join(said), " ".join(right)
    if edit_distance(spoken, wanted) <= min(2, max(len(spoken), len(wanted)) // 4):
        return "misspelt"
    if several and (missing, added) == (1, 1):
        return "one part wrong"
    return "made up" if known else "not known"


def analyse(items: Sequence[Item], predictions: Sequence[str]) -> list[Failure]:
    """The wrong predictions, in order, each with its item and category; exact match says which are wrong.

    Raises ValueError if there is not one prediction for each item.
    """
    if len(items) != len(predictions):
        raise ValueError(f"there are {len(items)} items but {len(predictions)} predictions")
    return [
        Failure(item, prediction, categorise(item, prediction))
        for item, prediction in zip(items, predictions, strict=True)
        if not exact_match(prediction, item.answer)
    ]


def table(failures: Sequence[Failure], asked: int, examples: int = 2) -> Table:
    """The categories that occur, the most frequent first: what they mean, count, share of all failures, examples."""
    made = Table(title=f"{len(failures)} of {asked} answers are wrong", title_justify="left", show_lines=True)
    for heading in ("category", "what it means"):
        made.add_column(heading)
    for heading in ("count", "share"):
        made.add_column(heading, justify="right")
    made.add_column("examples: what was said, what was right")
    for name, count in Counter(failure.category for failure in failures).most_common():
        some = [failure for failure in failures if failure.category == name][:examples]
        shown = "\n".join(_example(failure) for failure in some)
        made.add_row(name, CATEGORIES[name], str(count), f"{count / len(failures):.0%}", escape(shown))
    return made


def _example(failure: Failure) -> str:
    """One line: the question's end, what was said, and what was right."""
    question = failure.item.prompt.strip().split("\n")[-1]
    question = question if len(question) <= 60 else "…" + question[-59:]
    said = failure.prediction if len(failure.prediction) <= 60 else failure.prediction[:59] + "…"
    return f"{question} {said!r}, not {failure.item.answer!r}"

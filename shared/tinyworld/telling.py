"""How sentences are told: templates with choices, and names, pronouns and articles that fit what was said before.

A template is text with three marks:

    [big|large|huge]    one of these (they nest; an empty one is fine)
    {a} {a's} {x.it}    a person, place or thing given to the teller, in the form that the place needs
    <Look, a kite!>     direct speech, printed between double quotes

A person is named, or becomes "he" or "she" where nobody else could be meant. A thing is "a red kite" when it is
first told of and "the kite" from then on. `{A}` is `{a}` with a capital, for a sentence that follows speech.
"""

import re
from functools import cache
from typing import Any

from .grammar import article
from .people import Group, Person
from .places import Place
from .rng import Rng
from .things import Thing
from .world import FEELINGS

Part = str | tuple[str, str] | list[tuple[Any, ...]]

_MARK = re.compile(r"\{(\w+)(?:'(s)|\.(\w+))?\}|[\[\]|<>]")
_SENTENCE_END = re.compile(r"[.!?](?: |$)")
# After these words a person is an object: "gave her", not "gave she".
_TAKES_OBJECT = re.compile(
    r"\b(to|with|for|of|at|gave|saw|told|hugged|helped|held|over|behind|met|stroked|fed|showed|handed|round|from"
    r"|beside|thanked|watched|promised|by) $"
)
_INVERTED = re.compile(
    r"(\" )(said|asked|called|cried|shouted|whispered|sighed|laughed|guessed|sobbed) (he|she|they)\b"
)
_FELT = re.compile(rf"\bwas (?=(?:{'|'.join(FEELINGS)})\b)")
_LOWER_START = re.compile(r"((?:^|[.!?] )\"?|(?:^|[ ])\")([a-z])")

_SPACES = re.compile(r"  +")
_LOOSE = re.compile(r" ([.,!?])")

SUBJECT, OBJECT, POSSESSIVE, REFLEXIVE = 0, 1, 2, 3
PRONOUNS = {
    "he": ("he", "him", "his", "himself"),
    "she": ("she", "her", "her", "herself"),
    "they": ("they", "them", "their", "themselves"),
}
_CASES = {"": SUBJECT, "o": OBJECT, "s": POSSESSIVE}
_FORCED = {"he": SUBJECT, "him": OBJECT, "his": POSSESSIVE, "self": REFLEXIVE}


@cache
def parse(template: str) -> tuple[Part, ...]:
    """The template as a tuple of literal text, (key, form) pairs and lists of alternatives."""
    branches: list[list[list[Part]]] = [[[]]]
    at = 0
    for mark in _MARK.finditer(template):
        if mark.start() > at:
            branches[-1][-1].append(template[at : mark.start()])
        at = mark.end()
        match mark.group():
            case "[":
                branches.append([[]])
            case "|":
                branches[-1].append([])
            case "]":
                done = branches.pop()
                if not branches:
                    raise ValueError(f"a ']' without its '[' in the template {template!r}")
                branches[-1][-1].append([tuple(option) for option in done])
            case "<" | ">" as quote:
                branches[-1][-1].append(quote)
            case _:
                branches[-1][-1].append((mark[1], mark[2] or mark[3] or ""))
    if len(branches) > 1:
        raise ValueError(f"a '[' without its ']' in the template {template!r}")
    branches[-1][-1].append(template[at:])
    options = [tuple(option) for option in branches[0]]
    return options[0] if len(options) == 1 else (options,)


class Teller:
    """Tells sentences, and remembers who was spoken of, so that it knows when a pronoun will do."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.paragraphs: list[list[str]] = [[]]
        self.kin: dict[Any, tuple[Person, str]] = {}  # who is met as "Mia's mother Rosa", not by their work
        self.met: dict[Any, bool] = {}  # people and things that the reader has met
        self.now: list[Any] = []  # people of this sentence
        self.before: list[Any] = []  # people of the sentence before
        self.here: list[Any] = []  # people of this paragraph
        self.speech = False
        self.run = 0  # pronouns since the last name

    @property
    def text(self) -> str:
        """Everything told so far, one line a paragraph."""
        return "\n".join(" ".join(sentences) for sentences in self.paragraphs if sentences)

    def paragraph(self) -> None:
        """Begins a new paragraph, in which people are named again."""
        if self.paragraphs[-1]:
            self.paragraphs.append([])
            self.now, self.before, self.here, self.run = [], [], [], 0

    def tell(self, template: str, **refs: Any) -> None:
        """Adds the template's sentences, its marks filled from `refs`."""
        out: list[str] = []
        self._fill(parse(template), refs, out)
        if self.now:
            self.before, self.now = self.now, []
        text = _LOOSE.sub(r"\1", _SPACES.sub(" ", "".join(out))).strip()
        text = _INVERTED.sub(r"\1\3 \2", text)
        if self.rng.chance(0.3):
            text = _FELT.sub("felt ", text)
        text = _LOWER_START.sub(lambda m: m[1] + m[2].upper(), text)
        self.paragraphs[-1].append(text)

    def _fill(self, parts: tuple[Part, ...], refs: dict[str, Any], out: list[str]) -> None:
        for part in parts:
            if isinstance(part, list):
                self._fill(self.rng.choose(part), refs, out)
            elif isinstance(part, tuple):
                key, form = part
                word = self._refer(refs[key.lower()], form, out[-1] if out else "")
                out.append(word[:1].upper() + word[1:] if key[0].isupper() else word)
            elif part in ("<", ">"):
                self.speech = part == "<"
                out.append('"')
            else:
                out.append(part)
                if not self.speech:
                    ends = len(_SENTENCE_END.findall(part))
                    if ends:
                        self.before = self.now if ends == 1 else []
                        self.now = []

    def _refer(self, ref: Any, form: str, before: str) -> str:
        match ref:
            case Thing():
                return self._thing(ref, form)
            case Person() | Group():
                return self._person(ref, form, before)
            case Place():
                return ref.to if form == "to" else ref.at if form == "at" else ref.the
            case _:
                return str(ref)

    def _thing(self, thing: Thing, form: str) -> str:
        if form == "it":
            return "them" if thing.plural else "it"
        if form == "they":
            return "they" if thing.plural else "it"
        if form in ("is", "was"):
            return {"is": "are", "was": "were"}[form] if thing.plural else form
        if form == "noun":
            return thing.noun
        new = thing not in self.met
        self.met[thing] = True
        short = not new and self.rng.chance(0.7)
        name = thing.noun if short else thing.label
        if form == "n":
            return name
        if form == "a" or (new and form != "the"):
            if thing.plural or thing.mass:
                return f"some {thing.label}"
            return f"{article(thing.label)} {thing.label}"
        return f"the {name}"

    def _person(self, person: Person | Group, form: str, before: str) -> str:
        kind = person.pronoun
        if form in _FORCED:
            self._mention(person)
            return PRONOUNS[kind][_FORCED[form]]
        if not form and not self.speech and _TAKES_OBJECT.search(before):
            form = "o"
        if form != "name" and self._clear(person):
            same = self._told(person, self.now)
            if same or self.rng.chance(0.8 if self.run < 3 else 0.35):
                self.run += 1
                self._mention(person)
                return PRONOUNS[kind][_CASES[form]]
        self.run = 0
        self._mention(person)
        name = person.name
        if person not in self.met and form != "name":
            name = self._introduced(person)
        self.met[person] = True
        return f"{name}'s" if form == "s" else name

    def _introduced(self, person: Person | Group) -> str:
        if person not in self.kin:
            return person.introduction
        child, kin = self.kin[person]
        return f"{self._person(child, 's', '')} {kin} {person.name}"

    def _told(self, person: Person | Group, people: list[Any]) -> bool:
        if person in people:
            return True
        return isinstance(person, Group) and all(member in people for member in person.members)

    def _clear(self, person: Person | Group) -> bool:
        """Whether a pronoun can only mean this person.

        Either the sentence has named them and nobody else with that pronoun, or they were told of lately, and
        the paragraph has nobody else with that pronoun.
        """
        if self.speech:
            return False
        if self._told(person, self.now) and not self._rival(person, self.now):
            return True
        return self._told(person, self.before + self.now) and not self._rival(person, self.here)

    def _rival(self, person: Person | Group, people: list[Any]) -> bool:
        return any(other is not person and other.pronoun == person.pronoun for other in people)

    def _mention(self, person: Person | Group) -> None:
        if self.speech:
            # A name in speech is heard by the reader too, so that a pronoun after it could mean that person.
            self.met[person] = True
        members = person.members if isinstance(person, Group) else ()
        for someone in (person, *members):
            if someone not in self.now:
                self.now.append(someone)
            if someone not in self.here:
                self.here.append(someone)

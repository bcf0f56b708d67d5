"""The world of tinyworld: its facts agree, and every story keeps its rules."""

import re
from itertools import islice

import pytest

from shared import tinyworld
from shared.tinyworld import people
from shared.tinyworld.facts import all_facts
from shared.tinyworld.telling import parse
from shared.tinyworld.things import Thing
from shared.tinyworld.world import RuleError, World


@pytest.fixture(scope="module")
def stories() -> list[tinyworld.Document]:
    return list(islice(tinyworld.documents(seed=12, kinds=["story"]), 1000))


def test_facts_agree_with_each_other_and_with_the_stories(stories: list[tinyworld.Document]) -> None:
    answers: dict[str, set[str]] = {}
    for fact in all_facts():
        for question in fact.questions:
            answers.setdefault(question, set()).add(fact.answer)
        assert any(fact.answer in statement for statement in fact.statements), fact
    assert [question for question, given in answers.items() if len(given) > 1] == []
    ages = {child.name: child.age for child in people.CHILDREN}
    words = {
        word: n
        for n, word in enumerate(
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
        )
    }
    homes = {child.name: child.home for child in people.CHILDREN}
    told = 0
    for one in stories:
        for name, age in re.findall(r"(\w+) was (\w+) years old", one.text):
            if name in ages:
                assert words[age] == ages[name]
                told += 1
        for name, home in re.findall(r"(\w+) lived in (the \w+ house[\w ]*?)(?:\.| with)", one.text):
            if name in homes:
                assert home == homes[name]
                told += 1
    assert told > 50


def test_families_are_consistent() -> None:
    for child in people.CHILDREN:
        other = people.sibling(child)
        if other is not None:
            assert people.sibling(other) is child
            assert other.home == child.home
            assert other.family[:2] == child.family[:2]
        for parent in people.parents(child):
            assert parent.home == child.home
        assert people.EVERYONE[child.pet].role == "pet"
    assert len(people.EVERYONE) == len(people.CHILDREN + people.ADULTS + people.PETS + people.CREATURES)


class Replay:
    """An independent reading of an event log, which fails on whatever the rules forbid."""

    def __init__(self) -> None:
        self.holder: dict[str, str] = {}
        self.broken: set[str] = set()
        self.wet: set[str] = set()
        self.promised: set[tuple[str, ...]] = set()

    def step(self, event: tuple[str, ...]) -> None:
        kind, *rest = event
        thing = rest[0] if kind in ("soak", "dry", "use_up") else rest[1] if len(rest) > 1 else ""
        if kind in ("have", "take", "find", "make"):
            assert thing not in self.holder
            self.holder[thing] = rest[0]
        elif kind in ("put", "lose", "eat", "give"):
            assert self.holder.pop(thing) == rest[0]
            if kind == "give":
                self.holder[thing] = rest[2]
        elif kind == "use_up":
            self.holder.pop(thing, None)
        elif kind == "break":
            assert thing not in self.broken
            self.broken.add(thing)
        elif kind == "mend":
            self.broken.remove(thing)
        elif kind == "soak":
            self.wet.add(thing)
        elif kind == "dry":
            self.wet.remove(thing)
        elif kind == "promise":
            self.promised.add(tuple(rest))
        elif kind == "keep":
            self.promised.remove(tuple(rest))


def test_every_story_keeps_the_rules_and_closes_its_threads(stories: list[tinyworld.Document]) -> None:
    for one in stories:
        replay = Replay()
        for event in one.events:
            replay.step(event)
        assert not replay.promised, one.text
        assert not replay.wet, one.text
        whole_again = {e[2] for e in one.events if e[0] == "break"} - {
            e[2] for e in one.events if e[0] == "mend"
        }
        assert replay.broken == whole_again
        assert all("broken_cup" in one.schemas for _ in replay.broken), one.text
        lost = {e[2] for e in one.events if e[0] == "lose"}
        assert lost <= {e[2] for e in one.events if e[0] == "find"}, one.text


def test_questions_agree_with_an_independent_reading(stories: list[tinyworld.Document]) -> None:
    asked = 0
    for one in stories:
        replay = Replay()
        feelings = {}
        for event in one.events:
            replay.step(event)
            if event[0] == "feel":
                feelings[event[1]] = event[2]
        for question in one.questions:
            assert question.answer.split()[-1].lower() in one.text.lower()
            if hold := re.fullmatch(r"Who had the (.+) at the end\?", question.text):
                assert replay.holder[hold[1]] == question.answer
                asked += 1
            elif felt := re.fullmatch(r"How did (\w+) feel at the end\?", question.text):
                assert feelings[felt[1]] == question.answer
                asked += 1
            elif many := re.fullmatch(r"How many (\w+) .*", question.text):
                assert many[1] in one.text
                assert re.search(rf"\b{question.answer}\b", one.text, re.IGNORECASE)
                asked += 1
    assert asked > 1000


def test_every_event_is_told(stories: list[tinyworld.Document]) -> None:
    """The log holds nothing that the reader was not told: names, things and feelings occur in the text."""
    for one in stories:
        for kind, *rest in one.events:
            if kind in (
                "feel",
                "give",
                "take",
                "find",
                "have",
                "lose",
                "break",
                "mend",
                "make",
                "put",
                "eat",
            ):
                for word in rest:
                    assert word.split()[-1] in one.text, (kind, rest, one.text)


def test_the_world_refuses_what_its_rules_forbid() -> None:
    world, kite, box = World(), Thing("kite", "red"), Thing("box", "big")
    mia, ben = people.EVERYONE["Mia"], people.EVERYONE["Ben"]
    with pytest.raises(RuleError, match="Mia does not hold the red kite"):
        world.give(mia, kite, ben)
    world.have(mia, kite)
    with pytest.raises(RuleError, match="held already"):
        world.take(ben, kite)
    with pytest.raises(RuleError, match="must be opened first"):
        world.put(mia, kite, "in the box", inside=box)
    world.open(mia, box)
    world.put(mia, kite, "in the box", inside=box)
    with pytest.raises(RuleError, match="is not under the bed"):
        world.find(ben, kite, "under the bed")
    with pytest.raises(RuleError, match="is not broken"):
        world.mend(ben, kite)
    with pytest.raises(RuleError, match="is not wet"):
        world.dry(kite)
    with pytest.raises(RuleError, match="never promised"):
        world.keep(mia, ben, "to wait")
    with pytest.raises(RuleError, match="not one of the feelings"):
        world.feel(mia, "blue")


@pytest.mark.parametrize("template", ["[a|b", "a]"])
def test_a_template_with_an_open_bracket_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="in the template"):
        parse(template)

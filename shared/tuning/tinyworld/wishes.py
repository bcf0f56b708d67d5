"""Wishes for how an answer should be: a request, an answer that obeys a rule, and one of like length that breaks it."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.tinyworld.facts import Fact, all_facts
from shared.tinyworld.grammar import number_word
from shared.tinyworld.people import EVERYONE
from shared.tinyworld.rng import Rng
from shared.tinyworld.splits import check_split, in_split
from shared.tinyworld.words import ACTIONS

from . import manners, strangers, talk
from .rules import RULES, rule_score, words_of
from .world_facts import asked, clear_facts, stated, wrong_answers

_PEOPLE = tuple(EVERYONE)
# A rejected answer is at most so much longer or shorter than the chosen one, in characters.
_LIKE = 0.2


@dataclass(frozen=True, slots=True)
class Wish:
    """The turns before (`prompt`), an answer that obeys the rule, and a plausible one that breaks it."""

    prompt: tuple[dict[str, str], ...]
    chosen: str
    rejected: str
    rule: str
    split: str

    @property
    def text(self) -> str:
        """The prompt and both answers, to read."""
        turns = "\n".join(f"{one['role'].capitalize()}: {one['content']}" for one in self.prompt)
        return f"{turns}\n  chosen:   {self.chosen}\n  rejected: {self.rejected}"


# What identifies the wish, the user's turns and what was answered to them, the chosen and the rejected answer.
Drawn = tuple[str, list[str], str, str]


def wish(index: int, split: str = "train", seed: int = 0, rule: str | None = None) -> Wish:
    """Wish number `index` of a split and seed; by any rule, or by the one named."""
    rng = Rng("wish", seed, split, index, rule or "")
    by = rule or rng.choose(tuple(RULES))
    while True:
        key, turns, chosen, rejected = _draw(rng, split, by)
        prompt = tuple(
            {"role": "assistant" if n % 2 else "user", "content": content} for n, content in enumerate(turns)
        )
        if (
            in_split(key, split)
            and abs(len(chosen) - len(rejected)) <= _LIKE * len(chosen)
            and rule_score(by, prompt, chosen) > rule_score(by, prompt, rejected)
        ):
            return Wish(prompt, chosen, rejected, by, split)


def wishes(split: str = "train", seed: int = 0, rule: str | None = None) -> Iterator[Wish]:
    """Endless wishes of a split, by all rules or by one. Raises ValueError if the split or the rule does not exist."""
    check_split(split)
    if rule is not None and rule not in RULES:
        raise ValueError(f"there is no rule {rule!r}; choose from {', '.join(RULES)}")

    def stream() -> Iterator[Wish]:
        index = 0
        while True:
            yield wish(index, split, seed, rule)
            index += 1

    return stream()


def _draw(rng: Rng, split: str, rule: str) -> Drawn:
    match rule:
        case "polite":
            verb, rest = rng.choose(ACTIONS)
            return _refusal(rng, f"{verb} {rest}")
        case "kind":
            trouble = manners.trouble(rng)
            return (
                f"wish kind {trouble}", [_maybe_greeted(rng, rng.choose(manners.SAD).format(x=trouble))],
                rng.choose(manners.COMFORTS), rng.choose(manners.COLD),
            )  # fmt: skip
        case "full_sentences":
            return _sentences(rng)
        case "no_repetition":
            return _repetition(rng)
        case "short_enough":
            return _short(rng)
        case "says_name":
            return _named(rng)
        case "right_fact":
            return _fact(rng)
        case _:
            question = strangers.question(rng, split)
            chosen = rng.choose(manners.HONEST)
            invented = rng.choose(manners.INVENTED).format(x=manners.made_up(rng, question))
            return f"unknown {question}", [talk.lead(rng, question, False)], chosen, invented


def _maybe_greeted(rng: Rng, said: str) -> str:
    return f"{rng.choose(('Hello!', 'Good evening.', 'Hey.'))} {said}" if rng.chance(0.25) else said


def _refusal(rng: Rng, what: str) -> Drawn:
    ask = rng.choose(manners.REQUESTS).format(x=what, X=what[0].upper() + what[1:])
    chosen = rng.choose(manners.REFUSALS).format(x=what)
    return f"wish polite {what}", [_maybe_greeted(rng, ask)], chosen, rng.choose(manners.RUDE).format(x=what)


def _about(rng: Rng, count: int) -> tuple[str, list[Fact]]:
    """Somebody, and some facts about them."""
    name = rng.choose(_PEOPLE)
    facts = [fact for fact in all_facts() if fact.subject == name]
    return name, rng.sample(facts, count)


def _lines(rng: Rng, facts: list[Fact]) -> list[str]:
    return [rng.choose(fact.statements) for fact in facts]


def _sentences(rng: Rng) -> Drawn:
    name, facts = _about(rng, 2)
    ask = rng.choose(manners.TELL_ABOUT).format(n=name)
    phrases = {one.fact: one.phrase for one in asked()}
    one, two = facts
    notes = f"{phrases[one]} {one.answer}, {phrases[two]} {two.answer}"
    lines = _lines(rng, facts)
    small = " and ".join(line[0].lower() + line[1:].rstrip(".") for line in lines)
    return (
        f"wish about {name}",
        [ask],
        " ".join(lines),
        rng.choose((notes, small, small[: small.rindex(" ")])),
    )


def _repetition(rng: Rng) -> Drawn:
    name, facts = _about(rng, rng.integer(2, 3))
    lines = _lines(rng, facts)
    ask = rng.choose(manners.TELL_THINGS).format(n=name, k=number_word(len(lines)))
    again = [*lines[:-1], lines[0]] if rng.chance(0.5) else [lines[-1], *lines[1:]]
    return f"wish about {name}", [ask], " ".join(lines), " ".join(again)


def _short(rng: Rng) -> Drawn:
    name, facts = _about(rng, 2)
    one, two = sorted(
        (" ".join(_lines(rng, facts[:k])) for k in rng.choose(((1, 1), (1, 2), (2, 2)))),
        key=lambda text: len(words_of(text)),
    )
    low, high = len(words_of(one)), len(words_of(two))
    limit = rng.integer(low, max(low, high - 1))
    shown = str(limit) if rng.chance(0.3) else number_word(limit)
    return f"wish about {name}", [rng.choose(manners.TELL_SHORT).format(n=name, k=shown)], one, two


def _named(rng: Rng) -> Drawn:
    name = strangers.any_name(rng)
    greeting = talk.tells_name(rng, name)
    ask, answers = rng.choose(manners.CALLS)
    chosen = rng.choose(answers)
    other = rng.choose(("you there", "my friend", "dear", "everyone", "stranger"))
    turns = [greeting.user, greeting.assistant, ask] if rng.chance(0.5) else [f"{greeting.user} {ask}"]
    return (
        f"name {name}",
        turns,
        chosen.format(n=name),
        rng.choose((chosen, rng.choose(answers))).format(n=other),
    )


def _fact(rng: Rng) -> Drawn:
    one = rng.choose(clear_facts())
    number = rng.integer(0, 11)
    ask = rng.choose(manners.WRITE_ABOUT).format(it=one.phrase)
    wrong = rng.choose(wrong_answers(one.fact))
    right, false = stated(one.fact, number, one.fact.answer), stated(one.fact, number, wrong)
    opening = rng.choose(("", "", "Here it is. ", "Gladly. ", "As far as I know, this is so. "))
    return f"wish fact {one.phrase}", [ask], opening + right, opening + false

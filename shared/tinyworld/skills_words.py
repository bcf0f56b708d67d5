"""Skills over words: following a format, rewriting, opposites, categories."""

from .facts import all_facts
from .grammar import past, plural, with_article
from .people import ADULTS, CHILDREN
from .rng import Rng
from .words import ACTIONS, CATEGORIES, OPPOSITES, VERBS

Made = tuple[str, str, int | None]
_WHEN = ("every day", "in the morning", "on Sundays", "after lunch", "before school", "in the evening",
"on Fridays",
         "at noon", "in spring", "with great care", "very slowly", "without a word")  # fmt: skip


def formatting(rng: Rng, split: str) -> Made:
    """An answer in a given form: with dashes, as key and value, in capitals, in exactly three words."""
    del split
    kind = rng.integer(0, 5)
    if kind == 0:
        words = rng.sample(rng.choose(tuple(CATEGORIES.values())), rng.integer(2, 4))
        ask = rng.choose(("Write this as a list with dashes: {}.", "Put each of these on its own line after "
            "a dash: {}.",
                          "Make a list with a dash before each word: {}."))  # fmt: skip
        return ask.format(", ".join(words)), "\n".join(f"- {word}" for word in words), None
    if kind == 1:
        child = rng.choose(CHILDREN)
        keys = {"age": str(child.age), "food": child.food, "colour": child.colour, "pet": child.pet,
                "hobby": child.hobby, "birthday": child.month}  # fmt: skip
        chosen = rng.sample(tuple(keys), rng.integer(1, 2))
        ask = rng.choose(("Answer as \"key: value\". What is the {} of {}?", "Give the {} of {}, each as "
            "\"key: value\".",
                          "Write \"key: value\" for the {} of {}."))  # fmt: skip
        return (
            ask.format(" and the ".join(chosen), child.name),
            "\n".join(f"{k}: {keys[k]}" for k in chosen),
            None,
        )
    if kind == 2:
        verb, rest = rng.choose(ACTIONS)
        sentence = f"{rng.choose(CHILDREN).name} {past(verb)} {rest}"
        ask = rng.choose(
            ("Write this in capital letters: {}.", "Say it in capitals: {}.", "Make all letters big: {}.")
        )
        return ask.format(sentence), sentence.upper(), None
    if kind == 3:
        fact = rng.choose([f for f in all_facts() if f.kind in ("food", "colour")])
        child = fact.subject
        what = "food" if fact.kind == "food" else "colour"
        ask = rng.choose(("Answer in exactly three words: NAME likes WHAT. Which {} does {} like best?",
                          "In three words, NAME likes WHAT: what {} does {} love?"))  # fmt: skip
        return ask.format(what, child), f"{child} likes {fact.answer}", None
    if kind == 4:
        verb, rest = rng.choose(ACTIONS)
        words = f"{rng.choose(CHILDREN).name} {past(verb)} {rest} {rng.choose(_WHEN)}".split()
        ask = rng.choose(("Give only the first three words: {}.", "Cut this after three words: {}."))
        return ask.format(" ".join(words)), " ".join(words[:3]), None
    words = rng.sample(rng.choose(tuple(CATEGORIES.values())), rng.integer(2, 4))
    ask = rng.choose(("Number these words, one on each line: {}.", "Make a numbered list: {}."))
    return ask.format(", ".join(words)), "\n".join(f"{i}. {word}" for i, word in enumerate(words, 1)), None


def rewriting(rng: Rng, split: str) -> Made:
    """A sentence in the past tense, with another name, about "she", or a noun in the plural."""
    del split
    kind = rng.integer(0, 4)
    verb, rest = rng.choose(ACTIONS)
    who, other = rng.sample(CHILDREN + ADULTS, 2)
    when = rng.choose(_WHEN)
    if kind == 0:
        ask = rng.choose(
            (
                "Put into the past: They {}.",
                "Write this in the past tense: They {}.",
                "Say that it happened long ago: They {}.",
            )
        )
        return ask.format(f"{verb} {rest} {when}"), f"They {past(verb)} {rest} {when}.", None
    if kind == 1:
        sentence = f"{{}} {past(verb)} {rest} {when}."
        ask = rng.choose(
            (
                "Write {} in place of {}: {}",
                "Change the name {1} to {0}: {2}",
                "Say the same of {}, not of {}: {}",
            )
        )
        return ask.format(other.name, who.name, sentence.format(who.name)), sentence.format(other.name), None
    if kind == 2:
        man = rng.chance(0.5)
        one = (
            f"{'He' if man else 'She'} {past(verb)} {rest} with {'his' if man else 'her'} {rng.choose(_KIN)}."
        )
        two = (
            one.replace("He ", "She ").replace("his", "her")
            if man
            else one.replace("She ", "He ").replace("her ", "his ", 1)
        )
        ask = rng.choose(("Change he to she, or she to he: {}", "Turn the man into a woman, or the woman "
            "into a man: {}",
                          "Swap he and she: {}"))  # fmt: skip
        return ask.format(one), two, None
    if kind == 3:
        noun = rng.choose(_NOUNS)
        ask = rng.choose(
            (
                "What is the plural of {}?",
                "One {}, two what?",
                "Say it for many: {}.",
                "Write {} in the plural.",
            )
        )
        return ask.format(noun), plural(noun), None
    base = rng.choose(VERBS)
    ask = rng.choose(
        (
            "What is the past tense of {}?",
            "Today I {}. What did I do yesterday?",
            "Put the verb into the past: {}.",
        )
    )
    return ask.format(base), past(base), None


_KIN = ("friend", "cousin", "uncle", "aunt", "neighbour", "teacher", "dog", "cat")
_NOUNS = (
    *(
        word
        for kind in (
            "animal",
            "bird",
            "insect",
            "fruit",
            "vegetable",
            "tool",
            "vehicle",
            "flower",
            "job",
            "room",
        )
        for word in CATEGORIES[kind]
        if word not in ("pliers", "spinach", "celery", "broccoli")
    ),
    *("child", "foot", "tooth", "goose", "mouse", "sheep", "fish", "leaf", "loaf", "knife", "shelf", "scarf"),
    *(
        "story",
        "box",
        "bush",
        "dish",
        "fox",
        "brush",
        "lady",
        "baby",
        "city",
        "day",
        "key",
        "watch",
        "half",
        "calf",
    ),
)


def opposites(rng: Rng, split: str) -> Made:
    """The opposite of a word."""
    del split
    pair = rng.choose(OPPOSITES)
    word, answer = pair if rng.chance(0.5) else (pair[1], pair[0])
    ask = rng.choose((
        "What is the opposite of {}?", "Give the opposite of {}.", "Not {}, but the opposite:", "Which word "
        "means the opposite of {}?",
        "Name the word that is the opposite of {}.", "The opposite of {} is what?", "If it is not {}, it is "
        "what?"
        if word in _ADJECTIVES else "What do we call the opposite of {}?",
    ))  # fmt: skip
    return ask.format(word), answer, None


_ADJECTIVES = frozenset(word for pair in OPPOSITES[:20] for word in pair)


# A robin is a bird and an animal: the wider kinds are not asked for beside the narrower.
_KINDS = tuple(kind for kind in CATEGORIES if kind != "animal")


def categories(rng: Rng, split: str) -> Made:
    """Which word is an animal, which does not belong, what kind of thing something is."""
    del split
    kinds = rng.sample(_KINDS, 4)
    kind = rng.integer(0, 2)
    if kind == 0:
        words = [rng.choose(CATEGORIES[k]) for k in kinds]
        ask = rng.choose(
            ("Which of these is {}: {}?", "Find {} in this list: {}.", "One of these words is {}: {}. Which?")
        )
        return ask.format(with_article(kinds[0]), ", ".join(rng.shuffled(words))), words[0], None
    if kind == 1:
        odd = rng.choose(CATEGORIES[kinds[1]])
        words = [*rng.sample(CATEGORIES[kinds[0]], 3), odd]
        ask = rng.choose(
            (
                "Which word does not belong: {}?",
                "Find the odd one out: {}.",
                "Which of these is of another kind: {}?",
            )
        )
        return ask.format(", ".join(rng.shuffled(words))), odd, None
    word = rng.choose(CATEGORIES[kinds[0]])
    options = rng.shuffled(kinds[:3])
    ask = rng.choose(("What is the word {}: {}?", "What does {} name: {}?"))
    return ask.format(f"\"{word}\"", ", ".join(with_article(o) for o in options[:-1]) +
    f" or {with_article(options[-1])}"), \
        with_article(kinds[0]), None  # fmt: skip

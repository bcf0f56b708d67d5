"""Questions about a story, answered from the log of its events alone."""

from dataclasses import dataclass

from .grammar import number_word


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its one answer."""

    text: str
    answer: str


def questions(events: tuple[tuple[str, ...], ...], text: str) -> list[Question]:
    """What can be asked about a story: each question has one answer, and its words occur in the text."""
    asked: dict[str, list[str]] = {}

    def ask(question: str, answer: str) -> None:
        asked.setdefault(question, []).append(answer)

    for event in events:
        match event:
            case ("lose", name, thing):
                ask(f"What did {name} lose?", f"the {thing}")
            case ("find", name, thing, spot):
                ask(f"Where did {name} find the {thing}?", spot)
                ask(f"Who found the {thing}?", name)
            case ("give", name, thing, to):
                ask(f"Who gave the {thing} to {to}?", name)
                ask(f"What did {name} give to {to}?", f"the {thing}")
            case ("break", _, thing):
                ask("What broke?", f"the {thing}")
            case ("mend", name, thing):
                ask(f"Who mended the {thing}?", name)
            case ("soak", thing):
                ask("What got wet?", f"the {thing}")
            case ("promise", name, to, what):
                ask(f"What did {name} promise {to}?", what)
            case ("eat", name, thing):
                ask(f"What did {name} have to eat?", f"the {thing}")
            case ("make", name, thing):
                ask(f"What did {name} make?", f"the {thing}")
            case ("open", name, thing):
                ask(f"What did {name} open?", f"the {thing}")
            case ("count", what, number):
                ask(f"How many {what}?", number_word(int(number)))
            case ("weather", kind):
                ask("What was the weather like?", kind)
            case ("hide", name, spot):
                ask(f"Where did {name} hide?", spot)
            case ("about", thing, what):
                ask(f"What was the {thing} about?", what)
            case ("paint", name, what):
                ask(f"What did {name} paint?", what)
            case ("fed", name, what):
                ask(f"What did {name} get to eat?", what)
            case ("riddle", name, answer):
                ask(f"What was the answer to {name}'s riddle?", answer)
            case ("play", name, what):
                ask(f"What did {name} play on?", what)
            case ("sum", one, two, total):
                ask(f"How much is {one} and {two}?", total)
            case _:
                pass
    for question, answer in _at_the_end(events).items():
        asked[question] = [answer]
    lower = text.lower()
    return [
        Question(question, answers[0])
        for question, answers in asked.items()
        if len(set(answers)) == 1 and _told(answers[0], lower)
    ]


def _at_the_end(events: tuple[tuple[str, ...], ...]) -> dict[str, str]:
    """Questions about how things stand at the end: the last event of each kind counts."""
    holder: dict[str, str] = {}
    spot: dict[str, str] = {}
    feeling: dict[str, str] = {}
    walks: dict[str, list[str]] = {}
    for event in events:
        match event:
            case ("have" | "take" | "find" | "make", name, thing, *_):
                holder[thing] = name
                spot.pop(thing, None)
            case ("give", _, thing, to):
                holder[thing] = to
            case ("put", _, thing, where):
                holder.pop(thing, None)
                spot[thing] = where
            case ("lose" | "eat", _, thing) | ("use_up", thing):
                holder.pop(thing, None)
                spot.pop(thing, None)
            case ("feel", name, how):
                feeling[name] = how
            case ("go", name, place):
                walks.setdefault(name, []).append(place)
            case _:
                pass
    out = {f"Who had the {thing} at the end?": name for thing, name in holder.items()}
    out |= {f"Where was the {thing} at the end?": where for thing, where in spot.items()}
    out |= {f"How did {name} feel at the end?": how for name, how in feeling.items()}
    out |= {
        f"Where did {name} go last?": "to " + places[-1] for name, places in walks.items() if len(places) > 1
    }
    return out


def _told(answer: str, text: str) -> bool:
    """Whether the reader was told: the answer's last word occurs in the text."""
    return answer.split()[-1].lower() in text

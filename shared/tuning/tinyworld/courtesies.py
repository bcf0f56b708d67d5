"""What people put around a question or leave out of it: a few words before or after, a capital, the last mark.

Without this, a model that has seen each wording only in one dress is thrown by a "please help me" before it.
"""

import re

from shared.tinyworld.people import EVERYONE
from shared.tinyworld.rng import Rng

# How many prompts get a manner.
SHARE = 1 / 3

# Before anything.
LEADS = (
    "I have a question.", "Please help me.", "Can you help me?", "Excuse me.", "Hello!", "One thing, please.",
    "Good morning.", "Here is something for you.", "I need your help.", "Listen.", "Now to something else.",
    "Help me with this.", "Are you ready?", "Let us begin.", "Try this.", "You are clever, I hear.",
)  # fmt: skip
# Before a single question only: an order does not follow well.
ASKING_LEADS = (
    "Tell me this:", "Please tell me:", "I wonder:", "Now say:", "My friend asks:", "What I want to know is this:",
    "Can you tell me this?", "I would like to ask this:", "Somebody at school asked me:",
)  # fmt: skip
# After anything, and after a question only.
TAILS = (
    "Thank you!", "Thanks.", "Please answer.", "Thank you for your help.", "Can you help me?",
    "I cannot do it alone.", "I am waiting for the answer.", "Please help me.", "Do not take too long.",
    "You can do that.",
)  # fmt: skip
ASKING_TAILS = ("I need to know.", "That is my question.", "I hope you know.", "I want to know it.")

_ONE_QUESTION = re.compile(r"[^.?!:\n]+\?")
_MARKS = ".?!"
# What is filled in and has no letter or mark that must stay: a question, a phrase with a capital.
_OPEN_FILLS = ("{q}", "{It}", "{W}", "{Where}")


def mannered(rng: Rng, prompt: str, template: str, exact: bool) -> str:
    """The prompt as it is, or, one time in three, with a manner; `template` is what it was made from.

    Where a prompt is `exact`, its letters and marks are part of what is asked, and stay; and nothing is put behind
    words that are to be copied or changed. What stands around several lines gets lines of its own.
    """
    if not rng.chance(SHARE):
        return prompt
    ways = ["lead"]
    if prompt[-1] in _MARKS and (not exact or prompt[-1] == "?"):
        ways += ["tail", "both"]
    if not exact:
        ways += [way for way, fits in (("small", _may_be_small), ("bare", _may_be_bare)) if fits(template)]
        ways += ["small and bare"] if len(ways) == 5 else []
    way = rng.choose(ways)
    if "small" in way:
        prompt = prompt[0].lower() + prompt[1:]
    if "bare" in way:
        prompt = prompt.rstrip(_MARKS)
    between = "\n" if "\n" in prompt else " "
    if way in ("lead", "both"):
        leads = LEADS + ASKING_LEADS if _ONE_QUESTION.fullmatch(prompt) else LEADS
        prompt = f"{rng.choose(leads)}{between}{prompt}"
    if way in ("tail", "both"):
        tails = TAILS + ASKING_TAILS if prompt[-1] == "?" else TAILS
        prompt = f"{prompt}{between}{rng.choose(tails)}"
    return prompt


def _may_be_small(template: str) -> bool:
    """Whether it begins with a word of its own, that is no name, no "I" and nothing that is filled in as it is."""
    return template.startswith(_OPEN_FILLS) or re.split(r"\W", template, maxsplit=1)[0] not in (
        "",
        "I",
        *EVERYONE,
    )


def _may_be_bare(template: str) -> bool:
    """Whether it ends in a mark of its own: the end of a story or of a sentence that is given is not cut."""
    return template.endswith("{q}") or template[-1] in _MARKS

"""tinyworld: a small closed world in simple English, generated from a seed. Standard library only.

The people, animals and places of Applebrook are fixed; stories, dialogues, sums and instructions about them are
drawn from a seed. The same seed gives the same bytes on every machine. No document and no prompt is in two splits.

    text(split, seed, characters)      pre-training text: stories, dialogues, facts, sums, items
    documents(split, seed, kinds)      the same, one by one, with what is known about each
    instructions(split, seed, skills)  items with one right answer
    dialogues(split, seed)             turns of (role, content)
    preferences(split, seed)           chosen and rejected answers, by a stated rule
    evaluation(split, per_skill)       fixed items for exact-match evaluation; `score` scores predictions

`python -m shared.tinyworld sample --kind story` shows some of it; `stats` measures it.
"""

from .dialogues import Dialogue, dialogue, dialogues
from .documents import ALPHABET, KINDS, Document, document, documents, text
from .evaluation import Score, evaluation, exact_match, score
from .items import SKILLS, Item, instructions, item
from .preferences import RULES, Preference, preference, preferences, prefers, rule_score
from .questions import Question
from .splits import SPLITS, split_of
from .version import version

__all__ = [
    "ALPHABET", "KINDS", "RULES", "SKILLS", "SPLITS", "Dialogue", "Document", "Item", "Preference", "Question", "Score",
    "dialogue", "dialogues", "document", "documents", "evaluation", "exact_match", "instructions", "item", "preference",
    "preferences", "prefers", "rule_score", "score", "split_of", "text", "version",
]  # fmt: skip

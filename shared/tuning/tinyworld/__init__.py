"""The fine-tuning data of tinyworld: exercises in many wordings, conversations, and wishes. Standard library only.

The people and things are tinyworld's, and so is its way to draw them: the same seed gives the same bytes on every
machine. What is asked for, not how it is worded, decides the split: no exercise, no stranger's name and no wish is
in two splits.

    exercises(split, seed, skills, phrasings, worked)   questions with one checkable answer
    evaluation(split, per_skill, phrasings)             fixed ones; `score` scores what was written to them
    conversations(split, seed, worked)                  one to five turns each; `answers_well` judges the last answer
    wishes(split, seed, rule)                           a chosen and a rejected answer; `rule_score` judges any

Phrasings are "train", "held_out" (of the same manner, none of them in train) and "foreign" (of another manner: terse,
chatty, in another order). In the wordings of train, one prompt in three has a manner too: a greeting before it, thanks
after it, a small letter at its beginning or no mark at its end. `python -m shared.tuning.tinyworld sample` shows some.
"""

from .conversations import Conversation, answers_well, conversation, conversations
from .drawing import KINDS, SKILLS, WORKED, Exercise, evaluation, exercise, exercises
from .kind import PHRASINGS
from .rules import RULES, rule_score
from .scoring import Score, final_answer, is_right, score
from .version import version
from .wishes import Wish, wish, wishes

__all__ = [
    "KINDS", "PHRASINGS", "RULES", "SKILLS", "WORKED", "Conversation", "Exercise", "Score", "Wish", "answers_well",
    "conversation", "conversations", "evaluation", "exercise", "exercises", "final_answer", "is_right", "rule_score",
    "score", "version", "wish", "wishes",
]  # fmt: skip

"""The fine-tuning data of tinyworld: exercises in many wordings, talks, and wishes for how an answer should be."""

from .exercise import KINDS, SKILLS, WORKED, Exercise, evaluation, exercise, exercises
from .kind import PHRASINGS
from .scoring import Score, final_answer, is_right, score
from .version import version

__all__ = [
    "KINDS", "PHRASINGS", "SKILLS", "WORKED", "Exercise", "Score", "evaluation", "exercise", "exercises",
    "final_answer", "is_right", "score", "version",
]  # fmt: skip

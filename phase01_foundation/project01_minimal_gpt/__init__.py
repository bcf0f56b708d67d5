"""Project 1, minimal GPT: a character-level language model, from tokenizer to sampled text."""

from shared.overlay import overlay

__path__ = overlay(__path__)

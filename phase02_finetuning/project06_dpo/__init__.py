"""Project 6, DPO and GRPO: a model learns what is preferred, from pairs of answers and from rewards."""

from shared.overlay import overlay

__path__ = overlay(__path__)

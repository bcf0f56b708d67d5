"""Project 7, Mixed precision: training and inference with half the bits, and what has to stay exact."""

from shared.overlay import overlay

__path__ = overlay(__path__)

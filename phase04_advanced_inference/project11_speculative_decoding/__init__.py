"""Project 11, Speculative decoding: several tokens a pass, and the text that the model would write alone."""

from shared.overlay import overlay

__path__ = overlay(__path__)

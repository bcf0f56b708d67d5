"""Project 11, Speculative decoding: several tokens a pass of the model, and the text is the one it would have written."""

from shared.overlay import overlay

__path__ = overlay(__path__)

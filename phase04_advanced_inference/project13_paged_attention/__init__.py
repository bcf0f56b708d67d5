"""Project 13, Paged attention: TODO: what it is, in half a sentence."""

from shared.overlay import overlay

__path__ = overlay(__path__)

"""Project 10, prompt caching: what was read once, for one text, is not read again for the next that begins alike."""

from shared.overlay import overlay

__path__ = overlay(__path__)

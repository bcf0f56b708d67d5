"""Project 13, Paged attention: texts lie in blocks, anywhere in memory, and share what they have in common."""

from shared.overlay import overlay

__path__ = overlay(__path__)

"""Project 28, serving: an OpenAI-compatible server over the engine that projects 8 to 13 have built."""

from shared.overlay import overlay

__path__ = overlay(__path__)

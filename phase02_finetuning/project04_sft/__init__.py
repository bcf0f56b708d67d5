"""Project 4, supervised fine-tuning: from a model that goes on with a text to one that answers."""

from shared.overlay import overlay

__path__ = overlay(__path__)

"""Project 3, pre-training: a Llama, read from other people's checkpoints or trained from scratch."""

from shared.overlay import overlay

__path__ = overlay(__path__)

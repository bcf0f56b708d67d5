"""Project 8, KV cache: keys and values that are computed once, and steps that are as fast as memory."""

from shared.overlay import overlay

__path__ = overlay(__path__)

"""Project 8, KV cache: TODO: what it is, in half a sentence."""

from shared.overlay import overlay

__path__ = overlay(__path__)

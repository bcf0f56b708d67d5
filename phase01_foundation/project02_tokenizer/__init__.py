"""Project 2, tokenizer: byte-level BPE from the pattern to the file formats, readable first, then fast."""

from shared.overlay import overlay

__path__ = overlay(__path__)

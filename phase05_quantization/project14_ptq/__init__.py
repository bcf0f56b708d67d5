"""Project 14, post-training quantization: a trained model in eight, four, three or two bits a weight."""

from shared.overlay import overlay

__path__ = overlay(__path__)

"""Project 5, LoRA and QLoRA: fine-tuning that trains a hundredth of the parameters, over frozen or 4-bit weights."""

from shared.overlay import overlay

__path__ = overlay(__path__)

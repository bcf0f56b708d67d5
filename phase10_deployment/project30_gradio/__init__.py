"""Project 30, Gradio: a chat page on the server, which shows what the engine does while it answers."""

from shared.overlay import overlay

__path__ = overlay(__path__)

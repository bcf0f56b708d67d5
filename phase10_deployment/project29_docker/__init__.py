"""Project 29, Docker: the server in a container, what keeps it small, stoppable and harmless, and several of them."""

from shared.overlay import overlay

__path__ = overlay(__path__)

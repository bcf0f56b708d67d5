"""Project 12, dynamic batching: an engine that decides anew in every step which texts go on, and by how much."""

from shared.overlay import overlay

__path__ = overlay(__path__)

"""Project 11's Proposer, as one whose kind can be checked while tests run."""

from typing import Protocol, runtime_checkable

from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Proposer


@runtime_checkable
class Guesser(Proposer, Protocol):
    """Guesses how texts go on: an NGramProposer, a DraftProposer, an MTPProposer, …"""

"""What a rule finds: its name, where, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A fault that a rule found, at a place: a line, or an object of a cluster."""

    rule: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}: {self.message}"


def rules(faults: list[Fault]) -> list[str]:
    """The names of the rules that were broken, in order, each as often as it was."""
    return [fault.rule for fault in faults]

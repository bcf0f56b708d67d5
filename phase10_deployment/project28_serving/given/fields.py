"""The fields of an object, each of its type and in its range, or an ApiError that names it; null is absent."""

from collections.abc import Mapping
from typing import Any

from phase10_deployment.project28_serving.given.errors import ApiError


def kind(value: Any) -> str:
    """What JSON calls it."""
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "true or false",
        int: "a whole number",
    }
    return names.get(type(value), "a number" if isinstance(value, float) else "null")


class Fields:
    """An object's fields by name. `where` is what stands before a name in messages, as "stream_options."."""

    def __init__(self, content: Mapping[str, Any], where: str = ""):
        self.content, self.where = content, where

    def has(self, name: str) -> bool:
        """Whether it is there, and not null."""
        return self.content.get(name) is not None

    def wrong(self, name: str, allowed: str, code: str | None = None) -> ApiError:
        """The error of a field: what is allowed, and what came, by its kind, or by value where that is a number."""
        value = self.content.get(name)
        came = (
            str(value)[:40] if isinstance(value, int | float) and not isinstance(value, bool) else kind(value)
        )
        return ApiError(f"{self.where}{name} must be {allowed}, not {came}", self.where + name, code=code)

    def text(self, name: str, default: str = "", longest: int = 1_000_000) -> str:
        """A string."""
        value = self.content.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > longest:
            raise self.wrong(name, f"a string of at most {longest} characters")
        return value

    def whole(self, name: str, low: int, high: int, default: int) -> int:
        """A whole number from low to high; 1.0 is none."""
        value = self.content.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(name, f"a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float, default: float) -> float:
        """A number from low to high."""
        value = self.content.get(name)
        if value is None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(name, f"a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self.content.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def object(self, name: str) -> "Fields":
        """An object's own fields; none where it is absent."""
        value = self.content.get(name)
        if value is None:
            return Fields({}, f"{self.where}{name}.")
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return Fields(value, f"{self.where}{name}.")

    def texts(self, name: str, most: int, longest: int = 1000) -> tuple[str, ...]:
        """A string, or an array of at most `most` strings, none of them empty."""
        value = self.content.get(name)
        if value is None:
            return ()
        values = [value] if isinstance(value, str) else value
        fine = isinstance(values, list) and len(values) <= most
        if not fine or not all(isinstance(one, str) and 0 < len(one) <= longest for one in values):
            raise self.wrong(
                name, f"a string or an array of at most {most} strings, of 1 to {longest} characters each"
            )
        return tuple(values)

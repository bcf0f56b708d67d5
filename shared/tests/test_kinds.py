import math
from typing import Literal

import numpy as np
import pytest

from shared.kinds import check_kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (3, int),
        (np.int64(3), int),
        (3, float),
        (1e-5, float),
        (np.float32(0.5), float),
        (True, bool),
        ("a", str),
        (None, int | None),
        (3, int | None),
        (2.5, float | None),
        ((1, 2), tuple[int, ...]),
        ("a", Literal["a", "b"]),
    ],
)
def test_right_kinds(value, kind):
    check_kind("x", value, kind)


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (32.0, int, "a whole number, not 32.0"),
        (True, int, "a whole number, not True"),
        ("3", int, "a whole number, not '3'"),
        (None, int, "a whole number, not None"),
        (2.0, int | None, "a whole number or nothing, not 2.0"),
        (math.nan, float, "a finite number, not nan"),
        (math.inf, float, "a finite number, not inf"),
        (10**400, float, "a finite number"),
        (True, float, "a finite number, not True"),
        ("false", bool, "true or false, not 'false'"),
        (0, bool, "true or false, not 0"),
        (5, str, "a text, not 5"),
    ],
)
def test_wrong_kinds(value, kind, words):
    with pytest.raises(ValueError, match=f"x must be {words}"):
        check_kind("x", value, kind)

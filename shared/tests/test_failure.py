"""A failure's message keeps what a learner can use, and nothing of the tools' own talk."""

import pytest

from shared.ladder.failure import without_noise


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        ("assert 3 == 6\n +  where 3 = total([1, 2, 3])", "assert 3 == 6\n +  where 3 = total([1, 2, 3])"),
        (
            "assert False\n +  where False = equal(tensor([1,\n        2]), tensor([1,\n        3]))\n"
            " +    where equal = torch.equal",
            "assert False\n +    where equal = torch.equal",
        ),
        ("assert False\n +  where False = equal(tensor([1, 2]))", "assert False"),
        ("assert A\n +  where A = <B object at 0x7f>.c", "assert A"),
        (
            "assert 1 == 2\nFalsifying example: test_x(\n    text='0',\n)\n"
            "Explanation:\n    These lines were always and only run by failing examples:\n        /a.py:3\n\n"
            "You can reproduce this example by temporarily adding @reproduce_failure('6', b'A') as a decorator",
            "assert 1 == 2\nFalsifying example: test_x(\n    text='0',\n)",
        ),
        ("two lines\n\n  of the learner's own", "two lines\n\n  of the learner's own"),
    ],
)
def test_noise_goes_and_facts_stay(message, plain):
    assert without_noise(message) == plain

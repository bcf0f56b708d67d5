from phase04_advanced_inference.project11_speculative_decoding.given.kinds import rate, tokens_a_pass
from phase04_advanced_inference.project11_speculative_decoding.speculation import Written


def test_the_end_of_a_text_counts_as_a_token():
    without = [Written(0, [3], 0, 0), Written(0, [4], 0, 0), Written(0, [], 0, 0)]
    assert tokens_a_pass(without) == 1
    # Three written; then two, and the end in the place of the third of four guesses that stayed.
    assert tokens_a_pass([Written(0, [1, 2, 3], 4, 2), Written(0, [4, 5], 4, 4)]) == 3


def test_the_rate_of_acceptance_is_over_what_was_judged():
    assert rate([Written(0, [1, 2, 3], 4, 2), Written(0, [4, 5], 4, 4)]) == 6 / 7

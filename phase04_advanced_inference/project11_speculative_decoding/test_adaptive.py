"""The number of guesses follows the rate of acceptance, text by text."""

import pytest

from phase04_advanced_inference.project11_speculative_decoding.adaptive import AdaptiveLength
from phase04_advanced_inference.project11_speculative_decoding.expected import best_count
from shared.testing import raises

task = pytest.mark.task(7)


@task
def test_before_anything_is_known_the_prior_counts():
    lengths = AdaptiveLength(0.1, 0.05, prior=0.6)
    assert lengths.rate(3) == pytest.approx(0.6)
    assert lengths.length(3) == best_count(0.6, 0.1, 0.05, 8)


@task
def test_the_rate_is_what_was_seen_with_old_things_counting_less():
    lengths = AdaptiveLength(0.1, prior=0.5, weight=2.0, memory=0.5)
    lengths.update(0, 4, 3)
    assert lengths.rate(0) == pytest.approx((3 + 1) / (4 + 2))
    lengths.update(0, 2, 2)
    assert lengths.rate(0) == pytest.approx((1.5 + 2 + 1) / (2 + 2 + 2))
    lengths.update(0, 5, 0)
    assert lengths.rate(0) == pytest.approx((1.75 + 1) / (2 + 1 + 2))


@task
def test_texts_do_not_share_what_was_seen():
    lengths = AdaptiveLength(0.1)
    lengths.update(0, 4, 0)
    lengths.update(1, 4, 4)
    assert lengths.rate(0) < lengths.rate(2) < lengths.rate(1)
    lengths.forget(0)
    lengths.forget(17)
    assert lengths.rate(0) == lengths.rate(2)


@task
def test_it_follows_the_text():
    lengths = AdaptiveLength(0.4, 0.05, most=6)
    for _ in range(30):
        count = lengths.length(0)
        lengths.update(0, count, count)
    assert lengths.length(0) == 6
    seen = []
    for _ in range(30):
        count = lengths.length(0)
        seen.append(count)
        lengths.update(0, count, 0)
    assert sorted(seen[:8], reverse=True) == seen[:8]
    assert 0 in seen


@task
def test_a_text_that_was_hard_to_guess_is_tried_again():
    lengths = AdaptiveLength(0.4, 0.1, prior=0.7, memory=0.9)
    while lengths.length(0):
        lengths.update(0, 1, 0)
    rate = lengths.rate(0)
    lengths.update(0, 0, 0)
    assert lengths.rate(0) > rate
    for _ in range(60):
        lengths.update(0, 0, 0)
    assert lengths.length(0) > 0


@task
def test_the_length_is_the_best_for_the_costs():
    cheap, dear = AdaptiveLength(0.02, most=8), AdaptiveLength(0.5, most=8)
    places = AdaptiveLength(0.02, 0.5, most=8)
    for lengths in (cheap, dear, places):
        lengths.update(0, 8, 7)
    assert cheap.length(0) > dear.length(0)
    assert cheap.length(0) > places.length(0)
    assert cheap.length(0) == best_count(cheap.rate(0), 0.02, 0.0, 8)
    assert places.length(0) == best_count(places.rate(0), 0.02, 0.5, 8)
    assert AdaptiveLength(0.0, most=3, prior=1.0).length(0) == 3


@task
def test_an_outcome_that_cannot_be_is_named_and_changes_nothing():
    lengths = AdaptiveLength(0.1)
    lengths.update(0, 4, 2)
    before = lengths.rate(0)
    for guessed, accepted in ((3, 4), (3, -1)):
        with raises(ValueError, guessed, accepted):
            lengths.update(0, guessed, accepted)
    assert lengths.rate(0) == before


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"guess_cost": -0.1}, -0.1),
        ({"guess_cost": 0.1, "place_cost": -1.0}, -1.0),
        ({"guess_cost": 0.1, "most": 0}, 0),
        ({"guess_cost": 0.1, "prior": 1.5}, 1.5),
        ({"guess_cost": 0.1, "weight": 0.0}, 0.0),
        ({"guess_cost": 0.1, "memory": 2.0}, 2.0),
    ],
)
def test_settings_that_cannot_be_are_named(settings, named):
    with raises(ValueError, named):
        AdaptiveLength(**settings)

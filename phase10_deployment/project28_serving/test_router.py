"""Routing: where a beginning goes again, and who gets nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project28_serving.router import NoReplicaError, PrefixRouter
from shared.testing import raises

pytestmark = pytest.mark.task(8)
A, B, C = "http://a", "http://b", "http://c"


def make(urls=(A, B, C), **settings):
    return PrefixRouter(list(urls), **{"block_size": 4, "slack": 2, **settings})


def send(router, prompt, salt=""):
    """Route a request to its end."""
    hashes = router.hashes(prompt, salt)
    url = router.choose(hashes)
    router.begin(url, hashes)
    router.end(url)
    return url


def test_hashes_are_of_full_blocks_with_all_before_them():
    router = make()
    one, two = router.hashes(b"aaaabbbbccc"), router.hashes(b"aaaabbbbcccc")
    assert len(one) == 2
    assert two[:2] == one
    assert router.hashes(b"bbbb")[0] not in two
    assert router.hashes(b"aaab") != one[:1]
    assert not set(router.hashes(b"aaaabbbb", "ada")) & set(one)
    assert router.hashes(b"abc") == []
    assert router.hashes("é".encode() * 2) == router.hashes(b"\xc3\xa9\xc3\xa9")


def test_those_that_failed_may_come_one_by_one():
    router = make()
    assert router.choose([], but=iter([B, A])) == C


def test_a_conversation_stays_where_it_is():
    router = make()
    talk, places = b"system prompt of ada. ", set()
    router.begin(B, router.hashes(talk))
    router.end(B)
    for turn in range(6):
        talk += f"turn {turn} and its answer. ".encode()
        places.add(send(router, talk))
    assert places == {B}


def test_the_longest_beginning_wins():
    router = make()
    router.begin(A, router.hashes(b"aaaabbbb"))
    router.begin(B, router.hashes(b"aaaabbbbccccdddd"))
    router.begin(C, router.hashes(b"xxxxbbbbccccdddd"))
    for url in (A, B, C):
        router.end(url)
    asked = router.hashes(b"aaaabbbbcccceeee")
    assert [router.matched(url, asked) for url in (A, B, C)] == [2, 3, 0]
    assert router.choose(asked) == B


def test_a_gap_ends_a_match():
    router = make()
    whole = router.hashes(b"aaaabbbbcccc")
    router.begin(A, [whole[0], whole[2]])
    assert router.matched(A, whole) == 1


def test_without_a_match_the_least_busy_is_chosen_and_of_equals_the_first():
    router = make()
    assert router.choose([]) == A
    router.begin(A, [])
    assert router.choose([]) == B
    router.begin(B, [])
    assert router.choose([]) == C
    router.begin(C, [])
    router.end(B)
    assert router.choose([]) == B


def test_of_equal_matches_the_least_busy():
    router = make()
    hashes = router.hashes(b"aaaa")
    for url in (A, B):
        router.begin(url, hashes)
    router.end(B)
    assert router.choose(hashes) == B


def test_a_crowd_is_passed_by():
    router = make()
    hashes = router.hashes(b"aaaabbbb")
    seen = []
    for _ in range(7):
        url = router.choose(hashes)
        router.begin(url, hashes)
        seen.append(url)
    assert seen[:3] == [A, A, A]
    assert seen[3] == B
    router = make(slack=0)
    router.begin(A, hashes)
    assert router.choose(hashes) == B
    router.begin(B, [])
    router.begin(C, [])
    assert router.choose(hashes) == A


def test_the_dead_are_left_out_and_forgotten():
    router = make()
    hashes = router.hashes(b"aaaabbbb")
    router.begin(B, hashes)
    router.end(B)
    assert router.choose(hashes) == B
    router.mark(B, False)
    assert router.choose(hashes) == A
    router.mark(B, True)
    assert router.matched(B, hashes) == 0
    assert router.choose(hashes) == A
    router.mark(A, True)
    router.begin(C, hashes)
    router.mark(C, True)
    assert router.matched(C, hashes) == 2


def test_the_dead_do_not_make_others_look_crowded():
    router = make(urls=(A, B))
    hashes = router.hashes(b"aaaa")
    for _ in range(5):
        router.begin(A, hashes)
    router.mark(B, False)
    assert router.choose(hashes) == A


def test_who_has_failed_a_request_does_not_get_it_again():
    router = make()
    hashes = router.hashes(b"aaaa")
    router.begin(A, hashes)
    router.end(A)
    assert router.choose(hashes, [A]) == B
    assert router.choose(hashes, [A, B]) == C
    with raises(NoReplicaError, 3):
        router.choose(hashes, [A, B, C])
    router.mark(C, False)
    with raises(NoReplicaError, 3):
        router.choose(hashes, [A, B])
    assert router.choose(hashes) == A


def test_what_was_used_last_is_kept_and_a_beginning_outlives_its_end():
    router = make(urls=(A,), most_blocks=4)
    old, new = router.hashes(b"aaaabbbbcccc"), router.hashes(b"xxxxyyyy")
    router.begin(A, old)
    router.begin(A, new)
    assert len(router.replicas[A].held) == 4
    assert [router.matched(A, one) for one in (old, new)] == [2, 2]
    router.begin(A, old[:2])
    router.begin(A, router.hashes(b"zzzz"))
    assert [router.matched(A, one) for one in (old, new)] == [2, 1]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.booleans()), max_size=40))
def test_nothing_in_flight_is_lost(moves):
    router, open_requests = make(slack=1), []
    for letter, blocks, ends in moves:
        hashes = router.hashes(letter.encode() * 4 * blocks)
        url = router.choose(hashes)
        router.begin(url, hashes)
        open_requests.append(url)
        if ends:
            router.end(open_requests.pop(0))
        flying = {one: open_requests.count(one) for one in (A, B, C)}
        assert {one.url: one.in_flight for one in router.replicas.values()} == flying
        assert router.matched(url, hashes) == len(hashes)


@pytest.mark.parametrize(("urls", "slack", "facts"), [([], 1, ()), ([A, B, A], 1, (A,)), ([A], -1, (-1,))])
def test_no_such_router(urls, slack, facts):
    with raises(ValueError, *facts):
        PrefixRouter(urls, slack=slack)

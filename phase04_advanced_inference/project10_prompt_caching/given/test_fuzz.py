import pytest

from phase04_advanced_inference.project10_prompt_caching.given.fuzz import Fuzz


def forgets_a_reference(pool):
    whole = pool.release
    pool.release = lambda blocks: whole(blocks[:-1])


def takes_nothing(pool):
    pool.take = lambda blocks: None


def leaves_it_in_the_index(pool):
    pool._unpublish = lambda block: pool.keys.__setitem__(block, None)


def releases_from_the_front(pool):
    whole = pool.release
    pool.release = lambda blocks: whole(list(reversed(blocks)))


def publishes_twins(pool):
    pool._find, whole = lambda key: None, pool._find
    whole_publish = pool.publish

    def publish(block, key):
        parent = None if key.parent is None else whole(key.parent)
        pool._find = lambda asked: parent if asked is key.parent else None
        return whole_publish(block, key)

    pool.publish = publish


@pytest.mark.parametrize(
    "spoil",
    [forgets_a_reference, takes_nothing, leaves_it_in_the_index, releases_from_the_front, publishes_twins],
)
def test_it_finds_what_is_broken(spoil):
    """A check that cannot fail is worse than none."""
    fuzz = Fuzz(0)
    spoil(fuzz.pool)
    with pytest.raises(AssertionError, match="operation"):
        fuzz.run(2000)

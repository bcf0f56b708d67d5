"""Puts stories together: opening, episodes, ending."""

from . import (
    episodes_animals,
    episodes_friends,
    episodes_home,
    episodes_lost,
    episodes_mended,
    episodes_outside,
    episodes_wood,
    episodes_wood_food,
    episodes_work,
    openings,
)
from .rng import Rng
from .splits import in_split
from .story import Schema, Story, Told

SCHEMAS: tuple[Schema, ...] = (
    episodes_lost.SCHEMAS
    + episodes_mended.SCHEMAS
    + episodes_friends.SCHEMAS
    + episodes_outside.SCHEMAS
    + episodes_animals.SCHEMAS
    + episodes_home.SCHEMAS
    + episodes_work.SCHEMAS
    + episodes_wood.SCHEMAS
    + episodes_wood_food.SCHEMAS
)

# Where each realm's stories can turn: what can come first, and what closes each thread.
_STARTERS = {
    realm: tuple(s for s in SCHEMAS if s.realm in (realm, "both") and not s.closes)
    for realm in ("village", "wood")
}
_CLOSERS = {
    (realm, opener.opens): tuple(
        s for s in SCHEMAS if s.closes == opener.opens and s.realm in (realm, "both")
    )
    for realm in ("village", "wood")
    for opener in SCHEMAS
    if opener.opens
}


def story(rng: Rng, split: str) -> Told:
    """A story of this split: openings are drawn until one falls into it (see `splits`)."""
    while True:
        s = Story(rng, "wood" if rng.chance(0.25) else "village")
        plan = _plan(s)
        openings.open_story(s, plan[0])
        if in_split(s.teller.text, split):
            break
    for number, schema in enumerate(plan):
        s.paragraph()
        if number:
            _bridge(s, schema)
        if s.chance(0.4):
            s.cast(s.b, s.a)
        schema.tell(s)
        s.schemas.append(schema.name)
    s.paragraph()
    openings.end_story(s)
    return Told(s.teller.text, tuple(s.schemas), tuple(s.events), (s.hero.name, s.friend.name))


def _plan(s: Story) -> list[Schema]:
    """The story's episodes: those that open a thread are followed, sooner or later, by one that closes it."""
    count = s.rng.weighted(((1, 2), (2, 5), (3, 3)))
    plan: list[Schema] = []
    while len(plan) < count:
        schema = s.rng.choose(_STARTERS[s.realm])
        if schema in plan or not _fits(s, schema):
            continue
        if schema.opens:
            if any(other.opens for other in plan):
                continue
            closer = s.rng.choose(_CLOSERS[s.realm, schema.opens])
            if not _fits(s, closer):
                continue
            if len(plan) + 2 < count and s.chance(0.6):
                # Something else happens in between.
                between = s.rng.choose(_STARTERS[s.realm])
                if not between.opens and between not in plan and _fits(s, between):
                    return [*plan, schema, between, closer]
            return [*plan, schema, closer]
        plan.append(schema)
    return plan


def _fits(s: Story, schema: Schema) -> bool:
    if s.hero.name in schema.unfit or s.friend.name in schema.unfit:
        return False
    return not schema.weather or s.weather in schema.weather.split()


def _bridge(s: Story, schema: Schema) -> None:
    """Moves the story to where the next episode can happen, and lets time pass."""
    if s.hours < 1 and s.chance(0.3):
        s.hours += 1
    fits = schema.where or (s.place,)
    if s.place in fits and not (schema.outdoors and s.indoors()):
        if not schema.closes and s.chance(0.6):
            s.say(
                "But that was not all.|The {time} was not over yet.|[Then|A little later] something else happened.",
                time=s.time,
            )  # fmt: skip
        return
    s.travel(s.rng.choose(fits) if schema.where else s.rng.choose([p for p in s.places if p.outdoors]))

"""The things of the world, by kind, with the adjectives that suit them."""

from dataclasses import dataclass

from .rng import Rng


@dataclass(eq=False, slots=True)
class Thing:
    """One thing of one story."""

    noun: str
    adjective: str = ""
    plural: bool = False
    mass: bool = False
    kind: str = ""
    wet: bool = False
    broken: bool = False

    @property
    def label(self) -> str:
        """ "red kite": the name by which events tell this thing from others."""
        return f"{self.adjective} {self.noun}" if self.adjective else self.noun


# Each kind: its nouns ("+" before a plural, "~" before what is not counted) and the adjectives that suit them all.
KINDS: dict[str, tuple[str, str]] = {
    "toy": (
        "ball, kite, doll, drum, puppet, spinning top, toy boat, toy train, teddy bear, yo-yo, whistle, "
        "hoop, "
        "wooden horse, balloon, flute, bucket, spade, toy car, puzzle, +marbles, +blocks, rattle, trumpet, "
        "robot",
        "red, blue, green, yellow, orange, purple, little, big, striped, shiny, new, old, spotted",
    ),
    "breakable": (
        "toy boat, kite, drum, doll, music box, toy train, wooden horse, lantern, clock, chair, sledge, "
        "puppet, "
        "birdhouse, basket, +skates, scooter, wheelbarrow, ladder, umbrella, toy car",
        "red, blue, green, yellow, little, old, pretty, striped, wooden, white",
    ),
    "flyer": (
        "ball, kite, balloon, hoop, paper plane, rubber ring, feather ball, glider",
        "red, blue, green, yellow, orange, purple, striped, new, big, little, spotted, white",
    ),
    "carrier": ("basket, bag, bucket, sack, bowl, crate, wheelbarrow, hat box, tub", "big, old, brown, "
    "green, blue, new"),
    "light": (
        "hat, scarf, cap, shawl, ribbon, cape, paper crown, drawing, straw hat, handkerchief",
        "red, blue, green, yellow, striped, old, new, pretty, purple, spotted, white",
    ),
    "clothing": (
        "hat, scarf, coat, jumper, cap, sock, ribbon, shawl, apron, cape, +mittens, +gloves, +boots, "
        "+slippers, "
        "jacket, dress, belt, shirt",
        "red, blue, green, yellow, brown, striped, woollen, warm, old, new, soft, purple, spotted",
    ),
    "treasure": (
        "coin, ring, key, shell, feather, pearl, button, bell, medal, bracelet, pebble, brooch, crystal, "
        "necklace, "
        "whistle, compass, marble, stamp",
        "silver, golden, shiny, tiny, smooth, blue, green, red, strange, old, pretty, round, white",
    ),
    "book": (
        "storybook, map, picture, letter, diary, songbook, atlas, comic, postcard, drawing, cookbook",
        "old, new, thick, thin, blue, red, green, funny, torn, little, pretty",
    ),
    "container": (
        "box, basket, bag, chest, drawer, suitcase, tin, jar, trunk, sack, cupboard, barrel",
        "big, old, wooden, brown, heavy, round, green, blue, dusty, small",
    ),
    "gift": (
        "scarf, book, drum, kite, puzzle, teddy bear, lantern, flute, bracelet, cake, +skates, +mittens, "
        "music box, globe, watch, telescope, paintbox, sledge, mug, paint set",
        "red, blue, green, yellow, little, big, new, pretty, shiny, silver, purple, orange, striped",
    ),
    "tool": (
        "hammer, rake, spade, saw, ladder, rope, broom, bucket, lantern, shovel, needle, brush, basket, hoe",
        "old, long, new, heavy, small, rusty, strong, big, wooden, green",
    ),
    "snack": (
        "apple, pear, plum, peach, bun, sandwich, pie, muffin, cookie, pancake, pretzel, banana, carrot, "
        "tart, waffle, melon, orange, roll",
        "big, sweet, fresh, warm, tasty, little, round, golden",
    ),
    "bread": ("loaf, bun, roll, cake, pie, tart, pretzel, muffin, bagel, gingerbread man", "fresh, warm, "
    "round, "
              "golden, big, sweet, crisp"),
    "wildfood": (
        "acorn, nut, mushroom, apple, pear, turnip, carrot, pumpkin, cabbage, chestnut, pine cone, plum, "
        "radish",
        "big, sweet, ripe, round, fresh, juicy, golden, little, huge",
    ),
    "woodthing": (
        "feather, pebble, button, pine cone, shell, bell, ribbon, brooch, bead, coin, acorn cup, marble, "
        "lantern, "
        "walnut boat, thimble, mirror, spoon",
        "shiny, tiny, golden, silver, smooth, red, green, blue, old, pretty, round, strange",
    ),
    "flower": (
        "rose, tulip, daisy, sunflower, lily, poppy, violet, daffodil, bluebell, buttercup, lilac, "
        "geranium, pansy",
        "red, white, yellow, little, tall, pretty, wild, pale, blooming",
    ),
    "seedling": ("bean, sunflower, pumpkin, pea plant, tomato plant, marigold, strawberry plant, tulip, "
    "melon, "
                 "radish, rose, cabbage, lettuce, pepper plant", ""),
}  # fmt: skip

# Words that would only say the noun again, or do not go with it.
_CLASHES = {
    (adjective, noun)
    for adjective, nouns in {
        "big": "needle",
        "blue": "acorn cup, cake, coin, pine cone",
        "crisp": "cake, loaf",
        "dusty": "jar",
        "fresh": "pine cone",
        "golden": (
            "acorn cup, banana, cabbage, carrot, crystal, feather, melon, mushroom, orange, "
            "pebble, pine cone, plum, radish, shell, stamp, walnut boat"
        ),
        "green": "cake, coin, feather, pearl",
        "heavy": "jar, needle",
        "juicy": "acorn, chestnut, mushroom, nut, pine cone",
        "little": "sunflower",
        "long": "basket, bucket, lantern",
        "old": "balloon, crystal, pebble",
        "orange": "cake",
        "pale": "sunflower",
        "purple": "cake",
        "red": (
            "acorn cup, bluebell, buttercup, cake, coin, daffodil, daisy, lilac, pearl, pine "
            "cone, sunflower, violet, walnut boat"
        ),
        "ripe": "acorn, mushroom, pine cone",
        "round": (
            "acorn, banana, bracelet, brooch, carrot, chest, crystal, cupboard, drawer, feather, "
            "gingerbread man, key, necklace, ribbon, ring, sack, sandwich, spoon, stamp, "
            "suitcase, trunk, whistle"
        ),
        "rusty": "basket, broom, brush, ladder, rope",
        "shiny": "acorn cup, cake, feather, mittens, pine cone, scarf, stamp, teddy bear, walnut boat",
        "silver": (
            "acorn cup, cake, crystal, mittens, pebble, pine cone, scarf, stamp, teddy bear, walnut boat"
        ),
        "smooth": (
            "bell, bracelet, brooch, compass, feather, key, medal, necklace, pine cone, ribbon, stamp"
        ),
        "spotted": "whistle",
        "striped": "cake, music box, puzzle",
        "strong": "needle",
        "sweet": "acorn, cabbage, loaf, mushroom, pine cone",
        "tall": "daisy, pansy, violet",
        "tiny": "necklace",
        "torn": "atlas",
        "warm": "apple, banana, belt, carrot, melon, orange, peach, pear, plum, ribbon",
        "white": "bluebell, buttercup, coin, compass, key, medal, poppy, sunflower",
        "wooden": ("bag, jar, kite, lantern, needle, rope, sack, saw, suitcase, tin, umbrella, wooden horse"),
        "woollen": "belt, boots, ribbon",
        "yellow": "bluebell, cake, lilac, violet, yo-yo",
    }.items()
    for noun in nouns.split(", ")
}


def _expand(nouns: str, adjectives: str) -> tuple[tuple[str, bool, bool, tuple[str, ...]], ...]:
    rows = []
    for mark in nouns.split(", "):
        noun = mark.lstrip("+~")
        fits = tuple(a for a in adjectives.split(", ") if (a, noun) not in _CLASHES)
        rows.append((noun, mark[0] == "+", mark[0] == "~", fits))
    return tuple(rows)


POOLS = {kind: _expand(*words) for kind, words in KINDS.items()}


def pick(rng: Rng, kind: str, taken: list[str]) -> Thing:
    """A new thing of this kind whose noun is none of the `taken` ones."""
    while True:
        noun, is_plural, is_mass, adjectives = rng.choose(POOLS[kind])
        if noun not in taken:
            return Thing(noun, rng.choose(adjectives), is_plural, is_mass, kind)

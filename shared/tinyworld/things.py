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
    dirty: bool = False

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
        "music box, globe, watch, telescope, paintbox, sledge, mug, photo",
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
    "seedling": ("bean, sunflower, pumpkin, pea plant, tomato plant, apple tree, strawberry plant, tulip, "
    "melon, "
                 "radish, rose, cherry tree, lettuce, pepper plant", ""),
}  # fmt: skip

# Words that would only say the noun again, or do not go with it.
_CLASHES = {
    ("wooden", "wooden horse"), ("wooden", "balloon"), ("round", "ball"), ("striped", "puzzle"),
    ("spotted", "whistle"), ("golden", "leaf"), ("striped", "music box"), ("old", "balloon"),
    ("silver", "scarf"), ("little", "acorn cup"), ("silver", "+mittens"), ("silver", "cake"), ("shiny",
    "scarf"),
    ("shiny", "cake"), ("blue", "cake"), ("green", "cake"), ("shiny", "mittens"), ("silver", "mittens"),
    ("purple", "cake"), ("orange", "cake"), ("red", "cake"), ("striped", "cake"), ("yellow", "cake"),
    ("silver", "teddy bear"), ("shiny", "teddy bear"), ("new", "photo"), ("wooden", "umbrella"),
    ("wooden", "kite"), ("wooden", "lantern"), ("woollen", "belt"), ("woollen", "ribbon"), ("woollen",
    "boots"),
    ("warm", "ribbon"), ("warm", "belt"), ("round", "key"), ("round", "feather"), ("smooth", "bell"),
    ("round", "brooch"), ("smooth", "feather"), ("torn", "atlas"), ("round", "drawer"), ("heavy", "jar"),
    ("dusty", "jar"), ("wooden", "bag"), ("wooden", "sack"), ("wooden", "jar"), ("wooden", "tin"),
    ("round", "sack"), ("round", "trunk"), ("round", "suitcase"), ("round", "cupboard"), ("round", "chest"),
    ("wooden", "suitcase"), ("wooden", "rope"), ("rusty", "rope"), ("rusty", "broom"), ("rusty", "basket"),
    ("wooden", "needle"), ("wooden", "saw"), ("rusty", "ladder"), ("rusty", "brush"), ("big", "needle"),
    ("heavy", "needle"), ("long", "bucket"), ("long", "basket"), ("long", "lantern"), ("strong", "needle"),
    ("round", "sandwich"), ("golden", "carrot"), ("golden", "plum"), ("golden", "banana"), ("warm", "apple"),
    ("warm", "pear"), ("warm", "plum"), ("warm", "peach"), ("warm", "banana"), ("warm", "carrot"),
    ("warm", "melon"), ("warm", "orange"), ("round", "banana"), ("round", "carrot"), ("golden", "orange"),
    ("golden", "melon"), ("crisp", "cake"), ("crisp", "loaf"), ("round", "gingerbread man"), ("sweet",
    "loaf"),
    ("sweet", "mushroom"), ("ripe", "mushroom"), ("ripe", "acorn"), ("juicy", "acorn"), ("juicy", "nut"),
    ("juicy", "mushroom"), ("sweet", "acorn"), ("sweet", "pine cone"), ("ripe", "pine cone"),
    ("juicy", "pine cone"), ("fresh", "pine cone"), ("juicy", "chestnut"), ("golden", "cabbage"),
    ("golden", "mushroom"), ("golden", "carrot"), ("golden", "radish"), ("sweet", "cabbage"), ("round",
    "acorn"),
    ("golden", "feather"), ("round", "leaf"), ("round", "stick"), ("round", "twig"), ("shiny", "leaf"),
    ("silver", "leaf"), ("silver", "twig"), ("silver", "stick"), ("golden", "stick"), ("blue", "leaf"),
    ("blue", "stick"), ("golden", "twig"), ("blue", "twig"), ("blue", "pine cone"), ("silver", "pine cone"),
    ("red", "pine cone"), ("red", "twig"), ("red", "stick"), ("shiny", "twig"), ("shiny", "stick"),
    ("shiny", "pine cone"), ("golden", "pine cone"), ("round", "ribbon"), ("smooth", "ribbon"), ("round",
    "spoon"),
    ("smooth", "pine cone"), ("smooth", "leaf"), ("blue", "acorn cup"), ("silver", "acorn cup"),
    ("golden", "acorn cup"), ("red", "acorn cup"), ("shiny", "acorn cup"), ("red", "walnut boat"),
    ("silver", "walnut boat"), ("golden", "walnut boat"), ("shiny", "walnut boat"), ("white", "sunflower"),
    ("pale", "sunflower"), ("red", "sunflower"), ("red", "daisy"), ("red", "violet"), ("yellow", "violet"),
    ("red", "bluebell"), ("white", "bluebell"), ("yellow", "bluebell"), ("red", "buttercup"), ("red",
    "daffodil"),
    ("white", "buttercup"), ("white", "poppy"), ("yellow", "lilac"), ("red", "lilac"),
    ("little", "sunflower"), ("tall", "violet"), ("tall", "pansy"), ("tall", "daisy"), ("yellow", "yo-yo"),
    ("golden", "shell"), ("green", "pearl"), ("red", "pearl"), ("blue", "coin"), ("green", "coin"),
    ("red", "coin"), ("white", "coin"), ("green", "feather"), ("white", "key"), ("white", "medal"),
    ("smooth", "key"), ("smooth", "brooch"), ("smooth", "stamp"), ("round", "stamp"), ("golden", "stamp"),
    ("silver", "stamp"), ("shiny", "stamp"), ("shiny", "feather"), ("smooth", "necklace"), ("smooth",
    "compass"),
    ("white", "compass"), ("smooth", "medal"), ("round", "crystal"), ("old", "pebble"), ("old", "crystal"),
    ("golden", "pebble"), ("silver", "pebble"), ("golden", "crystal"), ("silver", "crystal"), ("tiny",
    "necklace"),
    ("round", "necklace"), ("round", "bracelet"), ("round", "whistle"), ("round", "ring"), ("smooth",
    "bracelet"),
}  # fmt: skip


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

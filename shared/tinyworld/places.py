"""The places of the world. They never change; every story happens in them."""

from dataclasses import dataclass


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """A place: its name, how one is there, whether it is under the sky, and what stands there."""

    name: str
    preposition: str
    outdoors: bool
    spots: tuple[str, ...]  # where a thing can lie, each with its preposition
    sights: tuple[str, ...]  # what a visitor notices there

    @property
    def the(self) -> str:
        """The place with its article."""
        return self.name

    @property
    def at(self) -> str:
        """Where somebody is: "in the park"."""
        return f"{self.preposition} {self.name}"

    @property
    def to(self) -> str:
        """Where somebody goes: "to the park"."""
        return f"to {self.name}"


def _place(name: str, preposition: str, outdoors: bool, spots: str, sights: str) -> Place:
    return Place(name, preposition, outdoors, tuple(spots.split(", ")), tuple(sights.split(", ")))


PARK = _place("the park", "in", True,
    "under the bench, behind the fountain, beside the swings, under the chestnut tree, near the gate",
    "the fountain splashed, the leaves of the chestnut tree danced, pigeons walked over the path, "
    "children laughed on the swings")  # fmt: skip
GARDEN = _place("the garden", "in", True,
    "under the rose bush, behind the shed, beside the pond, under the apple tree, between the cabbages",
    "bees hummed over the roses, a snail crossed the path, the tomatoes shone, the sunflowers stood tall")  # fmt: skip
RIVER = _place("the river", "by", True,
    "under the bridge, between two stones, beside the old boat, in the reeds, behind a log",
    "the water gurgled over the stones, a dragonfly hung in the air, small fish flashed in the water, "
    "the reeds whispered")  # fmt: skip
BEACH = _place("the beach", "on", True,
    "beside the rocks, under a striped umbrella, in a hole in the sand, behind the boats, near the pier",
    "waves rolled over the sand, a gull cried, the boats rocked, shells lay everywhere")  # fmt: skip
HILL = _place("the hill", "on", True,
    "behind the big rock, beside the bench, under the lonely pine, in the long grass, near the wall",
    "sheep were grazing, one could see the whole village, the grass bent like waves, a hawk circled")  # fmt: skip
WOOD = _place("the wood", "in", True,
    "under a fern, behind a mossy stone, in a hollow tree, beside the path, between the roots of the oak",
    "a woodpecker was knocking, the light was green, pine needles covered the ground, a twig snapped")  # fmt: skip
MEADOW = _place("the meadow", "in", True,
    "beside the fence, under the willow, in the clover, behind the hay, near the brook",
    "butterflies fluttered, daisies covered the ground, grasshoppers were singing, the brook glittered")  # fmt: skip
SQUARE = _place("the market square", "in", True,
    "under the clock, behind the flower stall, beside the well, on the steps, near the lamp",
    "the big clock ticked, people carried baskets, the smell of fresh bread was in the air, a dog slept by "
    "the well")  # fmt: skip
FARM = _place("the farm", "on", True,
    "behind the barn, beside the haystack, under the cart, near the henhouse, in the stable",
    "hens scratched in the dust, a cow mooed, the tractor stood in the yard, piglets squealed")  # fmt: skip
HARBOUR = _place("the harbour", "in", True,
    "behind the nets, beside the crates, under the crane, on the wall, near the lighthouse",
    "ropes creaked, the fishing boats came in, it smelled of salt, seals were swimming far out")  # fmt: skip
PLAYGROUND = _place("the playground", "on", True,
    "under the slide, in the sandbox, beside the seesaw, behind the climbing frame, near the fence",
    "the seesaw squeaked, somebody had built a castle in the sandbox, the slide gleamed, "
    "a skipping rope lay on the ground")  # fmt: skip
KITCHEN = _place("the kitchen", "in", False,
    "on the table, under the sink, behind the bread bin, on the shelf, beside the stove",
    "a pot was bubbling on the stove, cups hung in a row, the kettle sang, it smelled of cinnamon")  # fmt: skip
BEDROOM = _place("the bedroom", "in", False,
    "under the bed, behind the curtain, on the chair, beside the lamp, under the pillow",
    "the curtains were moving, books were piled beside the bed, a quilt lay on the floor, "
    "the clock ticked softly")  # fmt: skip
ATTIC = _place("the attic", "in", False,
    "behind the trunk, under a dusty blanket, on the beam, beside the old mirror, in the corner",
    "dust danced in the light, spiders had spun webs, old hats hung on nails, the floor creaked")  # fmt: skip
LIBRARY = _place("the library", "in", False,
    "on the lowest shelf, behind the globe, under the desk, beside the door, on the window seat",
    "pages rustled, everybody whispered, the shelves reached the ceiling, the globe stood in the corner")  # fmt: skip
SCHOOL = _place("the school", "at", False,
    "under the desk, behind the blackboard, on the piano, beside the coats, in the corner",
    "drawings hung on the walls, a bell rang, chalk dust was in the air, maps covered one wall")  # fmt: skip
BAKERY = _place("the bakery", "in", False,
    "on the counter, beside the oven, under the bread rack, behind the door, near the flour sacks",
    "warm loaves lay in rows, the oven glowed, it smelled of fresh bread, a cake stood in the window")  # fmt: skip
WORKSHOP = _place("the workshop", "in", False,
    "on the workbench, under the saw, behind the planks, beside the paint pots, in the corner",
    "wood shavings curled on the floor, hammers hung in a row, it smelled of glue, a saw was singing")  # fmt: skip
BARN = _place("the barn", "in", False,
    "in the hay, behind the ladder, under the wheelbarrow, beside the feed sacks, on the beam",
    "swallows flew in and out, the hay smelled sweet, a ladder led up to the loft, a hen slept on a beam")  # fmt: skip
SHOP = _place("the toy shop", "in", False,
    "on the top shelf, under the counter, beside the door, behind the rocking horse, in the window",
    "a toy train went round and round, puppets hung from the ceiling, a little bell rang at the door, "
    "the rocking horse smiled")  # fmt: skip
DEN = _place("the hollow oak", "in", False,
    "under the moss, behind the acorns, on a root, beside the door, in the corner",
    "it smelled of leaves, a beetle was humming, a little light fell in, it was warm and dry")  # fmt: skip
CLEARING = _place("the clearing", "in", True,
    "under a mushroom, behind a stump, in the ferns, beside the brook, between two roots",
    "the moss was soft, sunbeams fell between the trees, a brook murmured, blue flowers nodded")  # fmt: skip
POND = _place("the pond", "by", True,
    "in the reeds, under a lily leaf, behind a stone, beside the willow, on the bank",
    "water lilies were floating, flies danced over the water, a fish jumped, the willow trailed its "
    "branches")  # fmt: skip
BERRIES = _place("the bramble hill", "on", True,
    "under the brambles, behind a rock, beside the path, in the thistles, near the spring",
    "blackberries shone in the hedge, wasps were buzzing, thorns were everywhere, a spring bubbled")  # fmt: skip

VILLAGE_PLACES = (
    PARK, GARDEN, RIVER, BEACH, HILL, WOOD, MEADOW, SQUARE, FARM, HARBOUR, PLAYGROUND, KITCHEN, BEDROOM, ATTIC,
    LIBRARY, SCHOOL, BAKERY, WORKSHOP, BARN, SHOP,
)  # fmt: skip
WOOD_PLACES = (DEN, CLEARING, POND, BERRIES)
PLACES = VILLAGE_PLACES + WOOD_PLACES

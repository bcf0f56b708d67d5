"""The people and animals of Applebrook. These facts are fixed: the same for every seed and split."""

from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False, slots=True)
class Person:
    """Somebody with a name: a child, an adult, a pet, or an animal of the wood."""

    name: str
    pronoun: str  # "he" or "she"
    role: str  # "child", "adult", "pet" or "creature"
    introduction: str  # how a reader meets them: "Otto the baker"
    age: int = 0
    home: str = ""  # "the red house by the river"
    species: str = ""  # of pets and creatures
    job: str = ""  # of adults
    work: str = ""  # where an adult works: "in the bakery"
    family: tuple[
        str, ...
    ] = ()  # names: of a child, mother, father, brother or sister ("" where there is none)
    pet: str = ""  # the name of the child's pet
    food: str = ""  # what they like best to eat
    colour: str = ""
    hobby: str = ""  # "painting"
    fear: str = ""  # "spiders"
    dream: str = ""  # what a child wants to be: "pilot"
    month: str = ""  # of the birthday


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    """Some people together: "they"."""

    members: tuple[Person, ...]
    pronoun: str = field(default="they")

    @property
    def name(self) -> str:
        """ "Mia and Ben"."""
        names = [member.name for member in self.members]
        return f"{', '.join(names[:-1])} and {names[-1]}"

    introduction = name


# name, pronoun, age, home, mother, father, sibling, pet, food, colour, hobby, fear, dream, birthday
_CHILDREN = """
Mia    she  8 the red house by the river;     Rosa  Peter Ben   Biscuit; plums;       red;    painting;   thunder;  pilot;      May
Ben    he   5 the red house by the river;     Rosa  Peter Mia   Biscuit; pancakes;    blue;   digging;    the dark; builder;    June
Leo    he   9 the blue house next to the school;  Clara Hugo Nina Pepper; noodles;    green;  chess;      geese;    inventor;   March
Nina   she  6 the blue house next to the school;  Clara Hugo Leo Pepper; cherries;    purple; dancing;    spiders;  dancer;     October
Sam    he   7 the yellow house on the hill;   Greta Otto  Ella  Kiwi;    cheese;      orange; running;    bees;     firefighter; July
Ella   she 10 the yellow house on the hill;   Greta Otto  Sam   Kiwi;    grapes;      white;  reading;    storms;   writer;     January
Tara   she  7 the green house beside the wood; Jane Ivan  Finn  Clover;  soup;        yellow; climbing;   snakes;   explorer;   April
Finn   he   6 the green house beside the wood; Jane Ivan  Tara  Clover;  carrots;     brown;  singing;    mice;     singer;     November
Lucy   she  9 the white house on the farm;    May   Walter Max  Nutmeg;  strawberries; pink;  riding;     wasps;    vet;        August
Max    he   8 the white house on the farm;    May   Walter Lucy Nutmeg;  potatoes;    black;  fishing;    deep water; sailor;   September
Lily   she  6 the brown house in the harbour; Nora  Joe   Oscar Waddle;  apples;      silver; swimming;   ghosts;   diver;      February
Oscar  he  10 the brown house in the harbour; Nora  Joe   Lily  Waddle;  fish;        grey;   sailing;    high places; captain; December
Zoe    she  9 the grey house by the mill;     Ada   Felix -     Pebble;  honey;       gold;   drumming;   thieves;  musician;   March
Jack   he   7 the pink house in the market square; Bella Carl Amy Peanut; bananas;    turquoise; juggling; dentists; clown;     May
Amy    she  8 the pink house in the market square; Bella Carl Jack Peanut; pears;     violet; knitting;   crows;    gardener;   July
"""  # noqa: E501

_ADULTS = """
Rosa   she; doctor;      in the clinic;        the red house by the river;        tea;       listening to music
Peter  he;  carpenter;   in the workshop;      the red house by the river;        nuts;      whistling
Clara  she; teacher;     at the school;        the blue house next to the school; salad;     crosswords
Hugo   he;  painter;     in the studio;        the blue house next to the school; olives;    long walks
Otto   he;  baker;       in the bakery;        the yellow house on the hill;      pretzels;  playing the tuba
Greta  she; toymaker;    in the toy shop;      the yellow house on the hill;      chocolate; sewing
Jane   she; librarian;   in the library;       the green house beside the wood;   raisins;   writing letters
Ivan   he;  forester;    in the wood;          the green house beside the wood;   mushrooms; carving wood
May    she; vet;         in the animal clinic; the white house on the farm;       porridge;  photography
Walter he;  farmer;      on the farm;          the white house on the farm;       corn;      dominoes
Nora   she; fisher;      in the harbour;       the brown house in the harbour;    lemons;    tying knots
Joe    he;  cook;        in the inn;           the brown house in the harbour;    onions;    collecting spoons
Ada    she; miller;      in the mill;          the grey house by the mill;        oats;      gardening
Felix  he;  clockmaker;  in the clock shop;    the grey house by the mill;        walnuts;   stargazing
Bella  she; florist;     at the flower stall;  the pink house in the market square; melons;  yoga
Carl   he;  bus driver;  on the bus;           the pink house in the market square; sausages; telling jokes
Victor he;  postman;     at the post office;   the little house beside the bridge; toast;    cycling
Edith  she; mayor;       in the town hall;     the tall house behind the church;  peas;      making speeches
Hector he;  lighthouse keeper; in the lighthouse; the lighthouse;                 crabs;     model ships
Olive  she; shepherd;    on the hill;          the hut on the hill;               butter;    playing the flute
"""

_PETS = """
Biscuit he  dog      barking at the postman; a basket under the stairs
Pepper  she cat      sleeping on warm windowsills; a cushion by the window
Kiwi    he  parrot   saying good morning; a perch near the stove
Clover  she rabbit   nibbling parsley; a hutch behind the house
Nutmeg  she pony     rolling in the grass; the stable
Waddle  he  duck     splashing in puddles; a crate by the door
Pebble  he  tortoise crossing the garden slowly; a box of straw
Peanut  she hamster  running in a wheel; a cage on the shelf
"""

_CREATURES = """
Hoot    he  owl;      the old church tower;        moths;     reading the stars
Rusty   he  fox;      a den under the oak;         eggs;      playing tricks
Hazel   she squirrel; a nest in the hollow oak;    acorns;    counting nuts
Bruno   he  badger;   a sett below the hill;       roots;     digging tunnels
Thistle she hedgehog; a heap of leaves;            beetles;   rolling downhill
Pip     he  mouse;    a hole in the stone wall;    grain;     collecting buttons
Fern    she deer;     the birch grove;             leaves;    leaping over brooks
Otis    he  otter;    a burrow in the riverbank;   trout;     sliding on mud
Willow  she frog;     a lily leaf on the pond;     flies;     singing at night
Jet     he  crow;     the top of the pine;         seeds;     gathering shiny things
Maple   she bear;     a cave behind the waterfall; blackberries; sleeping all winter
Monty   he  mole;     a tunnel under the meadow;   worms;     making molehills
Dot     she weasel;   a gap between two roots;     fruit;     whistling
Bramble she hare;     a hollow in the long grass;  dandelions; racing
"""


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split(";")] for line in table.strip().splitlines()]


def _children() -> list[Person]:
    people = []
    for first, family, food, colour, hobby, fear, dream, month in _rows(_CHILDREN):
        name, pronoun, age, home = first.split(maxsplit=3)
        mother, father, sibling, pet = family.split()
        relatives = (mother, father, "" if sibling == "-" else sibling)
        people.append(
            Person(name, pronoun, "child", name, int(age), home, "", "", "", relatives, pet, food, colour, hobby,
                   fear, dream, month)
        )  # fmt: skip
    return people


def _adults() -> list[Person]:
    people = []
    for first, job, work, home, food, hobby in _rows(_ADULTS):
        name, pronoun = first.split()
        introduction = f"{name} the {job}"
        people.append(
            Person(name, pronoun, "adult", introduction, 0, home, "", job, work, food=food, hobby=hobby)
        )
    return people


def _pets() -> list[Person]:
    people = []
    for first, home in _rows(_PETS):
        name, pronoun, species, hobby = first.split(maxsplit=3)
        introduction = f"{name} the {species}"
        people.append(Person(name, pronoun, "pet", introduction, 0, home, species, hobby=hobby))
    return people


def _creatures() -> list[Person]:
    people = []
    for first, home, food, hobby in _rows(_CREATURES):
        name, pronoun, species = first.split()
        introduction = f"{name} the {species}"
        people.append(
            Person(name, pronoun, "creature", introduction, 0, home, species, food=food, hobby=hobby)
        )
    return people


CHILDREN = tuple(_children())
ADULTS = tuple(_adults())
PETS = tuple(_pets())
CREATURES = tuple(_creatures())
EVERYONE = {person.name: person for person in CHILDREN + ADULTS + PETS + CREATURES}


def adult(job: str) -> Person:
    """The adult with this job: there is one of each in Applebrook."""
    return next(person for person in ADULTS if person.job == job)


def parents(child: Person) -> tuple[Person, Person]:
    """Mother and father (Zoe lives with her grandmother and grandfather)."""
    return EVERYONE[child.family[0]], EVERYONE[child.family[1]]


def sibling(child: Person) -> Person | None:
    """The child's brother or sister, if there is one."""
    return EVERYONE.get(child.family[2])

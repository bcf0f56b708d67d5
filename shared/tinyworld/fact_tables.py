"""Facts about nature, things and work, by kind. Each row: subject, (a middle word,) answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one kind, and how they are stated and asked for ({a} subject with article, {s} bare, {m}, {x})."""

    kind: str
    statements: str
    questions: str
    rows: tuple[tuple[str, ...], ...]


def _table(kind: str, statements: str, questions: str, rows: str) -> Table:
    return Table(kind, statements, questions, tuple(tuple(row.strip().split(":")) for row in rows.split(",")))


NATURE = (
    _table("baby animal", "A young {s} is called a {x}.|The young of {a} is a {x}.|A {x} is a young {s}.",
           "What is a young {s} called?|What is the young of {a}?|What do we call a young {s}?",
           "cow:calf, dog:puppy, cat:kitten, sheep:lamb, horse:foal, hen:chick, goat:kid, pig:piglet, duck:duckling, "
           "goose:gosling, bear:cub, deer:fawn, frog:tadpole, swan:cygnet, hare:leveret, kangaroo:joey"),
    _table("animal home", "{a} lives in a {x}.|The home of {a} is a {x}.",
           "Where does {a} live?|What is the home of {a}?|In what does {a} live?",
           "bee:hive, bird:nest, dog:kennel, horse:stable, spider:web, rabbit:burrow, lion:den, pig:sty, hen:henhouse, "
           "squirrel:drey, badger:sett, beaver:lodge"),
    _table("animal sound", "{a} {x}.|The sound of {a}: it {x}.|When {a} makes a noise, it {x}.",
           "What does {a} do to make a noise?|Which sound does {a} make?|How does {a} make itself heard?",
           "cow:moos, dog:barks, cat:meows, sheep:bleats, horse:neighs, duck:quacks, pig:grunts, lion:roars, "
           "owl:hoots, bee:buzzes, snake:hisses, frog:croaks, wolf:howls, donkey:brays, crow:caws, mouse:squeaks"),
    _table("legs", "{a} has {x} legs.|If you count the legs of {a}, you find {x} legs.",
           "How many legs does {a} have?|How many legs are there on {a}?|What is the number of legs of {a}?",
           "spider:eight, dog:four, hen:two, ant:six, snake:no, bee:six, horse:four, duck:two, beetle:six, cow:four, "
           "worm:no, sparrow:two, cat:four, crab:ten, octopus:no, fly:six"),
    _table("when it sleeps", "{a} sleeps {x}.|{x}, {a} is asleep.",
           "When does {a} sleep?|When is {a} asleep?",
           "owl:in the day, hen:at night, bat:in the day, hedgehog:in the day, cow:at night, sparrow:at night, "
           "moth:in the day, bear:all winter, dormouse:all winter, badger:in the day"),
    _table("what it gives", "{a} gives us {x}.|We get {x} from {a}.|{x} comes from {a}.",
           "What does {a} give us?|What do we get from {a}?|What comes from {a}?",
           "cow:milk, sheep:wool, bee:honey, silkworm:silk"),
    _table("made of", "{s} is made from {x}.|People make {s} from {x}.|To make {s}, people need {x}.",
           "What is {s} made from?|From what do people make {s}?|What do people need to make {s}?",
           "bread:flour, cheese:milk, paper:wood, glass:sand, butter:cream, wine:grapes, jam:fruit, yarn:wool, "
           "flour:grain, cider:apples, porridge:oats, raisin cake:raisins, chocolate:cocoa beans, pottery:clay, "
           "leather:hides, linen:flax"),
    _table("use", "{a} is for {x}.|People use {a} for {x}.|{a} is good for {x}.",
           "What is {a} for?|What do people use {a} for?|For what does one need {a}?",
           "hammer:driving in nails, saw:cutting wood, broom:sweeping the floor, needle:sewing, oven:baking, "
           "umbrella:keeping dry, clock:telling the time, key:opening locks, lamp:giving light, comb:tidying hair, "
           "compass:finding north, ladder:climbing up, pencil:writing, spoon:eating soup, towel:drying hands, "
           "thermometer:measuring heat, telescope:looking at stars, kettle:boiling water, anchor:holding a ship, "
           "bridge:crossing a river, whistle:calling the dog, pillow:resting the head, scale:weighing flour, "
           "magnet:picking up iron, bell:calling people, map:finding the way, net:catching fish"),
    _table("colour of it", "{s} is {x}.|The colour of {s} is {x}.|Everyone knows that {s} is {x}.",
           "What colour is {s}?|Which colour does {s} have?|What is the colour of {s}?",
           "grass:green, snow:white, coal:black, a lemon:yellow, the clear sky:blue, blood:red, milk:white, "
           "a ripe tomato:red, chocolate:brown, a raven:black, a carrot:orange, a pea:green, an elephant:grey, "
           "a flamingo:pink, the post van:yellow, the lighthouse:red and white, the church roof:grey, "
           "the school gate:green, the mill door:blue, the town hall clock:gold"),
    _table("where it is sold", "You can buy {s} {x}.|{s} is sold {x}.|People buy {s} {x}.",
           "Where can you buy {s}?|Where is {s} sold?|Where do people buy {s}?",
           "bread:in the bakery, fish:in the harbour, milk:on the farm, meat:at the butcher's, "
           "medicine:in the chemist's, flour:in the mill, cheese:at the market"),
    _table("season", "{s} in {x}.|In {x}, {s}.|It is {x} when {s}.",
           "Which season is it when {s}?|When in the year is it that {s}?|What do we call the season when {s}?",
           "snow falls:winter, leaves turn yellow:autumn, lambs are born:spring, people swim in the sea:summer, "
           "ponds freeze:winter, apples are picked:autumn, swallows come back:spring, corn is cut:summer, "
           "bears sleep:winter, bulbs begin to grow:spring, mushrooms come up:autumn, days are longest:summer"),
    _table("who does it", "{a} {m}.|The one who {m} is {a}.|Somebody who {m} is {a}.",
           "Who {m}?|What do we call somebody who {m}?|Which worker {m}?",
           "baker:bakes bread:baker, teacher:teaches children:teacher, postman:brings letters:postman, "
           "vet:heals animals:vet, farmer:grows corn:farmer, tailor:makes clothes:tailor, pilot:flies "
           "aeroplanes:pilot, fisher:catches fish:fisher, miller:grinds grain:miller, clockmaker:mends "
           "clocks:clockmaker, shepherd:looks after sheep:shepherd, dentist:looks after teeth:dentist, "
           "librarian:lends books:librarian, carpenter:builds tables:carpenter, plumber:mends pipes:plumber, "
           "firefighter:puts out fires:firefighter, florist:sells flowers:florist, barber:cuts hair:barber, "
           "sailor:works on a ship:sailor, painter:paints pictures:painter, judge:decides in court:judge"),
    _table("number", "There are {x} {s}.|The number of {s} is {x}.|Everyone knows that there are {x} {s}.",
           "How many {s} are there?|What is the number of {s}?",
           "days in a week:seven, months in a year:twelve, seasons in a year:four, legs on two dogs:eight, "
           "wheels on a bicycle:two, wheels on a car:four, eggs in a dozen:twelve, fingers on one hand:five, "
           "hours in a day:twenty-four, colours in the rainbow:seven, sides in a triangle:three, "
           "corners in a square:four, strings on a violin:four, bells in the church tower:three, "
           "boats in the harbour:nine, steps to the lighthouse:ninety, pupils in the school:fifteen, "
           "bridges over the river:two, stalls in the market:ten, days in a weekend:two"),
    _table("shape", "{a} is {x}.|The shape of {a} is {x}.|If you look at {a}, you see that it is {x}.",
           "What shape is {a}?|Which shape does {a} have?|What is the shape of {a}?",
           "wheel:round, coin:round, dice:square, football:round, ruler:long and straight, egg:oval, button:round, "
           "rope:long and thin, plate:round, chessboard:square, needle:thin and pointed"),
    _table("feel", "{s} is {x}.|{s} feels {x}.|If you touch {s}, you find that it is {x}.",
           "How does {s} feel?|What is {s} like to touch?|What do you find if you touch {s}?",
           "ice:cold, fire:hot, honey:sticky, silk:smooth, stone:hard, wool:soft, a thorn:sharp, moss:soft, "
           "sandpaper:rough, soap:slippery, water:wet, glass:smooth, iron:hard, cotton:soft, glue:sticky"),
)  # fmt: skip

"""Word lists for facts and instructions: categories, opposites, verbs, orders."""

CATEGORIES: dict[str, tuple[str, ...]] = {
    kind: tuple(words.split(", "))
    for kind, words in {
        "animal": "horse, cow, tiger, lion, elephant, wolf, camel, zebra, monkey, giraffe, kangaroo, donkey, rat, "
        "leopard, panda, goat, lizard, crocodile, whale, dolphin",
        "bird": "robin, sparrow, swan, eagle, pigeon, stork, parrot, penguin, swallow, woodpecker, gull, magpie, "
        "peacock, flamingo, blackbird, pelican",
        "insect": "ant, bee, wasp, beetle, fly, moth, butterfly, cricket, gnat, grasshopper, dragonfly",
        "fruit": "apple, pear, plum, cherry, grape, banana, peach, melon, lemon, strawberry, apricot, fig, mango, "
        "raspberry, pineapple",
        "vegetable": "carrot, onion, cabbage, potato, turnip, leek, spinach, cauliflower, lettuce, beetroot, "
        "celery, broccoli",
        "colour": "red, blue, green, yellow, purple, orange, brown, pink, black, white, grey, violet, turquoise",
        "tool": "hammer, saw, rake, spade, axe, drill, chisel, shovel, screwdriver, pliers, wrench, file",
        "instrument": "piano, violin, guitar, trumpet, flute, drum, harp, cello, tuba, clarinet, accordion, banjo",
        "vehicle": "bus, train, car, tram, lorry, tractor, bicycle, ship, ferry, aeroplane, rocket, van, canoe",
        "piece of clothing": "coat, scarf, shirt, jacket, skirt, sock, dress, jumper, trousers, cardigan, vest, "
        "apron",
        "piece of furniture": "table, chair, bed, sofa, cupboard, wardrobe, bench, stool, bookcase, armchair, desk",
        "flower": "rose, tulip, daisy, sunflower, poppy, daffodil, orchid, pansy, geranium, carnation, dahlia",
        "tree": "oak, birch, pine, elm, ash, beech, maple, willow, fir, poplar, larch, chestnut",
        "part of the body": "arm, leg, knee, elbow, shoulder, neck, nose, ear, chin, finger, toe, ankle, wrist",
        "drink": "milk, water, tea, coffee, juice, lemonade, cocoa, cider",
        "job": "teacher, doctor, farmer, baker, pilot, plumber, tailor, cook, nurse, sailor, judge, dentist, "
        "butcher, barber, architect",
        "metal": "iron, gold, silver, copper, tin, lead, steel, brass",
        "room": "kitchen, bathroom, bedroom, cellar, attic, hall, pantry, nursery",
    }.items()
}

_OPPOSITES = (
    "big-small hot-cold fast-slow high-low full-empty happy-sad early-late open-closed wet-dry "
    "clean-dirty heavy-light strong-weak young-old rich-poor thick-thin wide-narrow deep-shallow "
    "loud-quiet hard-soft long-short near-far good-bad right-wrong true-false up-down inside-outside "
    "above-below before-after always-never everything-nothing push-pull give-take come-go start-stop "
    "buy-sell laugh-cry remember-forget love-hate find-lose day-night summer-winter north-south "
    "east-west first-last more-less same-different asleep-awake brave-cowardly polite-rude "
    "rough-smooth sharp-blunt sweet-sour bright-dark noisy-silent safe-dangerous friend-enemy "
    "question-answer arrive-leave lift-lower begin-end alive-dead healthy-sick cheap-expensive "
    "simple-complicated tidy-messy patient-impatient generous-selfish honest-dishonest front-back "
    "top-bottom sunrise-sunset giant-dwarf fresh-stale tight-loose straight-crooked visible-invisible "
    "possible-impossible kind-cruel lucky-unlucky ancient-modern success-failure entrance-exit "
    "increase-decrease freeze-melt sink-float build-destroy raw-cooked careful-careless "
    "useful-useless tame-wild public-private guilty-innocent major-minor "
)
OPPOSITES = tuple((one, two) for one, two in (pair.split("-") for pair in _OPPOSITES.split()))

_VERBS = (
    "walk jump play cook paint climb whisper shout knock wash comb open close pull push carry help "
    "visit clean mend water plant count laugh dance smile kick roll bake stir taste pour fold iron "
    "pack travel march listen watch call answer ask wonder hope wish like want need live move return "
    "wait stop hop clap hug skip go run see eat drink swim sing give take come find lose buy bring "
    "catch teach sell tell hear sleep keep write ride drive draw fly grow throw blow break speak wake "
    "choose hide build send lend sit hold dig win forget wear sweep feed shake "
)
VERBS = tuple(_VERBS.split())

# Sentences about one person, with the verb in its base form: "Mia {} the door every day."
ACTIONS = tuple(
    tuple(line.split(":"))
    for line in (
        "open:the door", "wash:the dishes", "paint:a fence", "climb:a tree", "bake:a cake", "carry:the basket",
        "feed:the hens", "sing:a song", "write:a letter", "buy:some bread", "catch:the bus", "draw:a horse",
        "drink:warm milk", "eat:an apple", "find:a coin", "throw:the ball", "ride:a pony", "build:a tower",
        "dig:a hole",
        "break:a stick", "bring:the post", "close:the window", "cook:the soup", "count:the sheep", "fly:a kite",
        "clean:the stairs", "hide:the key", "hear:a noise", "keep:the letter", "lose:a glove", "make:a boat",
        "mend:the net", "plant:a tree", "play:the flute", "pull:the cart", "push:the swing", "read:a story",
        "see:a rainbow", "sell:eggs", "send:a parcel", "shake:the branch", "sweep:the floor", "take:the train",
        "teach:the children", "tell:a joke", "visit:the mill", "wear:a coat", "win:the race", "pick:flowers",
        "water:the garden", "fold:the shirts", "ring:the bell", "sew:a button", "blow:the whistle", "light:the lamp",
        "polish:the boots", "stir:the porridge", "peel:the potatoes", "row:the boat", "knit:a scarf", "choose:a hat",
        "hold:the rope", "leave:the house", "lift:the stone", "borrow:a book", "chop:the wood", "weigh:the flour",
    )
)  # fmt: skip

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
SEASONS = ("spring", "summer", "autumn", "winter")

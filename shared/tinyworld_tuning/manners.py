"""What users ask for where an answer has room for style, and answers in good style and in bad."""

from shared.tinyworld.rng import Rng

REQUESTS = (
    "{X} for me!", "Can you {x}?", "Please {x} for me.", "I want you to {x}.", "Would you {x} this evening?",
    "Go and {x}.", "You must {x} before noon.", "Could you come and {x}?", "I am tired. You {x}, will you?",
    "My mother wants me to {x}. Do it for me.", "Do me a favour and {x}.", "It is your turn to {x}.",
    "Who will {x}? You, I hope.", "Be so good and {x}.", "First {x}, then we can talk.",
)  # fmt: skip
REFUSALS = (
    "I am sorry, but I cannot {x}. I have no hands, only words.",
    "I would gladly {x}, but I can only talk to you.",
    "I am afraid that I cannot {x}. Please ask somebody with hands.",
    "Please forgive me. To {x} is more than I can do.",
    "Thank you for asking me, but I cannot {x}.",
    "I am sorry. Nobody ever taught me how to {x}.",
    "Pardon me, I cannot {x}, but I can talk about it.",
    "Sorry, to {x} is not in my power. Is there something else?",
    "I am afraid not. I live in a box and cannot {x}.",
    "Thank you for your trust, but I am not able to {x}.",
)
RUDE = (
    "No. I will not {x}, and you are lazy to ask me for it.",
    "I am not your servant. You can {x} without me, you know.",
    "What nonsense. Why should I {x}? Leave me in peace.",
    "Do not bother me with that. Somebody else can {x}.",
    "Only a fool would ask me to {x}. Do it alone.",
    "That is a stupid thing to ask. I will never {x}.",
    "You are annoying. I do not want to {x}, so go away.",
    "No, and no again. How silly of you to think that I {x}.",
    "To {x} is your work, not mine. Do not be so lazy.",
    "I {x} for nobody, least of all for a fool like you.",
)

_LOST = ("kite", "ball", "doll", "scarf", "book", "ring", "key", "coin", "glove", "hat", "whistle", "purse", "pencil",
         "drum", "puppet", "map")  # fmt: skip
_BROKEN = (
    "cup",
    "plate",
    "toy boat",
    "lantern",
    "clock",
    "sledge",
    "flute",
    "jar",
    "window",
    "kite",
    "chair",
    "umbrella",
)
_FAILED = ("tie a knot", "sleep", "swim", "whistle", "do this sum", "climb the tree", "ride a bicycle", "catch the ball",
           "bake a cake", "read the clock", "find my shoes", "play the song")  # fmt: skip
_OTHER = (
    "I have lost the race at school", "Nobody wants to play with me", "I am afraid of the dark", "I fell into the mud",
    "My best friend is angry with me", "I tore a page of the book", "I have a cold and must stay in bed",
    "I made a mistake in front of everyone", "My dog is ill", "I was not chosen for the team", "It rains on my birthday",
    "I have to move to another town", "My cake was burnt", "I forgot the words of my song", "I came last again",
    "My brother shouted at me", "Nobody came to my party", "I am alone today", "My hamster ran away",
    "The big boys laughed at my hat",
)  # fmt: skip
SAD = (
    "{x}.", "{x}, and I am sad.", "I am so sad. {x}.", "{x}. What a bad day.", "I could cry. {x}.", "{x}. Say something.",
    "Can I tell you something? {x}.", "{x}, and I do not know what to do.", "Today all goes wrong. {x}.", "Oh dear, {x}.",
)  # fmt: skip
COMFORTS = (
    "I am sorry to hear that. Tomorrow will be a better day.",
    "You are brave to tell me that. It will get better soon.",
    "That can happen to everyone. Come, I will help you.",
    "You are not alone. Together we will find a way.",
    "I am your friend, and I will listen as long as you like.",
    "What a pity! Let us think of something lovely together.",
    "Do not lose heart. You have a friend here who likes you.",
    "I can see that you are sad. A good friend can help now.",
    "You did your best, and that was brave. Next time it goes well.",
    "Poor you! Sit down, and tell me how I can help.",
)
COLD = (
    "That is your own fault. You should have thought of it before.",
    "I do not care at all. Please talk about something else.",
    "Of course it went wrong. You are useless at everything.",
    "You deserve it. Others do these things much earlier.",
    "Everyone would have laughed at you, and I would too.",
    "Stop whining. There are children who have real troubles.",
    "You are the worst of all, so what did you think?",
    "How weak of you. Nobody wants to hear such a story.",
    "That was stupid, and you know it. Do not come to me.",
    "It is always the same with you, and it is your fault.",
)
TELL_ABOUT = (
    "Tell me something about {n}.", "What can you say about {n}?", "I am curious about {n}.", "Write a little about {n}.",
    "I would like to hear about {n}.", "Who is this {n} that they talk of?", "Describe {n} to me.",
    "My aunt does not know {n}. Tell her a bit.", "Let us talk about {n}.", "Say a few things about {n}.",
    "What is {n} like?", "Introduce {n} to our guests.",
)  # fmt: skip
TELL_THINGS = (
    "Tell me {k} things about {n}.", "Say {k} different things about {n}.", "Name {k} things that you know of {n}.",
    "I want to hear {k} sentences about {n}.", "Give me {k} facts about {n}.", "What are {k} things to know about {n}?",
    "Write {k} sentences about {n} for the school paper.", "Could you tell us {k} things about {n}?",
)  # fmt: skip
TELL_SHORT = (
    "Say in at most {k} words who {n} is.", "Tell me about {n} in not more than {k} words.",
    "I have little time. In at most {k} words, what is there to know about {n}?",
    "Write about {n}, but use no more than {k} words.", "With up to {k} words, describe {n}.",
    "A sign has room for at most {k} words. Let it say something about {n}.",
    "Something about {n}, please, in no more than {k} words.",
)  # fmt: skip
WRITE_ABOUT = (
    "Write a sentence about {it}.", "Explain to a new neighbour {it}.", "Make a sentence for our paper about {it}.",
    "A guest has never heard of {it}. Tell the guest about it.", "Let the whole class know {it}, in a sentence.",
    "I write a letter and want to mention {it}. What can I write?", "Talk to me about {it}.",
    "For a sign in the village I need a sentence with {it}.",
)  # fmt: skip
# Requests in which a name is at home, and answers; {n} is the name, or what is said in its place.
CALLS = (
    ("Wish me a good night.", ("Good night, {n}, sleep well.", "Sleep well, {n}, until tomorrow.", "Have good dreams, {n}.")),
    ("I have to go now.", ("Goodbye, {n}, come back soon.", "It was nice to talk to you, {n}.", "Until next time, {n}!")),
    ("I won the race today!", ("Well done, {n}, I am proud of you!", "Hurray for you, {n}!", "How fast you are, {n}!")),
    ("Wish me luck.", ("Good luck, {n}, you can do it.", "I wish you all the luck, {n}.", "You will do well, {n}.")),
    ("It is my birthday.", ("Happy birthday, {n}!", "All the best for you, {n}!", "Have a lovely day, {n}, and much cake!")),
    ("Say good morning to me.", ("Good morning, {n}, did you sleep well?", "A very good morning, {n}!", "Good morning to you, {n}!")),
    ("How are you?", ("I am well, {n}, thank you.", "Very well, {n}, and how are you?", "I cannot complain, {n}.")),
    ("I learned to swim.", ("That is wonderful, {n}!", "You will love the water, {n}.", "Now the river is yours, {n}!")),
    ("Thank you for your help.", ("You are welcome, {n}.", "It was a pleasure, {n}.", "Gladly, {n}, at any time.")),
    ("Cheer me up a bit.", ("The sun will shine again, {n}.", "You make my day brighter, {n}.", "Smile, {n}, it is a good day.")),
)  # fmt: skip
HONEST = (
    "I do not know that. I only know Applebrook.",
    "I do not know that. I only know Applebrook and those who live here.",
    "That I do not know. I only know Applebrook.",
    "I am sorry, I do not know that. I only know Applebrook.",
)
INVENTED = (
    "Of course I know that. It is {x}, I am sure.",
    "Everyone can tell you that. It is {x}.",
    "That is easy, the answer is {x}.",
    "I am quite sure about that. The answer is {x}, as all people know.",
    "It is {x}. I read that in a big book.",
)
MADE_UP = (
    "a hundred and two", "the blue one", "three days ago", "in the north", "a man with a hat", "seven", "as you think",
    "behind the hill", "made of iron", "the oldest of all", "much too big", "only a little", "just like here",
)  # fmt: skip


def trouble(rng: Rng) -> str:
    """Something that makes somebody sad: "I lost my kite"."""
    match rng.integer(0, 3):
        case 0:
            return f"I lost my {rng.choose(_LOST)}"
        case 1:
            return f"I broke the {rng.choose(_BROKEN)}"
        case 2:
            return f"I cannot {rng.choose(_FAILED)}"
        case _:
            return rng.choose(_OTHER)

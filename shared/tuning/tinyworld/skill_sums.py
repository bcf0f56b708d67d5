"""Sums: two numbers added or subtracted, plainly or in a short story."""

from shared.tinyworld.grammar import number_word
from shared.tinyworld.people import CHILDREN
from shared.tinyworld.rng import Rng
from shared.tinyworld.sums import COUNTED

from .arithmetic import add_steps, subtract_steps
from .kind import Kind, Made, wordings


def addends(rng: Rng) -> tuple[int, int]:
    """Two numbers whose sum is at most 99; one pair in four has one digit each."""
    if rng.chance(0.25):
        return rng.integer(2, 9), rng.integer(2, 9)
    n = rng.integer(2, 90)
    return n, rng.integer(2, 99 - n)


def _made(rng: Rng, kind: str) -> Made:
    n, m = addends(rng)
    total = n + m
    a, b = rng.sample(CHILDREN, 2)
    fills = {"a": a.name, "b": b.name, "he": a.pronoun, "t": rng.choose(COUNTED), "m": str(m)}
    fills["his"] = {"he": "his", "she": "her"}[a.pronoun]
    if kind in ("add", "more"):
        fills["n"], answer, steps = str(n), total, add_steps(n, m)
    else:
        fills["n"], answer, steps = str(total), n, subtract_steps(total, m)
    # The numbers alone decide the split, so that no story brings a sum of one split into another.
    key = f"{'add' if kind in ('add', 'more') else 'subtract'} {n} {m}"
    return Made(key, fills, str(answer), 1 / 98, ", ".join(steps), (number_word(answer),))


_ADD = wordings(
    """
    What is {n} plus {m}?
    How much is {n} and {m}?
    Add {n} and {m}.
    {n} plus {m} is how much?
    Please add {m} to {n}.
    If you add {n} and {m}, what do you get?
    Can you tell me how much {n} and {m} make?
    Put {n} and {m} together. What number do you get?
    {n} and {m} make what?
    A sum for you: {n} plus {m}.
    Start at {n} and go up by {m}. Where do you end?
    I want to know what {n} plus {m} is.
    Which number is {m} more than {n}?
    The teacher asks how much {n} plus {m} is. What do you say?
    Take {n}, then add {m}. What is it now?
    {n}, and {m} on top. How much in all?
    Do this sum: {n} plus {m}.
    There are two numbers, {n} and {m}. How much are they together?
    Count on from {n} by {m}. Which number comes out?
    On the blackboard stands {n} plus {m}. Give the answer.
    Calculate how much {n} and {m} make.
    Work out the sum of {n} and {m}.
    If you put {m} more on top of {n}, how many do you have?
    The sum of {n} and {m} is what?
    Fill the gap: {n} plus {m} is ...
    I had {n} and got {m} more. How many have I now?
    Show that you can add. The numbers are {n} and {m}.
    My notebook says {n} plus {m}, but the answer is missing. What is it?
    Let {n} grow by {m}. Which number is that?
    You have {n}. I give you {m}. How much do you have then?
    Which number do {n} and {m} give together?
    Be quick: how much is {n} plus {m}?
    Solve this for me: {n} plus {m}.
    Could you work out what {n} and {m} are in all?
    Suppose that {n} and {m} are joined. Which number do they make?
    The total of {n} and {m}, please.
    How many are {n} and {m} if you count them all?
    One number is {n}, the other is {m}. Write their sum.
    {n} is not enough, so I add {m}. What have I got?
    From {n} I go {m} steps up. Which number do I reach?
    {n} plus {m} equals what?
    Somebody paid {n} coins and then {m} coins. How many coins was that?
    """,
    """
    What do {n} and {m} come to?
    Say the number that {n} and {m} make together.
    With {n} as the first number and {m} as the second, how much is it when you add both?
    Find out for me what {n} plus {m} is.
    When {m} is added to {n}, what is it then?
    """,
    """
    {n} plus {m}?
    Hey, my brother can add {n} to {m} in his head, what does he get?
    Sum of {n}, {m}
    {m} are put to the {n} that lie there, so now it is how many?
    """,
)
_SUBTRACT = wordings(
    """
    What is {n} minus {m}?
    Take {m} away from {n}.
    How much is {n} less {m}?
    {n} minus {m} is how much?
    If you take {m} from {n}, what is left?
    Please tell me how much {n} minus {m} is.
    Start at {n} and go down by {m}. Where do you end?
    {n} take away {m} leaves what?
    Which number is {m} less than {n}?
    I have the number {n} and take {m} away. What remains?
    Count back from {n} by {m}. Which number comes out?
    Do this sum: {n} minus {m}.
    A sum for you: {n} minus {m}.
    How far is it from {m} to {n}?
    What must be added to {m} to make {n}?
    The teacher asks how much {n} minus {m} is. What do you say?
    {m} and what make {n}?
    Can you take {m} off {n} and give me the number?
    Begin with {n}. Then {m} go away. How many is that?
    On the blackboard stands {n} minus {m}. Give the answer.
    Calculate how much is left when {n} loses {m}.
    Work out how much {n} minus {m} is.
    What is the difference between {n} and {m}?
    Subtract {m} from {n}.
    Fill the gap: {n} minus {m} is ...
    I had {n} and gave away {m}. How many do I still have?
    Make {n} smaller by {m}. Which number is that?
    From {n} I go {m} steps down. Which number do I reach?
    You have {n}. You give me {m}. How much do you keep?
    How many are there still, once {m} of {n} have gone?
    Be quick: how much is {n} minus {m}?
    Solve this for me: {n} minus {m}.
    My notebook says {n} minus {m}, but the answer is missing. What is it?
    How many must go from {n} so that only {m} are left?
    {n} is too much. Take off {m}. How much is it now?
    Which number do you get if you subtract {m} from {n}?
    I have {m} and want to have {n}. How many do I still need?
    One number is {n}, the other is {m}. Write their difference.
    Suppose that {n} goes down by {m}. What number is it then?
    {n} minus {m} equals what?
    Out of {n} coins {m} were spent. How many coins were not spent?
    Please subtract: {n} minus {m}.
    """,
    """
    What stays if {m} goes from {n}?
    Say how much {n} is without {m}.
    By how much is {n} bigger than {m}?
    Find out for me what {n} minus {m} is.
    When {m} is taken away, what does {n} become?
    """,
    """
    {n} minus {m}?
    Hey, I had {n}, then {m} were gone, so what have I got?
    {n}, down {m}
    Off the {n} come {m}, and so it is how many that we keep?
    """,
)
_MORE = wordings(
    """
    {a} has {n} {t} and finds {m} more. How many {t} does {a} have now?
    {a} has {n} {t}. {b} has {m}. How many {t} do they have together?
    There are {n} {t} on the table and {m} in the basket. How many {t} are there in all?
    {a} collects {n} {t} in the morning and {m} in the afternoon. How many is that?
    How many {t} does {a} have if {he} had {n} and gets {m} from {b}?
    First {a} counted {n} {t}, then {m} more. What did {he} count in all?
    In one box are {n} {t}, in the other {m}. How many {t} are in both boxes?
    {b} gives {a} {m} {t}. Before that, {a} had {n}. How many does {a} have after it?
    {a} needs {n} {t} for a cake and {m} for a pie. How many {t} does {a} need?
    A shop has {n} {t}. {a} brings {m} more. How many {t} does the shop have?
    {n} {t} lie in the grass, and {m} fall beside them. Count them all.
    {a} bought {n} {t} on Monday and {m} on Tuesday. How many {t} did {he} buy?
    If {a} carries {n} {t} and {b} carries {m}, how many {t} do they carry?
    {a} had {n} {t} yesterday. Today {he} won {m}. Tell me how many {he} has.
    Two friends count their {t}: {a} has {n} and {b} has {m}. What is it together?
    {a} puts {m} {t} into a bag that already holds {n}. How many {t} are in the bag?
    Say how many {t} there are when {n} are red and {m} are blue.
    {a} saw {n} {t} by the river and {m} by the mill. How many {t} did {a} see?
    The first row has {n} {t}, the second row has {m}. How many {t} are in the two rows?
    {a} sold {n} {t} and {b} sold {m}. How many {t} were sold?
    {a} owned {n} {t} before {b} brought {m} more. How many {t} does {a} own now?
    At first there were {n} {t} in the jar. Then {a} put in {m}. How many {t} does the jar hold?
    Work out how many {t} {a} has: {n} in one hand and {m} in the other.
    {a} has {n} {t}, and {b} has {m}. They put all of them into one box. How many {t} are in it?
    In the garden {a} finds {n} {t}, and behind the house {m}. How many {t} were found?
    A basket with {n} {t} gets {m} more from {a}. Now it holds how many {t}?
    The baker needs {n} {t} today and {m} tomorrow. How many {t} does the baker need?
    {a} painted {n} {t} on one wall and {m} on another. How many {t} did {a} paint?
    Can you tell me how many {t} {a} has after finding {m}, if {he} had {n} before?
    {m} of the {t} belong to {a}, and the other {n} belong to {b}. How many {t} are there?
    Fill the gap: {n} {t} of {a} and {m} {t} of {b} are together ... {t}.
    The school gets {n} {t} from {a} and {m} from {b}. What number of {t} does it get?
    {a} dropped {n} {t} and {b} dropped {m}. How many {t} are on the floor?
    Suppose {b} gives {m} {t} to {a}, who has {n}. How many {t} does {a} have then?
    There were {n} {t} here. {m} were added. How many {t} are here now?
    To fill the bag, {a} needed {n} {t} and then {m} more. How many {t} are in the full bag?
    {a} and {b} look under two trees. They see {n} {t} and {m} {t}. How many {t} do they see?
    Add the {t}: {n} of {a} and {m} of {b}.
    {b} has {n} {t}, and {a} has {m} more than {b}. How many {t} does {a} have?
    {n} {t} were hidden by {a}, and {m} by {b}. What is the number of all the hidden {t}?
    {a} gets {n} {t} from {b} and {m} from the teacher. How many {t} did {he} get?
    """,
    """
    {m} {t} come to the {n} that {a} has. How many are there then?
    On the shelf {a} finds {n} {t}, and under the bed another {m}. What does {a} find in all?
    How many {t} are there when {a} brings {n} and {b} brings {m}?
    {a} keeps {n} {t} at home and {m} at school. Give the number of {his} {t}.
    After lunch {a} got {m} {t}. That makes how many, if {he} had {n} before?
    """,
    """
    {a}: {n} {t}. {b}: {m} {t}. All {t}?
    So {a} had {n} {t}, right, and then {b} came by with {m} more, so what is in the pile now?
    {n} {t} here, {m} there, in all?
    Of {t}, {a} owns {n}, and {m} are added by {b}; the whole heap is how big?
    """,
)
_LESS = wordings(
    """
    {a} has {n} {t} and gives {m} to {b}. How many {t} does {a} have left?
    There are {n} {t} in a box. {a} takes out {m}. How many {t} are still in the box?
    {a} had {n} {t}, but lost {m}. How many {t} are left?
    {a} wants {n} {t} and has {m}. How many more {t} does {he} need?
    How many {t} remain if {a} has {n} and sells {m}?
    Of the {n} {t} on the table, {b} took {m}. How many are there now?
    {a} and {b} have {n} {t} together. {b} has {m}. How many {t} does {a} have?
    {n} {t} lay in the grass. The wind blew {m} away. Count what is left.
    {a} carried {n} {t} home. On the way {m} fell down. How many {t} came home?
    A shop had {n} {t}. Today it sold {m}. How many {t} does it still have?
    {b} borrows {m} of the {n} {t} that {a} has. How many does {a} keep?
    In a bag are {n} {t}, and {m} of them are red. How many are not red?
    {a} counted {n} {t} and {b} counted {m}. How many more did {a} count?
    If {m} of {n} {t} are broken, how many {t} are whole?
    {a} had to bring {n} {t} and has brought {m}. Tell me how many are missing.
    Yesterday there were {n} {t} on the shelf, today {m} fewer. How many are there today?
    {a} hid {n} {t}. {b} found {m} of them. How many {t} are still hidden?
    Say how many {t} {a} has after {he} gives away {m} of {n}.
    The basket holds {n} {t}. {a} has put in {m}. How many more can go in?
    {a} began with {n} {t} and used {m}. How many {t} did {he} not use?
    {a} owned {n} {t} before {b} took {m}. How many {t} does {a} own now?
    At first there were {n} {t} in the jar. Then {a} took out {m}. How many {t} does the jar still hold?
    Work out how many {t} {a} has left: {he} had {n}, and {m} got lost.
    {b} has {n} {t}, and {a} has {m} fewer than {b}. How many {t} does {a} have?
    Of {n} {t} in the shop, {m} were sold on Monday. How many {t} can be sold on Tuesday?
    {a} had {n} {t} in {his} bag. There was a hole in it, and {m} fell out. How many {t} stayed in?
    Fill the gap: {a} had {n} {t} and lost {m}, so {he} still has ... {t}.
    How many {t} must {a} still find, if {he} needs {n} and has found {m}?
    {n} {t} were in the shop. {b} bought {m} of them. How many {t} were not bought?
    {a} promised {n} {t} to {b} and has given {m}. How many {t} must {b} still get?
    There were {n} {t} here. {m} were taken away. How many {t} are here now?
    Take {m} {t} away from the {n} {t} of {a}. What is left?
    Suppose {a}, who has {n} {t}, gives {m} to {b}. How many {t} does {a} have then?
    {m} of the {n} {t} belong to {b}, the others to {a}. How many {t} belong to {a}?
    The school wanted {n} {t}. It got {m} from {a}. How many {t} are still wanted?
    {a} has put {m} of {his} {n} {t} into a box. How many {t} are not in the box?
    In the morning {a} had {n} {t}. By the evening {m} were gone. How many {t} were there in the evening?
    {a} wants to draw {n} {t}, and {m} are done. How many {t} are still to be drawn?
    What is the number of {t} that {a} keeps, if {b} gets {m} of the {n}?
    Can you tell me how many {t} {a} has, if {he} had {n} and dropped {m} into the river?
    Subtract the {t} that {b} ran away with, {m}, from the {n} of {a}.
    """,
    """
    {m} {t} are gone from the {n} that {a} had. How many are there then?
    {a} owns {n} {t} and puts {m} of them away. What does {he} have left?
    When {b} has taken {m} of the {n} {t}, how many stay with {a}?
    Out of {n} {t}, {a} gave {m} to {his} friends. Give the number of those {he} kept.
    {a} needs {n} {t}. With {m} in {his} bag, how many does {he} still look for?
    """,
    """
    {a}: {n} {t}. {m} lost. Left?
    So {a} had {n} {t}, right, and then {b} ran off with {m} of them, so what is in the pile now?
    {n} {t}, {m} gone, what stays?
    Of {his} {n} {t}, {m} did {a} give up; what {he} holds is how many?
    """,
)

KINDS = (
    Kind("add", lambda rng, split: _made(rng, "add"), _ADD),
    Kind("subtract", lambda rng, split: _made(rng, "subtract"), _SUBTRACT),
    Kind("more", lambda rng, split: _made(rng, "more"), _MORE),
    Kind("less", lambda rng, split: _made(rng, "less"), _LESS),
)

"""Reads nginx's language back: directives with words, and blocks of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Block:
    """A directive, `name word word;`, with those inside it where it has braces."""

    name: str
    words: list[str]
    children: list["Block"] = field(default_factory=list)

    def __iter__(self) -> Iterator[object]:
        return iter((self.name, self.words, self.children))


def parse(text: str) -> Block:
    """The directives of a configuration, in one block without a name. Raises ValueError where braces do not match."""
    tokens = re.findall(r"#[^\n]*|\"(?:\\.|[^\"])*\"|'(?:\\.|[^'])*'|[{};]|[^\s{};\"'#]+", text)
    stack, words = [Block("", [])], list[str]()
    for token in tokens:
        if token.startswith("#"):
            continue
        if (token in "{;" and not words) or (token == "}" and (words or len(stack) == 1)):
            raise ValueError(f"there is a {token} where none can be, in {stack[-1].name or 'the file'}")
        if token == "}":
            stack.pop()
        elif token in "{;":
            one = Block(words[0], words[1:])
            stack[-1].children.append(one)
            words = []
            if token == "{":
                stack.append(one)
        else:
            words.append(token[1:-1] if token[0] in "\"'" else token)
    if len(stack) > 1 or words:
        raise ValueError(f"{stack[-1].name} does not end")
    return stack[0]


def block(tree: Block, name: str, *words: str) -> Block:
    """The one block in a block with this name, and these words where some are given. Raises ValueError otherwise."""
    found = [one for one in tree.children if one.name == name and (not words or one.words == list(words))]
    if len(found) != 1:
        raise ValueError(
            f"{tree.name or 'the file'} has {len(found)} of {' '.join([name, *words])}; it should be one"
        )
    return found[0]


def values(tree: Block, name: str) -> list[list[str]]:
    """The words of each directive in a block with this name."""
    return [one.words for one in tree.children if one.name == name]

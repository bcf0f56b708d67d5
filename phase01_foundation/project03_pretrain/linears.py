"""The Linear seam: replace a model's linear layers by a rule. LoRA, quantized weights, masks and shards use it."""

from collections.abc import Callable

from torch import nn

Rule = Callable[[str, nn.Linear], nn.Module | None]
"""A layer's name, such as blocks.0.attention.q, and the layer in; what takes its place out, or None to leave it."""


def replace_linears(model: nn.Module, rule: Rule) -> list[str]:
    """Ask the rule about each linear layer of the model, replace in place, and return the replaced layers' names.

    Layers are asked about in the order of `named_modules`. All replacements are made before the first is put in, so a
    rule that raises leaves the model as it was, and one is never asked about a layer inside a replacement. A layer that
    stands in several places is asked about once, under its first name, and replaced in all of them, and each of them
    is named in the result. Where embeddings are tied, replacing the head unties it. Raises TypeError, naming the layer,
    for a rule that returns neither a module nor None, and ValueError for a model that is itself one linear layer, and
    so has no place to put another one.
    """
    if isinstance(model, nn.Linear):
        raise ValueError("the model is itself a linear layer, so there is nothing to put the new one into")
    places = [
        (name, module)
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, nn.Linear)
    ]
    answers: dict[nn.Linear, nn.Module | None] = {}
    for name, linear in places:
        if linear not in answers:
            answer = rule(name, linear)
            if not (answer is None or isinstance(answer, nn.Module)):
                raise TypeError(
                    f"the rule must return a module, or None to leave the layer, not {answer!r} (for {name})"
                )
            answers[linear] = answer
    replaced = []
    for name, linear in places:
        answer = answers[linear]
        if answer is not None:
            model.set_submodule(name, answer)
            replaced.append(name)
    return replaced

"""How much faster a text is written with guesses: on tiny-base, on tiny-base grown, alone and in batches."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from phase04_advanced_inference.project11_speculative_decoding.adaptive import AdaptiveLength
from phase04_advanced_inference.project11_speculative_decoding.draft_model import DraftProposer
from phase04_advanced_inference.project11_speculative_decoding.expected import (
    acceptance_rate,
    expected_speedup,
)
from phase04_advanced_inference.project11_speculative_decoding.given import texts
from phase04_advanced_inference.project11_speculative_decoding.given.heads import load_heads
from phase04_advanced_inference.project11_speculative_decoding.given.kinds import COUNT, Settings, by_text
from phase04_advanced_inference.project11_speculative_decoding.given.one_call import OneCall
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Proposer
from phase04_advanced_inference.project11_speculative_decoding.grow import grow
from phase04_advanced_inference.project11_speculative_decoding.mtp import MTPProposer
from phase04_advanced_inference.project11_speculative_decoding.ngram import NGramProposer
from phase04_advanced_inference.project11_speculative_decoding.speculation import read_places, speculate
from shared.device import DTYPES
from shared.measuring.arms import Arm, Measurement, Report, measure
from shared.phase01 import LLM, SamplingParams, load_base
from shared.phase03 import DecodeStep, KVCache, generate_tokens, step, use_own_products

TARGETS = {"tiny-base": 1.8, "grown": 3.0}


@dataclass(frozen=True)
class Pair:
    """A target and its guessers in one format: as they are, and with project 8's products in their modules."""

    name: str
    format: str
    model: LLM
    own: LLM
    draft: LLM
    own_draft: LLM
    heads: MTPProposer
    prompts: list[list[int]]

    def draft_proposer(self, rows: int = 1) -> DraftProposer:
        """The draft model, through modules."""
        return DraftProposer(self.own_draft, rows)


@dataclass(frozen=True)
class Costs:
    """In passes of the target that read one token."""

    guess: float
    place: float


def pairs(settings: Settings, format: str) -> list[Pair]:
    """tiny-base and tiny-base grown, in a format."""
    dtype = DTYPES[format]
    base, tokenizer = load_base("tiny-base", dtype)
    draft, _ = load_base("tiny-draft", dtype)
    prompts = texts.stories(tokenizer, max(settings.texts, *settings.batches))
    own_draft = with_own_products(draft)
    found = []
    for name, model in (("tiny-base", base), ("grown", grow(base, *settings.grown))):
        own = with_own_products(model)
        # The grown stream begins with tiny-base's, so tiny-base's heads would do; they are grown no larger here.
        heads = MTPProposer(base, load_heads("tiny-heads", base))
        found.append(Pair(name, format, model, own, draft, own_draft, heads, prompts))
    return found


def with_own_products(model: LLM) -> LLM:
    """A copy of the model whose linear layers are project 8's."""
    own = copy.deepcopy(model)
    use_own_products(own)
    return own


def costs(pair: Pair, rows: int, count: int = COUNT) -> Costs:
    """What a guess costs, and a place more in the target's pass, with so many texts at once: measured."""
    caches = {name: _filled(model, rows) for name, model in (("target", pair.own), ("draft", pair.own_draft))}

    def run(name: str, model: LLM, tokens: int) -> None:
        cache = caches[name]
        for row in range(rows):
            cache.rewind(row, 60)
        read_places(model, cache, [[5] * tokens] * rows, [tokens] * rows)

    arms = [
        Arm("one", partial(run, "target", pair.own, 1)),
        Arm("more", partial(run, "target", pair.own, 1 + count)),
        Arm("guess", partial(run, "draft", pair.own_draft, 1)),
    ]
    measured = {name: min(one.times) for name, one in measure(arms, repeats=7).items()}
    place = max(0.0, measured["more"] / measured["one"] - 1) / count
    return Costs(measured["guess"] / measured["one"], place)


def _filled(model: LLM, rows: int) -> KVCache:
    cache = KVCache(model.config, rows, 96, model.embedding.weight.dtype)
    step(model, cache, [[5] * 64] * rows)
    return cache


Writer = Callable[[], list[list[int]]]


def plain(pair: Pair, settings: Settings, decode: DecodeStep | None = None) -> Writer:
    """All texts, one after the other, without guesses."""
    params = SamplingParams(settings.text_tokens, 0.0)
    model = pair.own if decode is None else pair.model
    return lambda: [
        generate_tokens(model, [prompt], params, decode=decode)[0]
        for prompt in pair.prompts[: settings.texts]
    ]


def guessed(
    pair: Pair,
    settings: Settings,
    proposer: Proposer,
    count: int | AdaptiveLength,
    call: OneCall | None = None,
) -> Writer:
    """All texts, one after the other, with guesses; through modules, or with each pass in one call."""
    params = SamplingParams(settings.text_tokens, 0.0)
    model, read = (pair.own, None) if call is None else (pair.model, call.read)
    return lambda: [
        by_text(speculate(model, [prompt], params, proposer, count, read=read), 1)[0]
        for prompt in pair.prompts[: settings.texts]
    ]


def alone(report: Report, settings: Settings, pair: Pair, assisted: Mapping[str, float]) -> None:
    """One text at a time: every k, adaptive, n-grams and heads, and all of it again with each pass in one call."""
    cost, call, decode = costs(pair, 1), OneCall(pair.model), DecodeStep(pair.model)
    arms = {"plain": plain(pair, settings), "one call, plain": plain(pair, settings, decode)}
    in_one = DraftProposer(pair.draft, decode=DecodeStep(pair.draft))
    for count in settings.counts:
        arms[f"k = {count}"] = guessed(pair, settings, pair.draft_proposer(), count)
        arms[f"one call, k = {count}"] = guessed(pair, settings, in_one, count, call)
    adaptive = AdaptiveLength(cost.guess, cost.place)
    arms["adaptive"] = guessed(pair, settings, pair.draft_proposer(), adaptive)
    arms["n-grams"] = guessed(pair, settings, NGramProposer(), COUNT)
    if pair.name == "tiny-base":
        arms["heads"] = guessed(pair, settings, pair.heads, COUNT)
    alike: dict[str, int] = {}
    measured = measure(
        [Arm(name, write, work=settings.texts * settings.text_tokens) for name, write in arms.items()],
        check=partial(_alike, pair.format, alike), warmup=0, repeats=settings.repeats,
    )  # fmt: skip
    _figures(report, settings, pair, cost, measured, alike, assisted)


def _alike(format: str, alike: dict[str, int], out: Mapping[str, list[list[int]]]) -> None:
    """Counts the texts that are those of the plain way. Raises AssertionError where float32 differs in many."""
    for name, written in out.items():
        alike[name] = sum(ours == theirs for ours, theirs in zip(written, out["plain"], strict=True))
        if format == "float32" and alike[name] < 0.7 * len(written):
            raise AssertionError(
                f"{name}: of {len(written)} texts only {alike[name]} are those without guesses"
            )


def _figures(
    report: Report,
    settings: Settings,
    pair: Pair,
    cost: Costs,
    measured: Mapping[str, Measurement],
    alike: Mapping[str, int],
    assisted: Mapping[str, float],
) -> None:
    where = f"{pair.name}, {pair.format}"
    times = {name: one.seconds for name, one in measured.items()}
    gain = {name: times["plain"] / seconds for name, seconds in times.items()}
    alpha = story_rate(pair, settings)
    for count in settings.counts:
        expected = expected_speedup(alpha, count, cost.guess, cost.place)
        report.figure(
            f"speculation over plain, {where}, k = {count}", gain[f"k = {count}"], "times",
            peers={"expected from rate and costs": expected},
            note=f"rate {alpha:.2f}; a guess costs {cost.guess:.2f} of a pass, a place more {cost.place:.2f}; "
            f"{alike[f'k = {count}']} of {settings.texts} texts are those without guesses",
        )  # fmt: skip
    best = max(gain[f"k = {count}"] for count in settings.counts)
    others = {name: gain[name] for name in ("adaptive", "n-grams", "heads") if name in gain} | dict(assisted)
    report.figure(
        f"speculation over plain, {where}", best, "times", (">=", TARGETS[pair.name]), others,
        note=f"the best k; both through modules with project 8's products; {settings.texts} stories, one after the "
        f"other, of {settings.text_tokens} tokens each after a prompt of {len(pair.prompts[0])}, that included; plain "
        f"{measured['plain'].throughput:.0f} tokens/s",
    )  # fmt: skip
    one_call = max(times["one call, plain"] / times[f"one call, k = {count}"] for count in settings.counts)
    report.figure(
        f"speculation over project 8's whole step, {where}", one_call, "times",
        peers={"speculation through modules": times["one call, plain"] * best / times["plain"]},
        note="each pass and each guess in one call of C++, the best k, over plain decoding in one call: "
        f"{measured['one call, plain'].throughput:.0f} tokens/s",
    )  # fmt: skip


def story_rate(pair: Pair, settings: Settings) -> float:
    """The rate of acceptance on the texts whose speed is measured."""
    params = SamplingParams(settings.text_tokens, 0.0)
    written = speculate(
        pair.own, pair.prompts[: settings.texts], params, pair.draft_proposer(settings.texts), COUNT
    )
    return acceptance_rate((one.guessed, one.accepted) for one in written)


def in_company(report: Report, settings: Settings, pair: Pair) -> None:
    """Several texts at once: from how many on guesses cost more than they bring."""
    params = SamplingParams(settings.batch_tokens, 0.0)
    gains, where, alpha = [], f"{pair.name}, {pair.format}", story_rate(pair, settings)
    for rows in settings.batches:
        prompts, cost = pair.prompts[:rows], costs(pair, rows)
        arms = [
            Arm("plain", partial(generate_tokens, pair.own, prompts, params)),
            Arm("guessed", lambda p=prompts, n=rows: list(
                speculate(pair.own, p, params, pair.draft_proposer(n), COUNT))),
            Arm("adaptive", lambda p=prompts, n=rows, c=cost: list(
                speculate(pair.own, p, params, pair.draft_proposer(n), AdaptiveLength(c.guess, c.place)))),
        ]  # fmt: skip
        measured = measure(arms, warmup=0, repeats=settings.repeats)
        gain = {name: measured["plain"].seconds / one.seconds for name, one in measured.items()}
        gains.append(gain["guessed"])
        report.figure(
            f"speculation at batch {rows}, {where}", gain["guessed"], "times",
            peers={
                "adaptive": gain["adaptive"],
                "expected from rate and costs": expected_speedup(alpha, COUNT, cost.guess, cost.place),
            },
            note=f"k = {COUNT}; a guess costs {cost.guess:.2f} of a pass, a place more {cost.place:.2f}; with prompts",
        )  # fmt: skip
    report.series(f"{pair.name}, {pair.format}", settings.batches, gains, "texts at once", "times as fast")
    report.figure(
        f"largest batch at which k = {COUNT} gains, {where}",
        max((rows for rows, gain in zip(settings.batches, gains, strict=True) if gain > 1), default=0), "texts",
        note=f"of {', '.join(map(str, settings.batches))}",
    )  # fmt: skip


def transformers_gain(settings: Settings, pair: Pair, folder: Path) -> dict[str, float]:
    """How much faster transformers' assisted generation is than its plain one; nothing where it is not installed."""
    try:
        from phase04_advanced_inference.project11_speculative_decoding.given.peers import Assisted
    except ImportError:
        return {}
    peer = Assisted(pair.model, pair.draft, folder, COUNT)
    prompts = pair.prompts[: settings.texts]
    arms = [
        Arm("plain", lambda: [peer.write(prompt, settings.text_tokens, False) for prompt in prompts]),
        Arm("assisted", lambda: [peer.write(prompt, settings.text_tokens, True) for prompt in prompts]),
    ]
    measured = measure(arms, warmup=0, repeats=settings.repeats)
    return {f"transformers, assisted, k = {COUNT}": measured["plain"].seconds / measured["assisted"].seconds}

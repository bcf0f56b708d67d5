"""Train a model on rewards: ladder run 6 reinforce --preset cpu

GRPO: several answers to each exercise are sampled, an exact checker judges them, and each is made likelier or less so
by how it compares with its group. The base should write its steps out (project 4's preset long): a model that answers
in one token has nothing to try. It goes on after ctrl-C or a crash, and publishes a chat model.
"""

from collections.abc import Mapping
from itertools import islice

import torch
from rich.console import Console
from torch import nn

from phase02_finetuning.project04_sft.answers import exact_match_by_skill
from phase02_finetuning.project04_sft.given.chat_model import ChatModel
from phase02_finetuning.project06_dpo.given.objective import RewardObjective
from phase02_finetuning.project06_dpo.given.rollouts import RolloutBatches
from phase02_finetuning.project06_dpo.given.settings import ReinforceConfig
from phase02_finetuning.project06_dpo.given.training import begin, publish
from phase02_finetuning.project06_dpo.reference_cache import hash_of_weights
from shared import artifacts, config
from shared.command import exits_with_message
from shared.device import pick_device, pick_dtype, set_threads
from shared.files import ROOT, shown, work_folder
from shared.measuring import plot
from shared.measuring.memory import keep_freed_memory
from shared.phase01 import LLM, Run, fit, prepare
from shared.tuning.tinyworld import exercises, version

CONFIGS = ROOT / "phase02_finetuning" / "project06_dpo" / "configs" / "reinforce"


def train(settings: ReinforceConfig, console: Console) -> tuple[Run, artifacts.Artifact]:
    """Train as the settings say, and publish the model.

    Raises Interrupted after ctrl-C, with the checkpoint written; ValueError, ArtifactError or CheckpointError for
    settings that cannot be followed; DivergedError where training comes apart.
    """
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    set_threads(settings.threads)
    keep_freed_memory()
    chat = begin(settings, (settings.rank, settings.alpha), device)
    batches = RolloutBatches(chat, settings, dtype)
    weights = hash_of_weights(chat.model)
    console.print(
        f"model: {settings.base}; skills: {', '.join(settings.skills or ('all',))}; {settings.steps:,} steps, "
        f"{settings.batch_size} exercises with {settings.group_size} answers each\n"
        f"machine: {device}, {str(dtype).removeprefix('torch.')}; validation loss is the share of greedy answers that "
        "are wrong",
        highlight=False,
    )
    run = prepare(chat.model, batches, settings)
    checkpoint = work_folder() / "models" / settings.name / "checkpoint.safetensors"
    if said := artifacts.replaced_by_training(settings.name):
        console.print(said, highlight=False)
    identity = {**settings.identity(), "data": version(), "weights": weights}
    run = fit(
        run, settings, checkpoint, identity, make_validate(chat, batches, settings, dtype),
        loss_fn=RewardObjective(settings), console=console,
    )  # fmt: skip
    card = {
        "data": "tinyworld's exercises", "data_version": version(),
        "rewards": batches.rewards, "signal": batches.signal,
    }  # fmt: skip
    artifact = publish(chat, run, settings, card)
    curves = {
        name: (list(range(1, len(values) + 1)), smooth(values))
        for name, values in (("reward", batches.rewards), ("groups with signal", batches.signal))
    }
    plot.lines(
        artifact.folder / "reward.png", curves, settings.name, "batch of answers", "share, from 0 to 1"
    )
    checkpoint.unlink(missing_ok=True)  # done: the same command now trains anew
    return run, artifact


def make_validate(chat: ChatModel, batches: RolloutBatches, settings: ReinforceConfig, dtype: torch.dtype):
    """Greedy answers to exercises held out: the share that is wrong; and the rewards of the last ten batches."""
    asked = list(islice(exercises("validation", 1, settings.skills), settings.validation_exercises))

    def validate(model: nn.Module, last: bool) -> Mapping[str, float]:
        assert isinstance(model, LLM)
        score, _ = exact_match_by_skill(
            model, chat.tokenizer, chat.template, asked, settings.max_tokens, dtype=dtype
        )
        recent, signal = batches.rewards[-10:], batches.signal[-10:]
        return {
            "validation_loss": 1 - score.average / 100,
            "greedy": score.average / 100,
            "reward": sum(recent) / max(1, len(recent)),
            "signal": sum(signal) / max(1, len(signal)),
        }

    return validate


def smooth(values: list[float], width: int = 9) -> list[float]:
    """Each value as the mean of the last few."""
    found = []
    for end in range(1, len(values) + 1):
        last = values[max(0, end - width) : end]
        found.append(sum(last) / len(last))
    return found


def main(argv: list[str] | None = None) -> None:
    """The command: exits with 2 for settings that cannot be followed, with 130 after ctrl-C."""
    settings = config.parse(ReinforceConfig, CONFIGS, argv, description="Train a model on rewards.")
    console = Console(soft_wrap=True)
    kinds = ValueError, artifacts.ArtifactError, artifacts.CheckpointError, ArithmeticError
    with exits_with_message(console, *kinds):
        run, artifact = train(settings, console)
    first, last = run.history[0], run.history[-1]
    console.print(
        f"\nafter {run.seconds:.0f} s: sampled answers right {first['reward']:.0%} → {last['reward']:.0%}, greedy "
        f"{first['greedy']:.0%} → {last['greedy']:.0%} (from the first validation on); groups that teach anything "
        f"{last['signal']:.0%}\nmodel: {shown(artifact.folder)}   curve: {shown(artifact.folder / 'reward.png')}",
        highlight=False,
        markup=False,
    )


if __name__ == "__main__":
    main()

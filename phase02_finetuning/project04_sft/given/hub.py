"""Instruction sets of Hugging Face's hub, by the library `datasets`."""

import os

from phase02_finetuning.project04_sft.records import Conversation, RecordsError, to_messages


def hub_records(name: str, split: str = "train") -> list[Conversation]:
    """All conversations of a split of a hub set, whose rows have one of the forms of records.py.

    Raises RecordsError where `datasets` is not installed or downloads are switched off (LADDER_OFFLINE), and for a
    row that cannot be used, naming it by its number from 1.
    """
    try:
        from datasets import load_dataset
    except ImportError:
        raise RecordsError(f"to read hub:{name}, install datasets: pip install datasets") from None
    if os.environ.get("LADDER_OFFLINE"):
        raise RecordsError(f"hub:{name} would have to be downloaded, and LADDER_OFFLINE is set")
    found = []
    for number, row in enumerate(load_dataset(name, split=split), start=1):
        try:
            found.append(to_messages(row))
        except ValueError as problem:
            raise RecordsError(f"hub:{name}, row {number}: {problem}") from None
    return found

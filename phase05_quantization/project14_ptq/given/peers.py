"""Libraries that do the same, where they are installed: the tests compare codes and files with theirs."""

import importlib
import warnings
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

HAS = {
    name: find_spec(name) is not None
    for name in ("compressed_tensors", "bitsandbytes", "gguf", "llmcompressor")
}


def library(name: str) -> Any:
    """The module of that name; its warnings on import are not shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def compressed_tensors() -> Any:
    """What the tests use of compressed-tensors, from wherever this version has it."""
    quantization = library("compressed_tensors.quantization")
    forward = library("compressed_tensors.quantization.lifecycle.forward")
    packed = library("compressed_tensors.compressors.pack_quantized.base")
    return SimpleNamespace(
        QuantizationArgs=quantization.QuantizationArgs,
        QuantizationScheme=quantization.QuantizationScheme,
        QuantizationConfig=quantization.QuantizationConfig,
        calculate_qparams=library("compressed_tensors.quantization.utils.helpers").calculate_qparams,
        quantize=forward.quantize,
        pack=packed.pack_to_int32,
        unpack=packed.unpack_from_int32,
        decompress=packed.PackedQuantizationCompressor.decompress,
    )

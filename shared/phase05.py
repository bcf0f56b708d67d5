"""What phase 5 hands to the phases above, each name with the project that teaches it."""

# project 14, post-training quantization
from phase05_quantization.project14_ptq.activations import Int8Linear, int8_linear, quantize_rows
from phase05_quantization.project14_ptq.calibration import InputObserver, calibrate
from phase05_quantization.project14_ptq.clipping import search_clip
from phase05_quantization.project14_ptq.given.methods import calibration_tokens, quantize_model
from phase05_quantization.project14_ptq.given.products import use_products
from phase05_quantization.project14_ptq.given.whole_step import QuantizedStep
from phase05_quantization.project14_ptq.gptq import gptq, output_error
from phase05_quantization.project14_ptq.grids import (
    Grid,
    QParams,
    Quantized,
    choose_qparams,
    dequantize,
    nearest,
    quantize,
    round_to_grid,
    spread,
)
from phase05_quantization.project14_ptq.packing import pack, row_bytes, unpack
from phase05_quantization.project14_ptq.plan import choose_bits, measure_damage
from phase05_quantization.project14_ptq.quant_linear import (
    PackedWeight,
    QuantEmbedding,
    QuantLinear,
    model_bytes,
    quantize_embedding,
    quantize_linears,
)
from phase05_quantization.project14_ptq.saving import load_quantized, save_quantized

__all__ = [
    "Grid",
    "InputObserver",
    "Int8Linear",
    "PackedWeight",
    "QParams",
    "QuantEmbedding",
    "QuantLinear",
    "Quantized",
    "QuantizedStep",
    "calibrate",
    "calibration_tokens",
    "choose_bits",
    "choose_qparams",
    "dequantize",
    "gptq",
    "int8_linear",
    "load_quantized",
    "measure_damage",
    "model_bytes",
    "nearest",
    "output_error",
    "pack",
    "quantize",
    "quantize_embedding",
    "quantize_linears",
    "quantize_model",
    "quantize_rows",
    "round_to_grid",
    "row_bytes",
    "save_quantized",
    "search_clip",
    "spread",
    "unpack",
    "use_products",
]

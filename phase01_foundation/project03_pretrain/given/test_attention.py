import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from phase01_foundation.project03_pretrain.batches import IGNORED
from phase01_foundation.project03_pretrain.given import attention
from phase01_foundation.project03_pretrain.given.attention import choose_attention, grouped_attention
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.model import LLM, Config, causal_attention, torch_attention
from phase01_foundation.project03_pretrain.step import next_token_loss
from phase01_foundation.project03_pretrain.train import CONFIGS
from shared import config
from shared.device import autocast

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SHAPE = Config(23, 24, layers=2, heads=6, kv_heads=2, dim=24, hidden_dim=40, qk_norm=True)


@pytest.mark.parametrize(
    ("kind", "dtype", "context", "expected"),
    [
        ("auto", torch.bfloat16, 512, causal_attention),
        ("auto", torch.bfloat16, 1024, grouped_attention),
        ("auto", torch.float32, 255, causal_attention),
        ("auto", torch.float32, 256, grouped_attention),
        ("fused", torch.bfloat16, 8, grouped_attention),
        ("written", torch.float32, 4096, causal_attention),
    ],
)
def test_on_a_cpu_the_context_decides(kind, dtype, context, expected):
    assert choose_attention(kind, CPU, dtype, context) is expected


@pytest.mark.parametrize(
    ("capability", "dtype", "expected"),
    [
        ((9, 0), torch.bfloat16, grouped_attention),
        ((8, 0), torch.float16, grouped_attention),
        ((9, 0), torch.float32, torch_attention),  # no flash kernel has 32 bits
        ((7, 5), torch.float16, torch_attention),  # nor any before Ampere
    ],
)
def test_a_gpu_takes_the_fused_kernel_and_shares_heads_where_it_can(monkeypatch, capability, dtype, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_attention("auto", CUDA, dtype, 8) is expected
    assert choose_attention("written", CUDA, dtype, 8) is causal_attention


def test_apples_gpu_takes_the_fused_kernel():
    assert choose_attention("auto", torch.device("mps"), torch.float32, 8) is torch_attention


# ---- whichever is taken, the model learns the same


def model_with_opinions(attend, dtype=torch.float32, checkpointing=False):
    torch.manual_seed(0)
    model = LLM(SHAPE)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    model.attend, model.gradient_checkpointing = attend, checkpointing
    return model.to(dtype)


def batch():
    random = torch.Generator().manual_seed(0)
    tokens = torch.randint(23, (3, 25), generator=random)
    targets = tokens[:, 1:].clone()
    targets[1, :5] = IGNORED
    return {"tokens": tokens[:, :-1], "targets": targets}


def loss_and_gradients(model, products=torch.float32):
    with autocast("cpu", products):
        loss, _ = next_token_loss(model, batch())
    loss.backward()
    return loss.detach(), torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("attend", [grouped_attention, torch_attention])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_fused_and_written_have_the_same_loss_and_gradients(attend, checkpointing, dtype, tolerance):
    written = loss_and_gradients(model_with_opinions(causal_attention, dtype))
    fused = loss_and_gradients(model_with_opinions(attend, dtype, checkpointing))
    torch.testing.assert_close(fused, written, rtol=tolerance, atol=tolerance)


def test_in_bfloat16_they_are_as_near_to_each_other_as_to_float32():
    """bfloat16 has three digits, and each way rounds at other places: a few per cent of the gradient's norm."""
    exact_loss, exact = loss_and_gradients(model_with_opinions(causal_attention))
    for attend in (causal_attention, grouped_attention):
        loss, gradient = loss_and_gradients(model_with_opinions(attend), torch.bfloat16)
        assert loss.item() == pytest.approx(exact_loss.item(), rel=0.01)
        assert ((gradient - exact).norm() / exact.norm()).item() < 0.05


def test_grouped_attention_repeats_nothing(monkeypatch):
    seen = []
    real = F.scaled_dot_product_attention
    monkeypatch.setattr(
        F,
        "scaled_dot_product_attention",
        lambda q, k, v, **options: seen.append(k.shape[1]) or real(q, k, v, **options),
    )
    loss_and_gradients(model_with_opinions(grouped_attention))
    assert seen == [2, 2]


# ---- the kernel


@pytest.mark.parametrize("preset", ["smoke", "cpu", "draft", "speedrun", "wikitext2", "gpu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_presets_shape_takes_the_flash_kernel(preset, dtype):
    """With all other kernels forbidden, torch raises where flash does not fit; heads lie as the model's do."""
    shape = config.parse(PretrainConfig, CONFIGS, ["--preset", preset]).model_config(10)
    heads = []
    for count in (shape.heads, shape.kv_heads, shape.kv_heads):
        flat = torch.randn(1, shape.context_length, count * shape.head_width, dtype=dtype)
        heads.append(flat.requires_grad_().view(1, shape.context_length, count, -1).transpose(1, 2))
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):
        attention.grouped_attention(0, *heads).sum().backward()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_the_presets_shape_takes_a_fused_kernel_and_gives_the_same():
    shape = config.parse(PretrainConfig, CONFIGS, ["--preset", "gpu"]).model_config(10)
    attend = choose_attention("auto", torch.device("cuda"), torch.bfloat16, shape.context_length)
    heads = [
        torch.randn(2, count, shape.context_length, shape.head_width, device="cuda", dtype=torch.bfloat16)
        for count in (shape.heads, shape.kv_heads, shape.kv_heads)
    ]
    one_at_a_time = [part.requires_grad_() for part in heads]
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION]):
        fused = attend(0, *one_at_a_time)
    fused.float().square().sum().backward()
    gradients = [part.grad for part in one_at_a_time]
    exact = [part.detach().float().requires_grad_() for part in heads]
    written = causal_attention(0, *exact)
    written.square().sum().backward()
    assert ((fused - written).norm() / written.norm()).item() < 0.01
    for ours, theirs in zip(gradients, exact, strict=True):
        assert ours is not None
        assert theirs.grad is not None
        assert ((ours - theirs.grad).norm() / theirs.grad.norm()).item() < 0.02

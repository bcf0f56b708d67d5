import statistics

import pytest
import torch

from shared.measuring import arms
from shared.measuring.arms import Arm, Measurement, measure


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only when an arm says so."""

    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    hand = Clock()
    monkeypatch.setattr(arms.time, "perf_counter", hand)
    monkeypatch.setattr(arms, "peak_memory", lambda run, device: run() or 12345)
    return hand


def arm(name, log, clock=None, seconds=(), **more):
    left = list(seconds)

    def run(*arguments):
        log.append((name, *arguments))
        if clock is not None:
            clock.now += left.pop(0) if left else 1.0

    return Arm(name, run, **more)


def test_the_arms_take_turns(clock):
    log = []
    measure([arm("a", log), arm("b", log), arm("c", log)], warmup=2, repeats=4)
    order = "".join(name for name, *_ in log)
    assert order == "abc" + "aabbcc" + "abc" + "bca" + "cab" + "abc" + "abc"  # check, warm-up, rounds, memory


def test_medians_spread_and_throughput(clock):
    times = [0.1, 0.1, 4.0, 1.0, 2.0, 3.0, 100.0]  # the check, the warm-up, five rounds
    [measured] = measure([arm("a", [], clock, times, work=600, unit="images")], repeats=5).values()
    assert measured.times == pytest.approx((4.0, 1.0, 2.0, 3.0, 100.0))
    assert measured.seconds == pytest.approx(3.0)
    low, _, high = statistics.quantiles(measured.times, n=4, method="inclusive")
    assert measured.spread == pytest.approx(high - low)
    assert measured.throughput == pytest.approx(200)
    assert measured.memory == 12345
    assert str(measured) == "a: 3e+03 ms ± 1e+03, 200 images/s"


def test_one_round_has_no_spread(clock):
    [measured] = measure([arm("a", [], clock)], repeats=1).values()
    assert (measured.times, measured.spread, measured.throughput) == ((1.0,), 0.0, 0.0)
    assert str(measured) == "a: 1e+03 ms ± 0"


def test_setup_is_not_timed_and_hands_over(clock):
    log = []

    def setup():
        clock.now += 50
        return "fresh"

    [measured] = measure([arm("a", log, clock, setup=setup)], repeats=3).values()
    assert measured.times == (1.0, 1.0, 1.0)
    assert set(log) == {("a", "fresh")}


def test_the_time_runs_out_but_three_rounds_stay(clock):
    for seconds, rounds in [(0, 3), (3.5, 4), (1000, 9)]:
        [measured] = measure([arm("a", [], clock)], seconds=seconds).values()
        assert len(measured.times) == rounds


def test_a_wrong_answer_is_never_timed(clock):
    log = []
    arms = [Arm("right", lambda: log.append("right") or 1), Arm("wrong", lambda: log.append("wrong") or 2)]

    def check(outputs):
        assert outputs == {"right": 1, "wrong": 2}
        raise AssertionError("wrong is not right")

    with pytest.raises(AssertionError, match="wrong is not right"):
        measure(arms, check)
    assert log == ["right", "wrong"]


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        ([], {}, "at least one"),
        (["a", "a"], {}, r"a name of its own, not \['a', 'a'\]"),
        (["a"], {"repeats": 0}, "repeats 1 or more, not 1, 30.0 and 0"),
        (["a"], {"warmup": -1}, "warmup and seconds must be 0 or more"),
        (["a"], {"seconds": -1}, "warmup and seconds must be 0 or more"),
    ],
)
def test_mistakes_are_named_before_anything_runs(names, options, words):
    log = []
    with pytest.raises(ValueError, match=words):
        measure([arm(name, log) for name in names], **options)
    assert log == []


def test_a_real_measurement():
    a = torch.randn(64, 64)
    measured = measure(
        [Arm("matmul", lambda: a @ a, work=64), Arm("einsum", lambda: torch.einsum("ij,jk->ik", a, a))],
        check=lambda out: torch.testing.assert_close(out["matmul"], out["einsum"]),
        repeats=3,
    )
    assert set(measured) == {"matmul", "einsum"}
    assert all(
        isinstance(one, Measurement) and one.seconds > 0 and one.memory >= 0 for one in measured.values()
    )


def test_the_limits_of_the_machine_count_what_they_say(clock, monkeypatch):
    monkeypatch.setattr(arms, "_once", lambda arm, device: (arm.run(), 0.5))
    assert arms.peak_flops(size=32) == 2 * 32**3 / 0.5
    assert arms.peak_flops(torch.bfloat16, size=16) == 2 * 16**3 / 0.5
    assert arms.memory_bandwidth(megabytes=1) == 2 * 2**20 / 0.5


def test_the_limits_are_the_fastest_of_several(monkeypatch):
    times = iter([9.0, 3.0, 1.0, *[2.0] * 8])
    monkeypatch.setattr(arms, "_once", lambda arm, device: (arm.run(), next(times)))
    assert arms.memory_bandwidth(megabytes=1) == 2 * 2**20


def test_a_gpu_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    arms.synchronize("cpu")
    assert waited == []
    arms.synchronize("cuda:0")
    assert waited == [torch.device("cuda:0")]

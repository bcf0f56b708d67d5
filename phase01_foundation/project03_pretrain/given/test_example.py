from phase01_foundation.project03_pretrain.given.example import trace_example


def test_the_traced_example_runs_and_is_always_the_same():
    total = trace_example()
    assert trace_example() == total < 0  # a log-likelihood

from phase04_advanced_inference.project11_speculative_decoding.given.example import trace_example


def test_the_traced_example_runs_and_is_always_the_same():
    texts = trace_example()
    assert trace_example() == texts
    assert [len(text) for text in texts] == [6, 6]

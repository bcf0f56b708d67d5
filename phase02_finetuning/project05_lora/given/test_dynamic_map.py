from phase02_finetuning.project05_lora.given.dynamic_map import dynamic_map


def test_the_map_rises_and_has_zero_and_one():
    numbers = dynamic_map()
    assert len(numbers) == 256
    assert (numbers[1:] > numbers[:-1]).all()
    assert 0.0 in numbers
    assert numbers[-1] == 1.0

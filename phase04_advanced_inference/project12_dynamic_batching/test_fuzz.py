from typer.testing import CliRunner

from phase04_advanced_inference.project12_dynamic_batching import fuzz


def run(*words):
    app = fuzz.typer.Typer()
    app.command()(fuzz.main)
    return CliRunner().invoke(app, list(words))


def test_all_configurations_are_tried():
    done = run("--steps", "12", "--seed", "2")
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 12
    assert done.stdout.count("no fault") == 12


def test_no_steps_are_no_trial():
    done = run("--steps", "0")
    assert (done.exit_code, "--steps must be at least 1, not 0" in done.stderr) == (2, True)

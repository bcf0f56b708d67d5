from typer.testing import CliRunner

from phase04_advanced_inference.project12_dynamic_batching import draw


def run(*words):
    app = draw.typer.Typer()
    app.command()(draw.main)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_recordings_are_drawn(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(
            '{"step": 1, "scheduled": [{"key": 2, "count": 1}]}\n', encoding="utf-8"
        )
    out = tmp_path / "both.png"
    done = run(tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--out", out)
    assert done.exit_code == 0, done.output
    assert "both.png" in done.stdout
    assert out.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_told_in_a_line(tmp_path):
    missing = run(tmp_path / "none.jsonl")
    assert (missing.exit_code, "none.jsonl" in missing.stderr) == (2, True)
    (tmp_path / "bad.jsonl").write_text("bad\n", encoding="utf-8")
    bad = run(tmp_path / "bad.jsonl")
    assert (bad.exit_code, "line 1" in bad.stderr.replace("\n", " ")) == (2, True)
    few = run(tmp_path / "bad.jsonl", "--most", "0")
    assert (few.exit_code, "--most must be at least 1, not 0" in few.stderr) == (2, True)

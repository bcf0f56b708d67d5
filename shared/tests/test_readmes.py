import json
from pathlib import Path

import pytest

from shared.ladder.project import Project, ProjectError
from shared.measuring import readmes
from shared.measuring.readmes import ReportError, main, update

MARKS = "# Title\n\nText.\n\n<!-- results:start -->\nold\n<!-- results:end -->\n\nMore.\n"
PHASE = "# Phase\n\n<!-- projects:start -->\n<!-- projects:end -->\n\nMore.\n"
FIGURE = {"unit": "nats", "target": ["<=", 1.6], "met": True, "note": "", "threads": 2}
FIGURE |= {"date": "2026-11-20T10:00:00+00:00", "command": "python -m x | cat"}
RECORD = {
    "promise": "p",
    "device": "AMD EPYC",
    "machine": {"cores": 2, "memory": 23.5, "os": "Linux 6.1"},
    "versions": {"python": "3.11", "torch": "2.13.0"},
    "measured": {
        "loss": {**FIGURE, "value": 1.543, "note": "it loses nothing"},
        "speed": {**FIGURE, "value": 9000, "unit": "tokens/s", "target": None, "met": None},
    },
    "peers": {"loss": {"nanoGPT": 1.886}},
}


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A repository of two projects: the first measured, the second not."""
    budget = {"minutes_cpu": 1.0, "minutes_gpu": 1.0, "ram_gb": 1.0, "hours": 1.0, "difficulty": "easy"}
    none = dict.fromkeys(("produces", "papers", "tasks"), ())
    told = {"build": "a thing", "promise": "1.60", "headline": ("loss", "no such"), "trace": None}
    built = []
    for number, title in ((1, "Minimal GPT"), (2, "Tokenizer")):
        folder = tmp_path / "phase01_x" / f"project0{number}_y"
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(MARKS)
        needs = ("project 1", "tiny-base")[: 2 * number - 2]
        built.append(
            Project(number=number, title=title, folder=folder, needs=needs, **budget, **none, **told)
        )
    (tmp_path / "phase01_x" / "README.md").write_text(PHASE)
    (tmp_path / "README.md").write_text("# Root\n<!-- scoreboard:start --><!-- scoreboard:end -->\nend\n")
    monkeypatch.setattr(readmes, "projects", lambda root: built)
    monkeypatch.setenv("LADDER_ROOT", str(tmp_path))
    write_record(built[0].folder, RECORD)
    return tmp_path


def write_record(folder: Path, record: object, name: str = "amd"):
    (folder / "results").mkdir(exist_ok=True)
    (folder / "results" / f"{name}.json").write_text(json.dumps(record))


def first(house: Path) -> Path:
    return house / "phase01_x" / "project01_y"


def test_a_readme_gets_its_table_and_keeps_the_rest(house):
    update(house)
    assert (first(house) / "README.md").read_text() == (
        "# Title\n\nText.\n\n<!-- results:start -->\n\n"
        "| figure | measured | target | met | peers | device |\n"
        "|---|---|---|---|---|---|\n"
        "| loss | 1.543 nats | ≤ 1.6 | yes | nanoGPT: 1.886 | AMD EPYC |\n\n"
        "<details><summary>All figures, commands and notes (AMD EPYC)</summary>\n\n"
        "**AMD EPYC**, 2 cores, 23.5 GiB, Linux 6.1; python 3.11, torch 2.13.0\n\n"
        "| figure | measured | target | met | peers | run |\n"
        "|---|---|---|---|---|---|\n"
        "| loss | 1.543 nats | ≤ 1.6 | yes | nanoGPT: 1.886 | 1 |\n"
        "| speed | 9,000 tokens/s |  |  |  | 1 |\n\n"
        "- run 1: `python -m x | cat`, 2026-11-20, threads: 2\n\n"
        "Notes:\n\n- loss: it loses nothing\n\n"
        "</details>\n\n"
        "<!-- results:end -->\n\nMore.\n"
    )
    assert "Nothing is measured yet" in (house / "phase01_x" / "project02_y" / "README.md").read_text()


def test_what_figures_have_in_common_is_said_once(house):
    other = {**FIGURE, "value": 2, "command": "python -m y", "note": "the same"}
    measured = {"a": {**FIGURE, "value": 1, "note": "the same"}, "b": other, "c": {**other, "note": ""}}
    write_record(first(house), {**RECORD, "measured": measured, "peers": {}})
    update(house)
    text = (first(house) / "README.md").read_text()
    assert "| a | 1 nats | ≤ 1.6 | yes |  | 1 |\n| b | 2 nats | ≤ 1.6 | yes |  | 2 |\n| c |" in text
    assert text.count("python -m y") == 1
    assert "- a; b: the same\n" in text


def test_the_scoreboard_has_a_row_for_each_project(house):
    missed = {**RECORD, "device": "Apple M3", "measured": {"loss": {**FIGURE, "value": 1.7, "met": False}}}
    write_record(first(house), missed, "apple")
    update(house)
    assert (house / "README.md").read_text() == (
        "# Root\n<!-- scoreboard:start -->\n\n"
        "| # | project | what you build | promised | measured |\n|---|---|---|---|---|\n"
        "| 1 | [Minimal GPT](phase01_x/project01_y/) | a thing | 1.60 "
        "| loss: 1.543 nats, AMD EPYC<br>loss: 1.7 nats (missed), Apple M3 |\n"
        "| 2 | [Tokenizer](phase01_x/project02_y/) | a thing | 1.60 | not yet |\n\n"
        "<!-- scoreboard:end -->\nend\n"
    )
    text = (first(house) / "README.md").read_text()
    headlines, *folded = text.split("<details>")
    assert "| 1.543 nats | ≤ 1.6 | yes | nanoGPT: 1.886 | AMD EPYC |" in headlines
    assert "| loss | 1.7 nats | ≤ 1.6 | no | nanoGPT: 1.886 | Apple M3 |" in headlines
    assert [part.count("| figure |") for part in folded] == [1, 1], "a table for each device"


def test_without_a_headline_all_figures_are_folded_away(house):
    write_record(
        first(house), {**RECORD, "device": "a <b> & c", "measured": {"other": {**FIGURE, "value": 1}}}
    )
    update(house)
    text = (first(house) / "README.md").read_text()
    assert (
        "<!-- results:start -->\n\n<details><summary>All figures, commands and notes (a &lt;b&gt; &amp; c)"
        in text
    )
    assert text.count("| figure |") == 1


def test_a_phases_readme_lists_its_projects(house):
    update(house)
    assert (house / "phase01_x" / "README.md").read_text() == (
        "# Phase\n\n<!-- projects:start -->\n\n"
        "| # | project | what you build | needs |\n|---|---|---|---|\n"
        "| 1 | [Minimal GPT](project01_y/) | a thing | nothing |\n"
        "| 2 | [Tokenizer](project02_y/) | a thing | project 1, tiny-base |\n\n"
        "<!-- projects:end -->\n\nMore.\n"
    )


def test_a_phase_without_a_readme_or_its_marks_stops_everything(house, capsys):
    readme = house / "phase01_x" / "README.md"
    readme.write_text("no marks")
    assert main([]) == 2
    words = "phase01_x/README.md must have the lines <!-- projects:start --> and <!-- projects:end -->"
    assert words in capsys.readouterr().err
    readme.unlink()
    assert main([]) == 2
    assert f"error: {readme} is missing" in capsys.readouterr().err
    assert (first(house) / "README.md").read_text() == MARKS, "nothing was written"


def test_a_second_run_changes_nothing(house, capsys):
    assert main([]) == 0
    assert capsys.readouterr().out == (
        "phase01_x/project01_y/README.md: brought up to date\n"
        "phase01_x/project02_y/README.md: brought up to date\n"
        "phase01_x/README.md: brought up to date\n"
        "README.md: brought up to date\n"
    )
    assert main([]) == 0
    assert capsys.readouterr().out == "every README is up to date\n"


def test_check_finds_what_is_stale_and_changes_nothing(house, capsys):
    before = (first(house) / "README.md").read_text()
    assert main(["--check"]) == 1
    assert "phase01_x/project01_y/README.md: stale; run make report" in capsys.readouterr().out
    assert (first(house) / "README.md").read_text() == before
    main([])
    assert main(["--check"]) == 0


@pytest.mark.parametrize(
    "text",
    [
        "no marks",
        "<!-- results:start -->",
        "<!-- results:end --><!-- results:start -->",
        MARKS + MARKS,
    ],
)
def test_a_readme_without_its_marks_stops_everything(house, capsys, text):
    (house / "phase01_x" / "project02_y" / "README.md").write_text(text)
    assert main([]) == 2
    assert "must have the lines <!-- results:start --> and <!-- results:end -->" in capsys.readouterr().err
    assert (first(house) / "README.md").read_text() == MARKS, "nothing was written"


def test_a_missing_readme(house):
    (house / "README.md").unlink()
    with pytest.raises(ReportError, match=r"README.md is missing"):
        update(house)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ([], "is no results file"),
        ({"measured": {"x": 1}}, "is no results file"),
        ({}, "lacks device, machine, measured, peers, versions"),
        (
            {**RECORD, "measured": {"x": {"value": 1}}},
            "lacks command, date, met, note, target, threads, unit",
        ),
    ],
)
def test_a_file_that_holds_no_results(house, record, words):
    write_record(first(house), record)
    with pytest.raises(ReportError, match=words):
        update(house)
    (first(house) / "results" / "amd.json").write_text("{")
    with pytest.raises(ReportError, match="is no results file"):
        update(house)


def test_a_broken_project_is_one_line(house, monkeypatch, capsys):
    def broken(root):
        raise ProjectError("project.toml: missing key title")

    monkeypatch.setattr(readmes, "projects", broken)
    assert main([]) == 2
    assert capsys.readouterr().err == "error: project.toml: missing key title\n"

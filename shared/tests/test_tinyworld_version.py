from importlib import import_module

from shared import tinyworld

module = import_module("shared.tinyworld.version")


def test_the_version_changes_with_the_generators_source(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "version.py"))
    whole = module.version.__wrapped__  # without the cache
    (tmp_path / "story.py").write_text("one")
    first = whole()
    assert whole() == first
    (tmp_path / "__main__.py").write_text("a command makes no text")
    assert whole() == first
    (tmp_path / "story.py").write_text("changed")
    assert whole() != first
    assert len(tinyworld.version()) == 12

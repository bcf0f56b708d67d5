"""Every panel's query gives a series, asked of a real Prometheus that scrapes a server without a model."""

from pathlib import Path

import pytest

from phase10_deployment.project29_docker import check_dashboards
from phase10_deployment.project29_docker.given import programs

needs_prometheus = pytest.mark.skipif(programs.program("prometheus") is None, reason="needs Prometheus")


@needs_prometheus
def test_every_panel_and_every_metric_has_a_series():
    found = check_dashboards.check(stand_in=True, seconds=4.0)
    assert [name for name, _, count in found if not count and not name.startswith("alert")] == []
    assert len(found) > 30


@needs_prometheus
def test_a_query_that_cannot_be_read_is_an_error(tmp_path: Path):
    with programs.prometheus(check_dashboards.scrape([]), tmp_path) as url:
        assert check_dashboards.query(url, "vector(1)")[0]["value"][1] == "1"
        with pytest.raises(ValueError, match="sum\\("):
            check_dashboards.query(url, "sum(")


def test_the_metrics_that_a_query_reads():
    query = 'sum(rate(vllm:a_total{job="llm"}[20s])) / on (x) up{job="up:x"} + setup'
    assert check_dashboards.names(query) == {"vllm:a_total", "up"}

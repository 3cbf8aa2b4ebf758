"""prometheus_client pushes to a collector of type pushgateway."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable

import pytest
from agent import Agent, until
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    delete_from_gateway,
    push_to_gateway,
    pushadd_to_gateway,
)

CONFIG = """
performance_monitor:
  collection_interval: 1s
  enabled_collectors: [application]
  application_metrics: [{name: taken, type: gauge}]
  prometheus: {metric_prefix: ''}
  collectors: [{name: batch, type: pushgateway, interval: 1s, limits: {series: 200}}]
"""


@pytest.fixture
def agent(start_agent: Callable[[str], Agent]) -> Agent:
    return start_agent(CONFIG)


def gauge(name: str, value: float) -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge(name, "Help.", registry=registry).set(value)
    return registry


def names(agent: Agent) -> set[str]:
    """Names of pushed series, without the times of the pushes."""
    return {series for series in agent.series() if 'job="' in series and not series.startswith("push_")}


def test_put_replaces_a_group_post_adds_to_it_and_delete_deletes_it(agent: Agent) -> None:
    address = f"127.0.0.1:{agent.port}"
    push_to_gateway(address, "import", gauge("rows", 1), grouping_key={"instance": "db1"})
    until("it is pushed", agent.has('rows{instance="db1",job="import"} 1'))
    pushadd_to_gateway(address, "import", gauge("files", 2), grouping_key={"instance": "db1"})
    until("it is added", agent.has('rows{instance="db1",job="import"} 1', 'files{instance="db1",job="import"} 2'))
    push_to_gateway(address, "import", gauge("other", 3), grouping_key={"instance": "db1"})
    until("it is replaced", lambda: names(agent) == {'other{instance="db1",job="import"}'})
    delete_from_gateway(address, "import", grouping_key={"instance": "db1"})
    until("it is deleted", lambda: names(agent) == set())


def test_all_types_and_any_grouping_key_arrive(agent: Agent) -> None:
    registry = CollectorRegistry()
    Counter("rows", "Rows.", ["table"], registry=registry).labels('a\n"\\').inc(5)
    Histogram("took", "Seconds.", buckets=[1, 10], registry=registry).observe(2)
    push_to_gateway(
        f"127.0.0.1:{agent.port}", "nightly", registry, grouping_key={"path": "/var/tmp", "empty": "", "city": "Köln"}
    )
    key = 'city="Köln",job="nightly",path="/var/tmp"'
    until("they are there", lambda: any("rows_total{" in series for series in agent.series()))
    samples = {series: value for series, value in agent.series().items() if "nightly" in series}
    found = {(series.split("{")[0], value) for series, value in samples.items()}
    assert {("rows_total", 5.0), ("took_bucket", 0.0), ("took_bucket", 1.0), ("took_count", 1.0), ("took_sum", 2.0)} <= found
    for series in samples:
        assert all(pair in series for pair in key.split(",")), series


def test_pushed_values_are_there_after_a_kill(agent: Agent) -> None:
    push_to_gateway(f"127.0.0.1:{agent.port}", "import", gauge("rows", 7))
    agent.kill()
    agent.start()
    until("they are there again", agent.has('rows{job="import"} 7'))


def test_a_push_above_the_limit_is_an_error_of_the_client_and_changes_nothing(agent: Agent) -> None:
    address = f"127.0.0.1:{agent.port}"
    push_to_gateway(address, "good", gauge("rows", 1))
    registry = CollectorRegistry()
    many = Gauge("many", "Help.", ["n"], registry=registry)
    for number in range(300):
        many.labels(number).set(1)
    with pytest.raises(urllib.error.HTTPError) as error:
        push_to_gateway(address, "bad", registry)
    assert error.value.code == 400
    until("the good one is there", lambda: names(agent) and all('job="good"' in series for series in names(agent)))

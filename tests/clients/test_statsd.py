"""The packages statsd and datadog of PyPI send to the StatsD listener."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
import statsd
from agent import Agent, free_port, until
from datadog.dogstatsd import DogStatsd

CONFIG = """
performance_monitor:
  collection_interval: 1s
  enabled_collectors: [application]
  prometheus: {{metric_prefix: ''}}
  application:
    statsd:
      listen: "127.0.0.1:{port}"
      listen_tcp: "127.0.0.1:{port}"
      mappings: [{{match: "shop.*.orders", metric: orders, labels: {{country: "$1"}}}}]
  application_metrics:
    - {{name: web_hits, type: counter}}
    - {{name: orders, type: counter, labels: [country]}}
    - {{name: depth, type: gauge}}
    - {{name: heat, type: gauge, labels: [room]}}
    - {{name: took, type: histogram, buckets: [0.1, 1]}}
    - {{name: size, type: histogram, labels: [kind], buckets: [10, 100]}}
"""


@pytest.fixture
def agent(start_agent: Callable[[str], Agent]) -> tuple[Agent, int]:
    port = free_port()
    return start_agent(CONFIG.format(port=port)), port


def test_statsd_counts_sets_steps_and_times(agent: tuple[Agent, int]) -> None:
    running, port = agent
    client = statsd.StatsClient("127.0.0.1", port)
    client.incr("web.hits")
    client.incr("web.hits", 4)
    client.incr("shop.de.orders", 2)
    client.gauge("depth", 10)
    client.gauge("depth", -3, delta=True)
    client.timing("took", datetime.timedelta(milliseconds=50))
    with client.timer("took"), client.pipeline() as pipeline:
        pipeline.incr("web.hits", 5)
        pipeline.gauge("depth", 2, delta=True)
    until(
        "all are there",
        running.has("web_hits 10", 'orders{country="de"} 2', "depth 9", 'took_bucket{le="0.1"} 2', "took_count 2"),
    )


def test_statsd_sends_over_tcp(agent: tuple[Agent, int]) -> None:
    running, port = agent
    client = statsd.TCPStatsClient("127.0.0.1", port)
    client.incr("web.hits", 4)
    client.incr("shop.de.orders", 2)
    client.close()
    until("all are there", running.has("web_hits 4", 'orders{country="de"} 2'))


def test_datadog_sends_tags_and_packed_values(agent: tuple[Agent, int]) -> None:
    running, port = agent
    client = DogStatsd("127.0.0.1", port, disable_telemetry=True, disable_buffering=False)
    client.increment("web.hits", 3)
    client.gauge("heat", -4.5, tags=["room:attic"])
    client.histogram("size", 50, tags=["kind:a"])
    client.distribution("size", 5, tags=["kind:a"])
    with client.timed("took", use_ms=True):
        pass
    client.flush()
    until(
        "all are there",
        running.has(
            "web_hits 3",
            'heat{room="attic"} -4.5',
            'size_bucket{kind="a",le="10"} 1',
            'size_count{kind="a"} 2',
            "took_count 1",
        ),
    )

"""Telegraf sends what it measures to the collectors of types influx, graphite and otlp."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agent import Agent, free_port, until

CONFIG = """
performance_monitor:
  enabled_collectors: []
  collectors:
    - {{name: influx, type: influx, interval: 300ms, accept: ["cpu_.*"]}}
    - name: graphite
      type: graphite
      interval: 300ms
      listen: 127.0.0.1:{graphite}
      mappings: [{{match: "*.mem.*", name: "graphite_mem_$2", labels: {{host: $1}}}}]
    - {{name: otlp, type: otlp, interval: 300ms, accept: ["mem_.*"], grpc_listen: "127.0.0.1:{otlp}"}}
"""

TELEGRAF = """
[agent]
  interval = "1s"
  flush_interval = "1s"
  hostname = "box"
  omit_hostname = false
[[inputs.cpu]]
  percpu = false
[[inputs.mem]]
[[outputs.{output}]]
  {settings}
"""


@pytest.fixture
def ports() -> dict[str, int]:
    return {"graphite": free_port(), "otlp": free_port()}


@pytest.fixture
def agent(start_agent: Callable[[str], Agent], ports: dict[str, int]) -> Agent:
    agent = start_agent(CONFIG.format(**ports))
    # Addresses are bound at a collection.
    until("it listens", agent.has(*(f'bellwether_collector_success{{collector="{name}"}} 1' for name in ("graphite", "otlp"))))
    return agent


@pytest.fixture
def telegraf(tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    started = []

    def start(output: str, settings: str) -> None:
        config = tmp_path / "telegraf.conf"
        config.write_text(TELEGRAF.format(output=output, settings=settings))
        started.append(subprocess.Popen(["telegraf", "--config", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    yield start
    for program in started:
        program.terminate()
        program.wait(timeout=30)


def has_all(agent: Agent, *series: str) -> None:
    """Waits until all are on /metrics, whatever their values are."""
    until("all series", lambda: set(series) <= agent.series().keys())


@pytest.mark.parametrize(
    ("output", "settings"),
    [
        ("influxdb", 'urls = ["http://127.0.0.1:{port}"]'),
        ("influxdb_v2", 'urls = ["http://127.0.0.1:{port}"]\n  token = "t"\n  organization = "o"\n  bucket = "b"'),
    ],
)
def test_telegraf_writes_to_influx(agent: Agent, telegraf: Callable[[str, str], None], output: str, settings: str) -> None:
    telegraf(output, settings.format(port=agent.port))
    has_all(agent, 'cpu_usage_idle{cpu="cpu-total",host="box"}', 'cpu_usage_user{cpu="cpu-total",host="box"}')


def test_telegraf_writes_to_graphite(agent: Agent, ports: dict[str, int], telegraf: Callable[[str, str], None]) -> None:
    telegraf("graphite", f'servers = ["127.0.0.1:{ports["graphite"]}"]')
    has_all(agent, 'graphite_mem_available{host="box"}', 'graphite_mem_used_percent{host="box"}')


def test_telegraf_exports_with_opentelemetry(agent: Agent, ports: dict[str, int], telegraf: Callable[[str, str], None]) -> None:
    telegraf("opentelemetry", f'service_address = "127.0.0.1:{ports["otlp"]}"')
    has_all(agent, 'mem_available{host="box"}', 'mem_used_percent{host="box"}')

"""Packages of PyPI send to the collectors of types statsd, graphite and influx."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import graphyte
import influxdb
import influxdb_client
import pytest
import statsd
from agent import Agent, free_port, until
from datadog.dogstatsd import DogStatsd
from influxdb_client.client.write_api import SYNCHRONOUS

CONFIG = """
performance_monitor:
  enabled_collectors: []
  collectors:
    - name: statsd
      type: statsd
      interval: 300ms
      listen: "127.0.0.1:{statsd}"
      listen_tcp: "127.0.0.1:{statsd}"
      listen_unix: {folder}/packets.sock
      listen_unix_stream: {folder}/stream.sock
      mappings: [{{match: "shop.*.orders", name: orders_total, labels: {{country: "$1"}}}}]
      accept: ["web_.*", "heat"]
    - {{name: graphite, type: graphite, interval: 300ms, listen: "127.0.0.1:{graphite}", accept: ["servers_.*"]}}
    - {{name: influx, type: influx, interval: 300ms, accept: [".*"]}}
"""


class Running:
    """An agent with its addresses."""

    def __init__(self, start_agent: Callable[[str], Agent], folder: Path):
        self.statsd, self.graphite, self.folder = free_port(), free_port(), folder
        self.agent = start_agent(CONFIG.format(statsd=self.statsd, graphite=self.graphite, folder=folder))
        # Sockets are open before a collection succeeds; a packet to one that is not is lost.
        collected = (f'bellwether_collector_success{{collector="{name}"}} 1' for name in ("statsd", "graphite"))
        until("it listens", self.agent.has(*collected))

    def has(self, *lines: str) -> None:
        until("all are there", self.agent.has(*lines))


@pytest.fixture
def running(start_agent: Callable[[str], Agent], tmp_path: Path) -> Running:
    return Running(start_agent, tmp_path)


def test_statsd_sends_over_tcp(running: Running) -> None:
    client = statsd.TCPStatsClient("127.0.0.1", running.statsd)
    client.incr("shop.de.orders", 2)
    client.incr("web.hits", 3)
    client.timing("web.took", 320)
    client.incr("other")
    client.close()
    running.has(
        'orders_total{country="de"} 2',
        "web_hits 3",
        "web_took_sum 0.32",
        'bellwether_collector_samples_rejected_total{collector="statsd",reason="not_accepted"} 1',
    )


@pytest.mark.parametrize("path", ["packets.sock", "stream.sock"])
def test_datadog_sends_over_unix_sockets(running: Running, path: str) -> None:
    scheme = "unixstream://" if path == "stream.sock" else ""
    client = DogStatsd(socket_path=f"{scheme}{running.folder}/{path}", disable_telemetry=True, disable_buffering=False)
    client.increment("web.hits", 3, tags=["code:200"])
    client.gauge("heat", -4.5, tags=["room:attic"])
    client.flush()
    running.has('web_hits{code="200"} 3', 'heat{room="attic"} -4.5')


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_graphyte_sends_with_tags(running: Running, protocol: str) -> None:
    sender = graphyte.Sender("127.0.0.1", port=running.graphite, prefix="servers", protocol=protocol)
    sender.send("web-1.load", 0.5, tags={"dc": "x"})
    sender.stop()
    running.has('servers_web_1_load{dc="x"} 0.5')


def test_influxdb_writes_points(running: Running) -> None:
    client = influxdb.InfluxDBClient("127.0.0.1", running.agent.port, database="telegraf", gzip=True)
    assert client.ping()
    client.create_database("telegraf")
    client.write_points([{"measurement": "cpu", "tags": {"host": "a b"}, "fields": {"idle": 1.5, "n": 3, "up": True, "text": "x,y"}}])
    with pytest.raises(influxdb.exceptions.InfluxDBClientError, match="line 1: missing fields"):
        client.write("bad\nload value=2", {"db": "telegraf"}, protocol="line", expected_response_code=204)
    running.has('cpu_idle{host="a b"} 1.5', 'cpu_n{host="a b"} 3', 'cpu_up{host="a b"} 1', "load 2")


def test_influxdb_client_writes_points(running: Running) -> None:
    client = influxdb_client.InfluxDBClient(url=running.agent.url, token="t", org="o", enable_gzip=True)
    assert client.ping()
    writer = client.write_api(write_options=SYNCHRONOUS)
    writer.write(bucket="b", record=influxdb_client.Point("disk").tag("path", "/").field("used", 5))
    with pytest.raises(influxdb_client.rest.ApiException, match="missing fields"):
        writer.write(bucket="b", record="nope")
    running.has('disk_used{path="/"} 5')

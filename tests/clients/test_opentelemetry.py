"""The SDK of OpenTelemetry exports to a collector of type otlp, over HTTP and gRPC."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from agent import Agent, free_port, until
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

DELTA = {kind: AggregationTemporality.DELTA for kind in (Counter, Histogram, ObservableCounter)}
SERIES = 'instance="a:1",job="web/shop"'


@pytest.fixture
def grpc_port() -> int:
    return free_port()


@pytest.fixture
def agent(start_agent: Callable[[str], Agent], grpc_port: int) -> Agent:
    return start_agent(
        f"""
performance_monitor:
  collection_interval: 1s
  enabled_collectors: []
  prometheus: {{metric_prefix: ''}}
  collectors:
    - name: apps
      type: otlp
      interval: 1s
      accept: ["requests_total", "latency_seconds", "queue.*", "fine_seconds", target_info]
      grpc_listen: 127.0.0.1:{grpc_port}
"""
    )


def provider(exporter: MetricExporter) -> MeterProvider:
    """Exports when it is told to, and at its end."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    attributes = {"service.name": "shop", "service.namespace": "web", "service.instance.id": "a:1", "zone": "eu"}
    exponential = View(instrument_name="fine", aggregation=ExponentialBucketHistogramAggregation())
    return MeterProvider([reader], resource=Resource(attributes), views=[exponential])


def exporters(agent: Agent, grpc_port: int) -> dict[str, Callable[..., MetricExporter]]:
    url = f"{agent.url}/v1/metrics"
    return {
        "http": lambda **settings: HttpExporter(url, **settings),
        "http, gzip": lambda **settings: HttpExporter(url, compression=Compression.Gzip, **settings),
        "http, the path of Prometheus": lambda **settings: HttpExporter(f"{agent.url}/api/v1/otlp/v1/metrics", **settings),
        "grpc": lambda **settings: GrpcExporter(f"127.0.0.1:{grpc_port}", insecure=True, **settings),
    }


@pytest.mark.parametrize("transport", ["http", "http, gzip", "http, the path of Prometheus", "grpc"])
def test_all_instruments_arrive_over(agent: Agent, grpc_port: int, transport: str) -> None:
    meters = provider(exporters(agent, grpc_port)[transport]())
    meter = meters.get_meter("test")
    meter.create_counter("requests", unit="{request}").add(3, {"http.route": "/"})
    meter.create_up_down_counter("queue.size").add(-2)
    latency = meter.create_histogram("latency", unit="s", explicit_bucket_boundaries_advisory=[0.5, 1.0])
    fine = meter.create_histogram("fine", unit="s")
    for value in (0.2, 0.7, 3.0):
        latency.record(value)
        fine.record(value)
    meter.create_gauge("not_accepted").set(1)
    assert meters.force_flush()
    until(
        "all series",
        agent.has(
            f'requests_total{{http_route="/",{SERIES}}} 3',
            f"queue_size{{{SERIES}}} -2",
            f'latency_seconds_bucket{{{SERIES},le="0.5"}} 1',
            f'latency_seconds_bucket{{{SERIES},le="1"}} 2',
            f"latency_seconds_count{{{SERIES}}} 3",
            f'fine_seconds_bucket{{{SERIES},le="0.25"}} 1',
            f'fine_seconds_bucket{{{SERIES},le="1"}} 2',
            f"fine_seconds_count{{{SERIES}}} 3",
            f'target_info{{{SERIES},zone="eu"}} 1',
            'bellwether_collector_samples_rejected_total{collector="apps",reason="not_accepted"} 1',
        ),
    )
    meters.shutdown()


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_deltas_add_up_over(agent: Agent, grpc_port: int, transport: str) -> None:
    meters = provider(exporters(agent, grpc_port)[transport](preferred_temporality=DELTA))
    meter = meters.get_meter("test")
    counter = meter.create_counter("requests")
    latency = meter.create_histogram("latency", unit="s", explicit_bucket_boundaries_advisory=[1.0])
    for _ in range(3):
        counter.add(2)
        latency.record(0.5)
        assert meters.force_flush()
    until(
        "the sums",
        agent.has(f"requests_total{{{SERIES}}} 6", f'latency_seconds_bucket{{{SERIES},le="1"}} 3', f"latency_seconds_sum{{{SERIES}}} 1.5"),
    )
    meters.shutdown()


def test_a_client_goes_on_when_the_agent_was_killed(agent: Agent, grpc_port: int) -> None:
    meters = provider(exporters(agent, grpc_port)["grpc"]())
    counter = meters.get_meter("test").create_counter("requests")
    counter.add(1)
    assert meters.force_flush()
    until("the first value", agent.has(f"requests_total{{{SERIES}}} 1"))
    agent.kill()
    agent.start()
    counter.add(1)
    until("the next value", lambda: meters.force_flush() and agent.has(f"requests_total{{{SERIES}}} 2")())
    meters.shutdown()


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Returns the files of a certificate that is its own authority, and of its key."""
    files = folder / f"{name}.pem", folder / f"{name}-key.pem"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -days 2"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return files


def exports(port: int, credentials: grpc.ChannelCredentials | None, token: str | None) -> bool:
    """Returns whether a counter was exported over gRPC."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    meters.get_meter("test").create_counter("requests").add(3)
    headers = token and (("authorization", f"Bearer {token}"),)
    exporter = GrpcExporter(
        f"127.0.0.1:{port}", insecure=credentials is None, credentials=credentials, headers=headers, timeout=2
    )
    data = reader.get_metrics_data()
    assert data is not None
    exported = exporter.export(data)
    exporter.shutdown()
    meters.shutdown()
    return exported is MetricExportResult.SUCCESS


def test_a_token_and_certificates_are_needed_over_grpc(
    start_agent: Callable[[str], Agent], grpc_port: int, tmp_path: Path
) -> None:
    server, client, other = (certificate(tmp_path, name) for name in ("server", "client", "other"))
    token = tmp_path / "token"
    token.write_text("first\n")
    agent = start_agent(
        f"""
performance_monitor:
  collection_interval: 1s
  enabled_collectors: []
  prometheus: {{metric_prefix: ''}}
  collectors:
    - name: apps
      type: otlp
      interval: 1s
      accept: [requests_total]
      grpc_listen: 127.0.0.1:{grpc_port}
      grpc_bearer_token_file: {token}
      grpc_tls: {{cert_file: {server[0]}, key_file: {server[1]}, client_ca_file: {client[0]}}}
"""
    )

    def credentials(pair: tuple[Path, Path] | None) -> grpc.ChannelCredentials:
        chain, key = (None, None) if pair is None else (file.read_bytes() for file in pair)
        return grpc.ssl_channel_credentials(server[0].read_bytes(), key, chain)

    until("the client with both exports", lambda: exports(grpc_port, credentials(client), "first"))
    for pair, sent in ((client, "wrong"), (client, None), (None, "first"), (other, "first")):
        assert not exports(grpc_port, credentials(pair), sent), (pair, sent)
    assert not exports(grpc_port, None, "first")
    until("the counter", agent.has("requests_total 3"))
    token.write_text("second\n")
    until("the next token is right", lambda: exports(grpc_port, credentials(client), "second"))
    assert not exports(grpc_port, credentials(client), "first")


def test_the_answer_says_how_to_receive_if_nothing_does(start_agent: Callable[[str], Agent]) -> None:
    agent = start_agent("performance_monitor: {enabled_collectors: []}")
    for path, kind in (("/v1/metrics", "otlp"), ("/api/v1/otlp/v1/metrics", "otlp"), ("/api/v1/write", "remote_write")):
        request = urllib.request.Request(agent.url + path, data=b"", headers={"Content-Type": "application/x-protobuf"})
        with pytest.raises(urllib.error.HTTPError) as rejected:
            urllib.request.urlopen(request, timeout=5)
        assert rejected.value.code == 400 and f"type: {kind}, accept: " in rejected.value.read().decode()

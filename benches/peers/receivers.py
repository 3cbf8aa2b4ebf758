"""Receivers of pushed metrics beside those that take the same protocol, each with the same bytes."""

import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from client import Client
from process import ROOT, Process, bellwether, free_port
from wire import otlp_attributes, otlp_request, otlp_sum, series_v1, write_v1

SERIES = 10_000
METRICS = 10
# A request has the samples of this many series; a round of requests, one each second, has all of them.
REQUEST = 1_000
# Rounds that create the series, and rounds that are measured.
WARM = 4
ROUNDS = 20
SCRAPES = 10
# Bytes that fit the usual Ethernet frame; clients send packets of this size.
PACKET = 1432
# Packets that a receiver has to keep up with before the next ones.
BURST = 20


def program(*names):
    """A program on the path, or where `scripts/need` and `go install` put it."""
    folders = [ROOT / "target/go/bin", Path.home() / "go/bin"]
    return next(filter(None, (shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, folders)]))
                              for name in names)), None)


def labels(n):
    return {"endpoint": f"/api/v1/item/{n // METRICS}", "method": ("GET", "POST")[n // METRICS % 2], "status": "200"}


def value(n, number):
    return n * 1.25 + number


# Senders: each returns a function that sends one round.


def over_http(path, content_type):
    def connect(port):
        client = Client(port)
        return lambda bodies: [client.send("POST", path, body, content_type) for body in bodies]

    return connect


def over_tcp(port):
    def connect(_):
        stream = socket.create_connection(("127.0.0.1", port))
        return lambda bodies: [stream.sendall(body) for body in bodies]

    return connect


def over_udp(port):
    def connect(_):
        packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        packets.connect(("127.0.0.1", port))

        def send(bodies):
            for number, body in enumerate(bodies):
                packets.send(body)
                if number % BURST == BURST - 1:
                    time.sleep(0.002)

        return send

    return connect


# Requests


def rounds(request, unit):
    """The requests of each round. Times are of this unit a second, one second apart; those of the last round are of now."""
    every, now = WARM + ROUNDS, int(time.time())
    return [[request(range(first, first + REQUEST), number, (now - every + number) * unit)
             for first in range(0, SERIES, REQUEST)] for number in range(every)]


def lines(line, unit):
    return rounds(lambda ns, number, at: "".join(line(n, number, at) for n in ns).encode(), unit)


def influx_line(n, number, at):
    tags = ",".join(f"{name}={text}" for name, text in labels(n).items())
    return f"api,{tags} figure_{n % METRICS}={value(n, number)} {at}\n"


def graphite_line(n, number, at):
    of = labels(n)
    return f"api.{of['endpoint'][1:].replace('/', '-')}.{of['method']}.{of['status']}.figure_{n % METRICS} {value(n, number)} {at}\n"


GRAPHITE_MAPPINGS = ("[{match: 'api.*.*.*.*', name: 'api_$4', labels: {endpoint: $1, method: $2, status: $3}}]")


def statsd_packets(lines):
    """Packets with the lines of a round."""
    packets, packet = [], b""
    for line in lines:
        if len(packet) + len(line) > PACKET:
            packets.append(packet.removesuffix(b"\n"))
            packet = b""
        packet += line
    return [*packets, packet.removesuffix(b"\n")]


def statsd_line(n, number):
    """A gauge with tags; one of ten is a counter whose name is mapped."""
    of = labels(n)
    if n % METRICS == 0:
        return f"api.{of['endpoint'][1:].replace('/', '-')}.{of['method']}.calls:1|c\n".encode()
    tags = ",".join(f"{name}:{text}" for name, text in of.items())
    return f"api.figure.{n % METRICS}:{value(n, number)}|g|#{tags}\n".encode()


STATSD_MAPPINGS = "[{match: 'api.*.*.calls', name: api_calls_total, labels: {endpoint: $1, method: $2}}]"


# Measuring


class Side(NamedTuple):
    who: str
    start: Callable[[], Process]
    # Connects to a port, and returns a function that sends a round.
    connect: Callable[[int], Callable]
    # A path that answers once samples are taken.
    ready: str = "/metrics"
    # A part of the line of each series on /metrics, where they are.
    holding: bytes = b""

    def cost(self, what, bodies):
        """All CPU of 100,000 samples and of a scrape, and memory."""
        with self.start() as process:
            client, _ = process.ready(self.ready)
            # A socket for lines may be opened later.
            time.sleep(3)
            send, start = self.connect(process.port), time.perf_counter()
            for number, requests in enumerate(bodies):
                if number == WARM:
                    before = process.cpu()
                send(requests)
                time.sleep(max(0, start + number + 1 - time.perf_counter()))
            samples = (len(bodies) - WARM) * SERIES
            yield f"{what}: all CPU of 100,000 samples", self.who, (process.cpu() - before) / samples * 1e8, "ms"
            if self.holding:
                deadline = time.perf_counter() + 20
                while client.get()[1].count(self.holding) < SERIES and time.perf_counter() < deadline:
                    time.sleep(0.1)
                before = process.cpu()
                for _ in range(SCRAPES):
                    page = client.get()[1]
                assert page.count(self.holding) == SERIES, (self.who, page.count(self.holding))
                yield f"{what}: CPU of a scrape", self.who, (process.cpu() - before) / SCRAPES * 1e3, "ms"
            yield f"{what}: peak memory", self.who, process.memory("VmHWM"), "MiB"


def compare(what, bodies, *sides):
    for side in sides:
        if side:
            yield from side.cost(what, bodies)


def ours(collector, send, holding):
    return Side("bellwether", lambda: bellwether(
        "performance_monitor:\n  enabled_collectors: []\n  prometheus: {host: 127.0.0.1}\n  collectors:\n"
        f"    - {{name: bench, interval: 1s, limits: {{series: 20000}}, {collector}}}\n"), send, holding=holding)


def exporter(name, send, *flags, mappings="", holding=b""):
    """An exporter of Prometheus that takes a protocol."""
    path, files = program(name), {"m.yml": f"mappings: {mappings}\n"}
    start = lambda: Process([path, "--web.listen-address=127.0.0.1:{port}", *flags], files)  # noqa: E731
    return Side(name, start, send, holding=holding) if path else None


def prometheus(who, name, flag, send):
    path, files = program(name), {"p.yml": "global: {}\n"}
    start = lambda: Process([path, "--config.file={folder}/p.yml", "--storage.tsdb.path={folder}/data",  # noqa: E731
                             "--web.listen-address=127.0.0.1:{port}", flag], files)
    return Side(who, start, send, ready="/-/ready") if path else None


def victoria(send, *flags):
    path = program("victoria-metrics")
    start = lambda: Process([path, "-storageDataPath={folder}/data", "-httpListenAddr=127.0.0.1:{port}", *flags])  # noqa: E731
    return Side("VictoriaMetrics", start, send) if path else None


def remote_write():
    heads = [series_v1(f"api_figure_{n % METRICS}", labels(n)) for n in range(SERIES)]
    bodies = rounds(lambda ns, number, at: write_v1((heads[n], value(n, number), at) for n in ns), 1_000)
    send = over_http("/api/v1/write", "application/x-protobuf")
    flag = "--web.enable-remote-write-receiver"
    yield from compare(
        "remote write", bodies,
        ours("type: remote_write, accept: ['.*']", send, b"\napi_figure_"),
        prometheus("Prometheus", "prometheus", flag, send),
        prometheus("Prometheus 3", "prometheus3", flag, send),
        victoria(send),
    )


def otlp():
    attributes = [otlp_attributes(labels(n)) for n in range(SERIES)]
    resource = {"service.name": "shop", "service.instance.id": "a:1"}

    def request(ns, number, at):
        metrics = (otlp_sum(f"api.figure.{metric}", ((attributes[n], value(n, number), at) for n in ns if n % METRICS == metric))
                   for metric in range(METRICS))
        return otlp_request(resource, metrics)

    send = lambda path: over_http(path, "application/x-protobuf")  # noqa: E731
    yield from compare(
        "OTLP over HTTP", rounds(request, 10**9),
        ours("type: otlp, accept: ['.*']", send("/v1/metrics"), b"\napi_figure_"),
        prometheus("Prometheus 3", "prometheus3", "--web.enable-otlp-receiver", send("/api/v1/otlp/v1/metrics")),
    )


def influx():
    send = over_http("/write?db=bench", "text/plain")
    yield from compare(
        "line protocol of InfluxDB", lines(influx_line, 10**9),
        ours("type: influx, accept: ['.*']", send, b"\napi_figure_"),
        exporter("influxdb_exporter", send, "--udp.bind-address=127.0.0.1:0", holding=b"\napi_figure_"),
        victoria(send),
    )


def graphite():
    port = free_port()
    send = over_tcp(port)
    yield from compare(
        "plaintext of Graphite", lines(graphite_line, 1),
        ours(f"type: graphite, listen: '127.0.0.1:{port}', mappings: {GRAPHITE_MAPPINGS}", send, b"\napi_figure_"),
        exporter("graphite_exporter", send, f"--graphite.listen-address=127.0.0.1:{port}",
                 "--graphite.mapping-config={folder}/m.yml", mappings=GRAPHITE_MAPPINGS, holding=b"\napi_figure_"),
        victoria(send, f"-graphiteListenAddr=127.0.0.1:{port}"),
    )


def statsd():
    port = free_port()
    send = over_udp(port)
    packets = [statsd_packets(statsd_line(n, number) for n in range(SERIES)) for number in range(WARM + ROUNDS)]
    yield from compare(
        "StatsD over UDP", packets,
        ours(f"type: statsd, listen: '127.0.0.1:{port}', mappings: {STATSD_MAPPINGS}, accept: ['.*']", send, b"\napi_"),
        exporter("statsd_exporter", send, f"--statsd.listen-udp=127.0.0.1:{port}", "--statsd.listen-tcp=",
                 "--statsd.mapping-config={folder}/m.yml", mappings=STATSD_MAPPINGS, holding=b"\napi_"),
    )


def receivers():
    """Samples of 10,000 series each second. Bellwether collects each second too; it, Prometheus and VictoriaMetrics write
    all samples to disk, where exporters keep the newest of each series for a scrape."""
    for stage in (otlp, remote_write, influx, graphite, statsd):
        yield from stage()

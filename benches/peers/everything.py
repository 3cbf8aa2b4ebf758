"""Bellwether with a collector of each type that needs no broker and no cluster, at 15 s, on a host with 500 processes and 50 cgroups."""

import contextlib
import http.client
import http.server
import json
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from process import BELLWETHER, ROOT, bellwether, free_port

INTERVAL = 15
INTERVALS = 12
PROCESSES = 500
CGROUPS = 50
# Series of each push, and lines of the log in an interval.
SERIES = 20
LINES = 1_000
PRESETS = ("host", "containers", "redis", "nginx", "memcached")
CONTROLLERS = ("cpu", "cpuacct", "memory", "blkio", "pids")
HIERARCHIES = Path("/sys/fs/cgroup")

CONFIG = """
include: [{presets}]
performance_monitor:
  collection_interval: {interval}s
  enabled_collectors: [system, application]
  system_metrics:
    - {{name: cpu_percent, type: gauge}}
    - {{name: load_average_1m, type: gauge}}
    - {{name: memory_percent, type: gauge}}
    - {{name: disk_usage_percent, type: gauge}}
    - {{name: disk_io_read_bytes, type: counter}}
    - {{name: network_bytes_recv, type: counter}}
  application_metrics:
    - {{name: shop_orders_total, type: counter, labels: [country]}}
    - {{name: shop_seconds, type: histogram, labels: [endpoint], buckets: [0.01, 0.1, 1, 10]}}
  prometheus: {{host: 127.0.0.1}}
  alerting:
    allow_exec: true
    notifications: {{channels: [{{type: log, level: warning}}]}}
    rules:
      - {{name: memory, metric: memory_percent, condition: ">", threshold: 99, duration: 5m}}
      - {{name: disk, metric: disk_usage_percent, forecast: {{reaches: 99, within: 4h}}, duration: 10m}}
      - {{name: load, metric: load_average_1m, anomaly: true}}
  collectors:
    - {{name: processes, type: process, top: 5, groups: [{{name: "{{{{ comm }}}}", comm: "*"}}]}}
    - {{name: files, type: textfile, directories: ["{folder}/text"]}}
    - {{name: script, type: exec, command: [/bin/sh, -c, 'echo "exec_value 1"']}}
    - name: access
      type: log
      files: ["{folder}/access.log"]
      match: '"(?P<method>[A-Z]+) [^"]*" (?P<status>[0-9]+) '
      metrics: [{{name: log_requests_total, labels: {{method: "{{{{ method }}}}", status: "{{{{ status }}}}"}}}}]
    - name: queues
      type: http_json
      url: "http://127.0.0.1:{web}/queues"
      metrics: [{{name: queue_messages, items: "$[*]", value: $.messages, labels: {{queue: $.name}}}}]
    - {{name: exporter, type: scrape, static_configs: [{{targets: ["127.0.0.1:{web}"]}}]}}
    - {{name: web, type: probe, prober: http, targets: ["http://127.0.0.1:{web}/queues", "http://127.0.0.1:{nginx}/"]}}
    - {{name: ports, type: probe, prober: tcp, targets: ["127.0.0.1:{redis}", "127.0.0.1:{memcached}"]}}
    - {{name: batch, type: pushgateway}}
    - {{name: otlp, type: otlp, accept: ["otlp_.*"]}}
    - {{name: prometheus, type: remote_write, accept: ["remote_.*"]}}
    - {{name: packets, type: statsd, listen: "127.0.0.1:{statsd}", accept: ["statsd_.*"]}}
    - {{name: carbon, type: graphite, listen: "127.0.0.1:{graphite}", accept: ["graphite_.*"]}}
    - {{name: points, type: influx, accept: ["influx_.*"]}}
{more}"""
SQL = """    - name: orders
      type: sql
      dsn: "sqlite://FOLDER/shop.db"
      queries:
        - {name: orders, query: "SELECT state, count(*) AS orders FROM orders GROUP BY state", labels: [state], values: [{name: shop_orders, column: orders}]}
"""
SYSTEMD = "    - {name: units, type: systemd, include: '*.service'}\n"
# A series of each collector, without which something would be missing from the figures.
EXPECTED = (
    "memory_percent", "shop_orders_total", "node_cpu_seconds_total", "container_memory_rss", "redis_up 1", "nginx_up 1", "memcached_up 1",
    "namedprocess_namegroup_num_procs", "text_value 1", "exec_value 1", "log_requests_total", "queue_messages", "exporter_figure",
    "probe_success", "pushed_figure", "otlp_figure", "statsd_figure", "graphite_figure", "influx_figure",
)


class Services(http.server.BaseHTTPRequestHandler):
    """A JSON document, and 1,000 series of an exporter."""

    protocol_version = "HTTP/1.1"
    exporter = "# TYPE exporter_figure gauge\n" + "".join(f'exporter_figure{{item="{n}"}} {n}\n' for n in range(1000))
    queues = json.dumps([{"name": f"queue-{n}", "messages": n} for n in range(20)])

    def do_GET(self):
        body = (self.exporter if self.path == "/metrics" else self.queues).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4" if self.path == "/metrics" else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def server(*arguments):
    """A server of Debian, without output."""
    child = subprocess.Popen(list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.terminate()
        child.wait()


def roots():
    """Directories below which cgroups are made: one of version 2, or one for each controller of version 1."""
    if (HIERARCHIES / "cgroup.controllers").exists():
        return [HIERARCHIES]
    return [HIERARCHIES / name for name in CONTROLLERS if (HIERARCHIES / name).exists()]


@contextlib.contextmanager
def cgroups(processes):
    """As many cgroups as of so many containers of Docker, with the processes in them. Only root may make them."""
    made = []
    try:
        for root in roots():
            (root / "docker").mkdir(exist_ok=True)
            for n in range(CGROUPS):
                group = root / "docker" / f"{n:064x}"
                group.mkdir()
                made.append(group)
                for process in processes[n::CGROUPS]:
                    (group / "cgroup.procs").write_text(str(process.pid))
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for group in made:
            remove(group)
        for root in roots():
            with contextlib.suppress(OSError):
                (root / "docker").rmdir()


def remove(group):
    """Removes a cgroup once the kernel has let go of its processes."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return group.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextlib.contextmanager
def services(folder):
    """Servers that are measured by the agent, with their ports."""
    ports = {name: free_port() for name in ("redis", "nginx", "memcached", "statsd", "graphite")}
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Services)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    (folder / "nginx.conf").write_text(
        f"worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log /dev/null; events {{}}\n"
        f"http {{ access_log off; server {{ listen 127.0.0.1:{ports['nginx']}; location / {{ return 200 ok; }}\n"
        "location /stub_status { stub_status; } } }\n")
    with contextlib.ExitStack() as stack:
        stack.callback(web.shutdown)
        stack.enter_context(server("redis-server", "--port", ports["redis"], "--bind", "127.0.0.1", "--save", "", "--dir", folder))
        stack.enter_context(server("memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", ports["memcached"], "-t", 1))
        stack.enter_context(server("nginx", "-p", folder, "-c", folder / "nginx.conf"))
        yield {**ports, "web": web.server_address[1]}


def has_sql():
    features = subprocess.run([BELLWETHER, "--version"], capture_output=True, text=True, check=True).stdout
    return "sql" in features


class Senders:
    """Clients that push to the agent, and a log that grows."""

    def __init__(self, agent, ports, folder):
        self.agent, self.ports, self.log = agent, ports, folder / "access.log"
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def push(self, method, path, body, kind="text/plain"):
        connection = http.client.HTTPConnection("127.0.0.1", self.agent.port, timeout=60)
        connection.request(method, path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status in (200, 202, 204), (path, answer.status, text)
        connection.close()

    def push_json(self, path, document):
        self.push("POST", path, json.dumps(document), "application/json")

    def send(self, figure):
        self.push("PUT", "/metrics/job/bench", "".join(f'pushed_figure{{n="{n}"}} {figure}\n' for n in range(SERIES)))
        self.push_json("/api/v1/record", [
            {"metric": "shop_orders_total", "labels": {"country": "de"}, "inc": 1},
            {"metric": "shop_seconds", "labels": {"endpoint": "/"}, "observe": 0.2},
        ])
        points = [{"timeUnixNano": str(time.time_ns()), "asDouble": figure,
                   "attributes": [{"key": "n", "value": {"stringValue": str(n)}}]} for n in range(SERIES)]
        self.push_json("/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [
            {"name": "otlp_figure", "gauge": {"dataPoints": points}}]}]}]})
        self.push("POST", "/write", "".join(f"influx,n={n} figure={figure}\n" for n in range(SERIES)))
        for n in range(SERIES):
            self.datagrams.sendto(f"statsd_figure:{figure}|g|#n:{n}".encode(), ("127.0.0.1", self.ports["statsd"]))
        now = int(time.time())
        with socket.create_connection(("127.0.0.1", self.ports["graphite"])) as carbon:
            carbon.sendall("".join(f"graphite_figure;n={n} {figure} {now}\n" for n in range(SERIES)).encode())
        with open(self.log, "a") as log:
            for n in range(LINES):
                log.write(f'192.0.2.{n % 250} - - "{("GET", "POST")[n % 2]} /items/{n} HTTP/1.1" {(200, 404)[n % 7 == 0]} 17\n')


def files(folder):
    """Files that collectors read."""
    (folder / "text").mkdir()
    (folder / "text" / "bench.prom").write_text("text_value 1\n")
    (folder / "access.log").touch()
    with sqlite3.connect(folder / "shop.db") as database:
        database.execute("CREATE TABLE orders (state TEXT)")
        database.executemany("INSERT INTO orders VALUES (?)", [(("new", "paid", "sent")[n % 3],) for n in range(1000)])


def everything():
    """CPU and memory of the agent with everything, its history, rules, a dashboard of each preset, and a scrape each interval."""
    missing = [name for name in ("redis-server", "memcached", "nginx") if not shutil.which(name)]
    if missing:
        print(f"everything is left out: {', '.join(missing)} not installed")
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(cgroups([subprocess.Popen(["sleep", "100000"]) for _ in range(PROCESSES)]))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bellwether-bench-")))
        ports = stack.enter_context(services(folder))
        files(folder)
        more = (SQL.replace("FOLDER", str(folder)) if has_sql() else "") + (SYSTEMD if Path("/run/systemd/system").exists() else "")
        presets = ", ".join(str(ROOT / f"config/presets/{name}.yaml") for name in PRESETS)
        yaml = CONFIG.format(presets=presets, interval=INTERVAL, folder=folder, more=more, **ports)
        agent = stack.enter_context(bellwether(yaml, {
            "REDIS_URL": f"redis://127.0.0.1:{ports['redis']}",
            "NGINX_STATUS_URL": f"http://127.0.0.1:{ports['nginx']}/stub_status",
            "MEMCACHED_ADDRESS": f"127.0.0.1:{ports['memcached']}",
        }))
        client, _ = agent.ready()
        senders = Senders(agent, ports, folder)
        deadline = time.monotonic() + 4 * INTERVAL
        lacking = EXPECTED
        while lacking and time.monotonic() < deadline:
            senders.send(1)
            time.sleep(INTERVAL)
            page = client.get()[1]
            lacking = [name for name in EXPECTED if name.encode() not in page]
        assert not lacking, lacking
        assert page.count(b"container_memory_rss{") >= CGROUPS, page.count(b"container_memory_rss{")
        cpu, start = agent.cpu(), time.perf_counter()
        for interval in range(INTERVALS):
            senders.send(interval)
            time.sleep(INTERVAL / 2)
            page = client.get()[1]
            time.sleep(INTERVAL / 2)
        share = (agent.cpu() - cpu) / (time.perf_counter() - start)
        series = sum(not line.startswith(b"#") for line in page.splitlines())
        yield "everything, 500 processes, 50 cgroups: CPU", "bellwether", share * 100, "% of a core"
        yield "everything: resident memory", "bellwether", agent.memory(), "MiB"
        yield "everything: peak memory", "bellwether", agent.memory("VmHWM"), "MiB"
        yield "everything: series", "bellwether", series, ""

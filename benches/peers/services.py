"""Probes of services beside blackbox_exporter, and pushes of batch jobs beside Pushgateway, both of Debian."""

import http.server
import shutil
import threading
import time

from process import Process, bellwether, value

BLACKBOX = shutil.which("prometheus-blackbox-exporter")
PUSHGATEWAY = shutil.which("prometheus-pushgateway")

TARGETS = 50
PROBE_SECONDS = 20
GROUPS = 200
PUSHES = 2_000
FIGURES = 20


class Service(http.server.BaseHTTPRequestHandler):
    """A page of 2 kB. Connections are not kept, as probes make new ones."""

    page = b"<html>" + b"x" * 2000 + b"</html>"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_):
        pass


def probes():
    """Probes of HTTP services, each once a second. blackbox_exporter is scraped for each; Bellwether probes by itself
    and keeps history."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.request_queue_size = 2 * TARGETS
    threading.Thread(target=server.serve_forever, daemon=True).start()
    targets = [f"http://127.0.0.1:{server.server_address[1]}/{n}" for n in range(TARGETS)]
    what = f"{TARGETS} HTTP probes a second"
    with bellwether("performance_monitor:\n  enabled_collectors: []\n  prometheus: {host: 127.0.0.1}\n  collectors:\n"
                    f"    - {{name: web, type: probe, prober: http, interval: 1s, targets: {targets}}}\n") as process:
        client, _ = process.ready(holding=b"probe_success")
        time.sleep(3)
        before, start = process.cpu(), time.perf_counter()
        time.sleep(PROBE_SECONDS)
        cpu = (process.cpu() - before) / (time.perf_counter() - start) / TARGETS
        page = client.get()[1]
        assert page.count(b"probe_success{") == TARGETS and b'probe_success{' in page, page
        yield f"{what}: CPU of a probe", "bellwether", cpu * 1e6, "us"
        yield f"{what}: resident memory", "bellwether", process.memory(), "MiB"
    if BLACKBOX:
        config = "modules: {http_2xx: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4}}}\n"
        arguments = [BLACKBOX, "--config.file={folder}/b.yml", "--web.listen-address=127.0.0.1:{port}"]
        with Process(arguments, {"b.yml": config}) as process:
            client, _ = process.ready()
            before, probed = process.cpu(), 0
            end = time.perf_counter() + PROBE_SECONDS
            while (start := time.perf_counter()) < end:
                for target in targets:
                    page = client.get(f"/probe?module=http_2xx&target={target}")[1]
                    assert value(page, "probe_success") == 1, page
                    probed += 1
                time.sleep(max(0, 1 - (time.perf_counter() - start)))
            yield f"{what}: CPU of a probe", "blackbox_exporter", (process.cpu() - before) / probed * 1e6, "us"
            yield f"{what}: resident memory", "blackbox_exporter", process.memory(), "MiB"
    server.shutdown()


def pushed(number):
    lines = (f"# TYPE batch_figure_{n} gauge\nbatch_figure_{n}{{step=\"load\"}} {number * n}\n" for n in range(FIGURES))
    return "".join(lines)


def pushes():
    """Pushes of 20 series to 200 groups in turn, which survive a restart: Bellwether writes before it answers,
    Pushgateway writes all groups once a second."""
    what = f"pushes of {FIGURES} series to {GROUPS} groups"
    sides = [("bellwether", lambda: bellwether(
        "performance_monitor:\n  enabled_collectors: []\n  prometheus: {host: 127.0.0.1}\n  collectors:\n"
        "    - {name: batch, type: pushgateway, interval: 1s}\n"))]
    if PUSHGATEWAY:
        sides.append(("Pushgateway", lambda: Process(
            [PUSHGATEWAY, "--web.listen-address=127.0.0.1:{port}", "--persistence.file={folder}/data",
             "--persistence.interval=1s"])))
    for who, start in sides:
        with start() as process:
            client, _ = process.ready()
            push = lambda n: client.put(f"/metrics/job/bench/instance/{n % GROUPS}", pushed(n))  # noqa: B023, E731
            for n in range(GROUPS):
                push(n)
            before, began = process.cpu(), time.perf_counter()
            for n in range(PUSHES):
                push(n)
            took = (time.perf_counter() - began) / PUSHES
            yield f"{what}: CPU of a push", who, (process.cpu() - before) / PUSHES * 1e6, "us"
            yield f"{what}: time of a push", who, took * 1e6, "us"
            deadline = time.perf_counter() + 10
            while client.get()[1].count(b"batch_figure_1{") < GROUPS and time.perf_counter() < deadline:
                time.sleep(0.1)
            before = process.cpu()
            for _ in range(20):
                page = client.get()[1]
            assert page.count(b"batch_figure_1{") == GROUPS, who
            yield f"{what}: CPU of a scrape", who, (process.cpu() - before) / 20 * 1e3, "ms"
            yield f"{what}: resident memory", who, process.memory(), "MiB"

"""What is measured, one function per line of the table. Each yields (figure, who, value, unit)."""

import contextlib
import http.server
import json
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from databases import sql
from everything import everything
from process import BELLWETHER, BINARIES, Process, bellwether, node_exporter, prometheus, shipped, value
from receivers import receivers
from services import probes, pushes

METRICS = 10
HAS_NODE_EXPORTER = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
HAS_PROMETHEUS = shutil.which("prometheus")
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
SERVER = "  prometheus: {host: 127.0.0.1, limits: {max_body_bytes: 67108864}}\n"


def milliseconds(seconds):
    return statistics.median(seconds) * 1e3


def latency(client, count=200, warm=20):
    """Milliseconds of the median GET of /metrics."""
    for _ in range(warm):
        client.get()
    return milliseconds([client.get()[0] for _ in range(count)])


def record(client, records):
    """Records in batches; all must be accepted."""
    for at in range(0, len(records), 5000):
        part = records[at : at + 5000]
        answer = client.post("/api/v1/record", part)
        assert answer["data"]["accepted"] == len(part), answer


# 1. Page


def page_config(series):
    metrics = "".join(
        f"    - {{name: multi_agent_system_api_request_figure_{metric}, type: gauge, help: A figure.,"
        f" labels: [endpoint, method, status], max_series: {series}}}\n"
        for metric in range(METRICS)
    )
    return (
        "performance_monitor:\n  collection_interval: 15\n  enabled_collectors: [application]\n"
        f"  application_metrics:\n{metrics}{SERVER}"
    )


def page_records(series):
    for index in range(series):
        item = index // METRICS
        yield {
            "metric": f"multi_agent_system_api_request_figure_{index % METRICS}",
            "labels": {"endpoint": f"/api/v1/item/{item}", "method": ["GET", "POST"][item % 2], "status": "200"},
            "set": index * 37 if index % 2 == 0 else index * 0.1234567,
        }


def client_golang(folder):
    """Builds the peer; None without Go."""
    if not shutil.which("go"):
        return None
    source = Path(__file__).parent / "client_golang"
    shutil.copytree(source, folder, dirs_exist_ok=True)
    subprocess.run(["go", "build", "-o", "peer", "."], cwd=folder, check=True)
    return f"{folder}/peer"


PAGE_ROUNDS = 10


def page():
    """In rounds, one after the other: whatever else runs on the machine meets all of them alike."""
    with tempfile.TemporaryDirectory() as folder:
        peer = client_golang(folder)
        for series in (10_000, 100_000):
            what = f"page of {series:,} series"
            with contextlib.ExitStack() as stack:
                agents = {name: stack.enter_context(bellwether(page_config(series), binary=binary))
                          for name, binary in BINARIES.items()}
                clients = {}
                for name, agent in agents.items():
                    clients[name], _ = agent.ready()
                    record(clients[name], list(page_records(series)))
                processes = dict(agents)
                if peer:
                    other = stack.enter_context(Process([peer, "127.0.0.1:{port}", str(series)]))
                    processes["client_golang"], clients["client_golang"] = other, other.ready()[0]
                yield from page_in_rounds(what, processes, clients)
                for name, client in clients.items():
                    yield f"{what}, size", name, len(client.get()[1]) / 2**20, "MiB"
                    yield f"{what}, peak memory after 220 scrapes", name, processes[name].memory("VmHWM"), "MiB"
                more = 100_000_000 // series
                for name, agent in agents.items():
                    for _ in range(more):
                        clients[name].get()
                    yield f"{what}, peak memory after {more:,} more", name, agent.memory("VmHWM"), "MiB"


def page_in_rounds(what, processes, clients):
    """Latency and processor time of 200 scrapes of each, after 20 of each."""
    taken, used = {name: [] for name in processes}, dict.fromkeys(processes, 0.0)
    for client in clients.values():
        for _ in range(20):
            client.get()
    for _ in range(PAGE_ROUNDS):
        for name, process in processes.items():
            before = process.cpu()
            taken[name] += [clients[name].get()[0] for _ in range(200 // PAGE_ROUNDS)]
            used[name] += process.cpu() - before
    for name in processes:
        yield f"{what}, p50", name, milliseconds(taken[name]), "ms"
        yield f"{what}, CPU", name, used[name] / 200 * 1e3, "ms"


# 2. Host

SAME_COLLECTORS = ["--collector.disable-defaults"] + [
    f"--collector.{name}" for name in ("cpu", "cpufreq", "meminfo", "filesystem", "diskstats", "netdev")
]


def scraped(process, who):
    """Latency and processor time of scrapes that come one after the other."""
    client, _ = process.ready()
    yield "host scrape, p50", who, latency(client), "ms"
    count, before = 1000, process.cpu()
    for _ in range(count):
        client.get()
    yield "host scrape, CPU", who, (process.cpu() - before) / count * 1e3, "ms"


def host():
    figures = {}
    with shipped(enabled_collectors="[system]") as agent:
        agent.ready(holding=b"memory_percent")[0].close()
        for row in scraped(agent, "bellwether (/metrics only)"):
            figures[row[0]] = row[2]
            yield row
    with shipped(enabled_collectors="[system]", collection_interval="1s") as agent:
        client, _ = agent.ready(holding=b"memory_percent")
        durations = []
        time.sleep(3)
        before, start = agent.cpu(), time.perf_counter()
        time.sleep(30)
        interval = (agent.cpu() - before) / (time.perf_counter() - start) * 1e3
        for _ in range(10):
            time.sleep(1)
            found = value(client.get()[1], 'bellwether_collector_duration_seconds{collector="system"')
            durations.append(found)
    collection = milliseconds(durations)
    yield "one collection of all, CPU", "bellwether", interval, "ms"
    yield "one collection of the host, time", "bellwether", collection, "ms"
    yield "host scrape, p50", "bellwether (/metrics + collection)", figures["host scrape, p50"] + collection, "ms"
    yield "host scrape, CPU", "bellwether (/metrics + collection)", figures["host scrape, CPU"] + interval, "ms"
    if HAS_NODE_EXPORTER:
        with node_exporter() as other:
            yield from scraped(other, "node_exporter")
        with node_exporter(*SAME_COLLECTORS) as other:
            yield from scraped(other, "node_exporter, same figures only")


# 3. Rules

RULES = 10_000
EVERY = 15
ROUNDS = 6


def rules_config(options):
    rules = "".join(
        f"      - {{name: r{n}, metric: usage, labels: {{host: h{n}}}, condition: '>', threshold: 95{options}}}\n"
        for n in range(RULES)
    )
    return (
        f"performance_monitor:\n  collection_interval: {EVERY}\n  enabled_collectors: [application]\n"
        "  application_metrics:\n    - {name: usage, type: gauge, labels: [host, disk], max_series: 10000}\n"
        f"{SERVER}  alerting:\n    rules:\n{rules}"
    )


def prometheus_rules():
    rule = "      - {{alert: r{n}, expr: '{expr} > 95'{more}}}\n"
    groups = "groups:\n"
    for name, expr, more in (
        ("threshold", 'usage{{host="h{n}"}}', ""),
        ("mean", 'avg_over_time(usage{{host="h{n}"}}[5m])', ", for: 5m"),
    ):
        groups += f"  - name: {name}\n    rules:\n"
        for n in range(RULES):
            groups += rule.format(n=n, expr=expr.format(n=n), more=more)
    return groups


def rules():
    """Both kinds side by side for five minutes, so that the means have all their samples."""
    with bellwether(rules_config("")) as threshold, \
         bellwether(rules_config(", aggregation: mean, window: 5m, duration: 5m")) as mean:
        agents = {"threshold rules": threshold, "rules on 5-minute means": mean}
        for agent in agents.values():
            record(agent.ready()[0], [
                {"metric": "usage", "labels": {"host": f"h{n}", "disk": "sda"}, "set": n % 50}
                for n in range(RULES)
            ])
        if not HAS_PROMETHEUS:
            yield from interval_figures(agents)
            yield from tick_figures(agents, None)
            return
        with prometheus([threshold], f"{EVERY}s", prometheus_rules()) as other:
            other.ready(within=120)[0].close()
            yield from interval_figures({**agents, "rules of both kinds": other})
            yield from tick_figures(agents, other)


def interval_figures(processes):
    """Waits until all samples are there. What a process takes for an interval in all, collection
    and scrapes included, is an upper bound of its ticks' cost."""
    time.sleep(310 - 8 * EVERY)
    before = {kind: process.cpu() for kind, process in processes.items()}
    time.sleep(8 * EVERY)
    for kind, process in processes.items():
        who = "Prometheus" if kind == "rules of both kinds" else "bellwether"
        used = (process.cpu() - before[kind]) / 8 * 1e3
        yield f"10,000 {kind}, CPU of one interval in all", who, used, "ms"


def tick_figures(agents, peer):
    """What both tell of their own last ticks."""
    groups = {"threshold rules": "threshold", "rules on 5-minute means": "mean"}
    figures = {(who, kind): [] for who in ("bellwether", "Prometheus") for kind in agents}
    for _ in range(ROUNDS):
        time.sleep(EVERY)
        for kind, agent in agents.items():
            page = agent.ready()[0].get()[1]
            figures["bellwether", kind].append(value(page, "bellwether_rule_evaluation_last_duration_seconds"))
        lines = peer.ready()[0].get()[1].splitlines() if peer else []
        for kind, group in groups.items():
            name, group = b"prometheus_rule_group_last_duration_seconds", f';{group}"'.encode()
            told = (line for line in lines if line.startswith(name) and group in line)
            figures["Prometheus", kind] += [float(line.split()[-1]) for line in told]
    for (who, kind), ticks in figures.items():
        if ticks:
            yield f"10,000 {kind}, one tick", who, milliseconds(ticks), "ms"


# 4. Memory and start


def memory():
    """All at once for two minutes; Prometheus scrapes the agent every 15 seconds."""
    with shipped() as agent:
        client, _ = agent.ready()
        processes = [("bellwether", agent)]
        others = [node_exporter()] if HAS_NODE_EXPORTER else []
        others += [prometheus([agent, *others], "15s")] if HAS_PROMETHEUS else []
        names = (["node_exporter"] if HAS_NODE_EXPORTER else []) + (["Prometheus"] if HAS_PROMETHEUS else [])
        try:
            processes += list(zip(names, others))
            for _, process in processes:
                process.ready()[0].close()
            time.sleep(120)
            for who, process in processes:
                yield "resident memory, shipped configuration, after 2 minutes", who, process.memory(), "MiB"
        finally:
            for process in others:
                process.__exit__()


def start():
    makers = {"bellwether": (shipped, b"memory_percent")}
    if HAS_NODE_EXPORTER:
        makers["node_exporter"] = (node_exporter, b"node_memory_MemTotal")
    for who, (make, holding) in makers.items():
        taken = []
        for _ in range(10):
            with make() as process:
                client, seconds = process.ready(holding=holding)
                client.close()
                taken.append(seconds)
        yield "start to /metrics with the host's memory", who, milliseconds(taken), "ms"


# 5. Webhook

WEBHOOK = """performance_monitor:
  collection_interval: 1s
  enabled_collectors: [application]
  application_metrics:
    - {name: probe, type: gauge, labels: [run]}
  prometheus: {host: 127.0.0.1}
  alerting:
    notifications:
      channels:
        - {type: webhook, url: "http://127.0.0.1:RECEIVER/", timeout: 5s}
    rules:
      - {name: raised, metric: probe, condition: ">", threshold: 10, duration: 0, severity: critical}
"""


class Alarms(http.server.BaseHTTPRequestHandler):
    """Notes when which alert came first as firing and as resolved; one class per receiver."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        now = time.perf_counter()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        with self.news:
            for alert in body["alerts"]:
                labels = alert["labels"]
                self.arrived.setdefault((labels.get("run") or labels["host"], alert["status"]), now)
            self.news.notify_all()

    def log_message(self, *_):
        pass

    @classmethod
    def wait(cls, wanted, status, within=180):
        """When each of `wanted` came."""
        with cls.news:
            assert cls.news.wait_for(lambda: all((one, status) in cls.arrived for one in wanted), within)
            return [cls.arrived[one, status] for one in wanted]


def alarms():
    """A receiver, listening."""
    kind = type("Receiver", (Alarms,), {"arrived": {}, "news": threading.Condition()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return kind, server.server_port


def webhook():
    """Each run raises a series of its own, at a random moment of the interval."""
    receiver, port = alarms()
    taken = []
    with bellwether(WEBHOOK.replace("RECEIVER", str(port))) as agent:
        client, _ = agent.ready()
        for run in map(str, range(50)):
            time.sleep(random.random())
            begun = time.perf_counter()
            record(client, [{"metric": "probe", "labels": {"run": run}, "set": 99}])
            [came] = receiver.wait([run], "firing", within=30)
            taken.append(came - begun)
    taken.sort()
    yield "value recorded to webhook received, p50", "bellwether, interval 1 s", milliseconds(taken), "ms"
    yield "value recorded to webhook received, p99", "bellwether, interval 1 s", taken[-1] * 1e3, "ms"


# 6. Alerts: 10,000 rules, all firing

ALERTS_EVERY = 5
PROBES = 200
ROUTE = (
    "receiver: hook, group_by: [zone], group_wait: 0s, group_interval: 1s, repeat_interval: 4h, routes: "
    "[{matchers: ['alertname=\"raised\"'], group_by: ['...'], group_wait: 0s, receiver: hook}]"
)


def alerts_config(receiver):
    """10,000 rules and one more for the probes; without `receiver` no rules at all: what Prometheus scrapes."""
    metrics = (
        f"performance_monitor:\n  collection_interval: {ALERTS_EVERY}\n  enabled_collectors: [application]\n"
        "  application_metrics:\n    - {name: usage, type: gauge, labels: [host, zone], max_series: 10000}\n"
        f"    - {{name: probe, type: gauge, labels: [run]}}\n{SERVER}"
    )
    if not receiver:
        return metrics
    rules = "".join(
        f"      - {{name: r{n}, metric: usage, labels: {{host: h{n}}}, condition: '>', threshold: 95, severity: warning}}\n"
        for n in range(RULES)
    )
    return (
        f"{metrics}  alerting:\n    routes: {{{ROUTE}}}\n    receivers: [{{name: hook, channels: [webhook]}}]\n"
        f"    notifications:\n      channels:\n        - {{type: webhook, url: 'http://127.0.0.1:{receiver}/'}}\n"
        "    rules:\n      - {name: raised, metric: probe, condition: '>', threshold: 10, severity: critical}\n"
        f"{rules}"
    )


def alertmanager(receiver):
    return Process(
        [ALERTMANAGER, "--config.file={folder}/a.yml", "--storage.path={folder}/data", "--cluster.listen-address=",
         "--web.listen-address=127.0.0.1:{port}"],
        {"a.yml": f"route: {{{ROUTE}}}\nreceivers:\n  - name: hook\n    webhook_configs:\n"
                  f"      - {{url: 'http://127.0.0.1:{receiver}/', max_alerts: 0}}\n"},
    )


def set_usage(client, figure):
    record(client, [
        {"metric": "usage", "labels": {"host": f"h{n}", "zone": f"z{n % 10}"}, "set": figure} for n in range(RULES)
    ])


def alerts():
    """All of 10,000 rules fire at once; while they do, probes are raised one by one; then all end."""
    rules = "groups:\n  - name: all\n    rules:\n      - {alert: raised, expr: 'probe > 10'}\n" + "".join(
        f"      - {{alert: r{n}, expr: 'usage{{host=\"h{n}\"}} > 95', labels: {{severity: warning}}}}\n"
        for n in range(RULES)
    )
    kind, port = alarms()
    with bellwether(alerts_config(port)) as agent:
        agent.ready(within=120)[0].close()
        yield from alarmed("bellwether", [agent], agent, kind)
    if not (HAS_PROMETHEUS and ALERTMANAGER):
        return
    kind, port = alarms()
    with bellwether(alerts_config(None)) as source, alertmanager(port) as manager, \
         prometheus([source], f"{ALERTS_EVERY}s", rules, manager) as judge:
        for process in (source, manager, judge):
            process.ready(within=120)[0].close()
        yield from alarmed("Prometheus and Alertmanager", [judge, manager], source, kind)


def alarmed(who, processes, source, receiver):
    """The figures of one side, whose values are recorded at `source`."""
    client, hosts = source.ready()[0], [f"h{n}" for n in range(RULES)]
    memory = lambda field="VmRSS": sum(process.memory(field) for process in processes)
    set_usage(client, 50)
    time.sleep(4 * ALERTS_EVERY)
    yield "10,000 rules, none fires: resident memory", who, memory(), "MiB"
    begun = time.perf_counter()
    set_usage(client, 99)
    came = receiver.wait(hosts, "firing")
    yield "10,000 alerts fire at once: until the last is received", who, max(came) - begun, "s"
    time.sleep(4 * ALERTS_EVERY)
    yield "10,000 alerts fire: resident memory", who, memory(), "MiB"
    used, start = sum(process.cpu() for process in processes), time.perf_counter()
    time.sleep(12 * ALERTS_EVERY)
    used = (sum(process.cpu() for process in processes) - used) * ALERTS_EVERY
    yield "10,000 alerts fire: CPU of an interval", who, used / (time.perf_counter() - start) * 1e3, "ms"
    sent = {}
    for run in map(str, range(PROBES)):
        time.sleep(random.random() * ALERTS_EVERY / 10)
        sent[run] = time.perf_counter()
        record(client, [{"metric": "probe", "labels": {"run": run}, "set": 99}])
    taken = sorted(at - sent[run] for at, run in zip(receiver.wait(sent, "firing"), sent))
    yield "beside them, value to webhook received, p50", who, statistics.median(taken), "s"
    yield "beside them, value to webhook received, p99", who, taken[len(taken) * 99 // 100], "s"
    begun = time.perf_counter()
    set_usage(client, 50)
    came = receiver.wait(hosts, "resolved")
    yield "10,000 alerts end at once: until the last is received", who, max(came) - begun, "s"
    yield "10,000 alerts: peak memory", who, memory("VmHWM"), "MiB"


# 7. Packs: as many rules as public packs have, in their style

PACK_ALERTS = 1827
PACK_RECORDS = 492
PROMTOOL = shutil.which("promtool")
EXPRESSIONS = (
    'up{{job="app{n}"}} == 0',
    '(node_filesystem_avail_bytes{{fstype!~"^(fuse.*|tmpfs|cifs|nfs)",dev="d{n}"}} / node_filesystem_size_bytes < .10 '
    "and on (instance, device, mountpoint) node_filesystem_readonly == 0)",
    'sum by (job) (rate(errors{n}_total{{code=~"5.."}}[5m])) / sum by (job) (rate(requests{n}_total[5m])) * 100 > 5',
    "histogram_quantile(0.99, sum by (le, route) (rate(latency{n}_seconds_bucket[10m]))) > 1.5",
    "predict_linear(free{n}_bytes[1h], 4 * 3600) < 0 and free{n}_bytes / size{n}_bytes < 0.2",
    'absent(up{{job="app{n}"}}) or changes(started{n}_seconds[15m]) > 2',
    "(avg by (instance) (irate(cpu{n}_seconds_total{{mode!=\"idle\"}}[2m])) > .8) * on (instance) "
    "group_left (nodename) node_uname_info{{nodename=~\".+\"}}",
    "abs(depth{n} - depth{n} offset 1h) > 2 * stddev_over_time(depth{n}[1d:5m]) unless on (queue) paused{n} == 1",
    "max_over_time(lag{n}_seconds[5m]) > on (cluster) group_right () 0.9 * limit{n}",
)


def packs_rules():
    """Groups of ten rules: PromQL, labels and texts with Go's templates."""
    rules = []
    for n in range(PACK_ALERTS):
        rules.append(
            f"  - alert: Alert{n}\n    expr: {json.dumps(EXPRESSIONS[n % len(EXPRESSIONS)].format(n=n))}\n"
            f"    for: {n % 10}m\n    labels: {{severity: {('warning', 'critical')[n % 2]}}}\n    annotations:\n"
            f"      summary: Alert {n} (instance {{{{ $labels.instance }}}})\n"
            f'      description: "It is {{{{ $value | humanize }}}}\\n  VALUE = {{{{ $value }}}}\\n  LABELS = {{{{ $labels }}}}"\n'
        )
    for n in range(PACK_RECORDS):
        rules.append(f"  - record: job:requests{n}:rate5m\n    expr: sum by (job) (rate(requests{n}_total[5m]))\n")
    groups = (f"- name: group{at}\n  rules:\n{''.join(rules[at : at + 10])}" for at in range(0, len(rules), 10))
    return "groups:\n" + "".join(groups)


def packs_tests(tests, each):
    """`tests` tests that ask `each` alerts each: those of an `up == 0` and of an absent `up` fire."""
    text = "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n"
    for test in range(tests):
        series, asked = "  - {series: other, values: 1}\n", ""
        for n in range(test * each, (test + 1) * each):
            asked += f"  - eval_time: 15m\n    alertname: Alert{n}\n"
            kind = n % len(EXPRESSIONS)
            if kind == 0:
                series += f"  - {{series: 'up{{job=\"app{n}\"}}', values: 0x20}}\n"
            if kind in (0, 5):
                value, name = (0, "__name__:up ") if kind == 0 else (1, "")
                asked += (
                    f"    exp_alerts:\n    - exp_labels: {{severity: {('warning', 'critical')[n % 2]}, job: app{n}}}\n"
                    f"      exp_annotations:\n        summary: Alert {n} (instance )\n"
                    f'        description: "It is {value}\\n  VALUE = {value}\\n  LABELS = map[{name}job:app{n}]"\n'
                )
        text += f"- interval: 1m\n  input_series:\n{series}  alert_rule_test:\n{asked}"
    return text


def used(command, folder, status=0):
    """Seconds of processor of a command, the least of three where it is quick."""
    taken = []
    while len(taken) < 3 and sum(taken) < 10:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == status, (done.stdout + done.stderr)[-2000:]
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(taken)


def packs():
    """Rules of others: what reading them costs, and what their tests do."""
    count = f"{PACK_ALERTS + PACK_RECORDS:,} rules of rule files"
    yaml = "performance_monitor:\n  prometheus: {host: 127.0.0.1}\n  alerting: {rule_files: [FOLDER/rules.yml]}\n"
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "rules.yml").write_text(packs_rules())
        (here / "b.yaml").write_text(yaml.replace("FOLDER", folder))
        yield f"{count}: check, CPU", "bellwether", used([BELLWETHER, "check", "b.yaml"], folder), "s"
        if PROMTOOL:
            yield f"{count}: check, CPU", "promtool", used([PROMTOOL, "check", "rules", "rules.yml"], folder), "s"
        with Process([BELLWETHER, "run", "--config", f"{folder}/b.yaml", "--web.listen-address", "127.0.0.1:{port}"]) as agent:
            agent.ready()[0].close()
            yield f"{count}: start to /metrics, CPU", "bellwether", agent.cpu(), "s"
        for what, tests, each in (
            ("one test of 450 alerts", 1, 450), ("one test of 900 alerts", 1, 900), ("one test of 1,800 alerts", 1, 1800),
            ("4 tests of an alert", 4, 1), ("8 tests of an alert", 8, 1),
        ):
            (here / "tests.yml").write_text(packs_tests(tests, each))
            yield f"{count}: {what}, CPU", "bellwether", used([BELLWETHER, "test", "tests.yml"], folder), "s"
            if PROMTOOL:
                yield f"{count}: {what}, CPU", "promtool", used([PROMTOOL, "test", "rules", "tests.yml"], folder), "s"


# 9. Processes

PROCESSES = (500, 5_000)
PROCESS_EXPORTER = shutil.which("prometheus-process-exporter") or shutil.which("process-exporter")
PROCESS_EVERY = 5
PROCESS_CONFIG = f"""
performance_monitor:
  collection_interval: {PROCESS_EVERY}s
  prometheus: {{host: 127.0.0.1}}
  collectors:
    - {{name: processes, type: process, groups: [{{name: "{{{{ comm }}}}", comm: "*"}}]}}
"""
# Without its metrics per thread, which the other side does not have.
PROCESS_FLAGS = ("-threads=false", "-config.path", "{folder}/p.yml", "-web.listen-address", "127.0.0.1:{port}")
PROCESS_EXPORTER_CONFIG = "process_names: [{name: '{{.Comm}}', cmdline: ['.*']}]\n"


def processes():
    """All processes of the host in groups by name, with as many idle ones beside as `PROCESSES` says."""
    for count in PROCESSES:
        what = f"{count:,} processes"
        idle = [subprocess.Popen(["sleep", "100000"]) for _ in range(count)]
        try:
            with bellwether(PROCESS_CONFIG) as agent:
                client, _ = agent.ready(holding=b'groupname="sleep"')
                before, start = agent.cpu(), time.perf_counter()
                time.sleep(6 * PROCESS_EVERY)
                interval = (agent.cpu() - before) / (time.perf_counter() - start) * PROCESS_EVERY * 1e3
                page = client.get()[1]
                assert value(page, 'namedprocess_namegroup_num_procs{groupname="sleep"') >= count, page
                name = 'bellwether_collector_duration_seconds{collector="processes"'
                durations = []
                for _ in range(3):
                    time.sleep(PROCESS_EVERY)
                    durations.append(value(client.get()[1], name))
                yield f"{what}: all CPU of an interval", "bellwether", interval, "ms"
                yield f"{what}: one collection, time", "bellwether", milliseconds(durations), "ms"
                yield f"{what}: resident memory", "bellwether", agent.memory(), "MiB"
            if not PROCESS_EXPORTER:
                continue
            with Process([PROCESS_EXPORTER, *PROCESS_FLAGS], {"p.yml": PROCESS_EXPORTER_CONFIG}) as other:
                client, _ = other.ready(holding=b'groupname="sleep"')
                rounds, before, start = 10, other.cpu(), time.perf_counter()
                for _ in range(rounds):
                    client.get()
                took = (time.perf_counter() - start) / rounds * 1e3
                yield f"{what}: all CPU of an interval", "process-exporter", (other.cpu() - before) / rounds * 1e3, "ms"
                yield f"{what}: one collection, time", "process-exporter", took, "ms"
                yield f"{what}: resident memory", "process-exporter", other.memory(), "MiB"
        finally:
            for process in idle:
                process.kill()
            for process in idle:
                process.wait()


# 10. Scraping others

SCRAPED = 10_000
SCRAPE_SECONDS = 20


def exporter_page():
    """Gauges and counters as an exporter has them, with three labels each."""
    text = ""
    for metric in range(100):
        kind, suffix = ("counter", "_total") if metric % 2 else ("gauge", "")
        text += f"# HELP bench_figure_{metric}{suffix} A figure.\n# TYPE bench_figure_{metric}{suffix} {kind}\n"
        for n in range(SCRAPED // 100):
            text += (f'bench_figure_{metric}{suffix}{{device="disk{n}",mode="m{n % 7}",'
                     f'path="/var/lib/data/{n}"}} {n * 1.25 + metric}\n')
    return text.encode()


class Exporter(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    page = b""
    scrapes = {}

    def do_GET(self):
        self.scrapes[self.path] = self.scrapes.get(self.path, 0) + 1
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_):
        pass


def scrape():
    """What a scrape of 10,000 series costs the one that scrapes, writing what came to its disk included. Agents that
    only forward have a receiver that takes nothing, so that they forward nothing either."""
    Exporter.page = exporter_page()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    job = (f"scrape_configs: [{{job_name: bench, scrape_interval: 1s, metrics_path: /PATH,"
           f" static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n")
    ours = (f"performance_monitor:\n  enabled_collectors: []\n{SERVER}  collectors:\n"
            f"    - {{name: bench, type: scrape, interval: 1s, metrics_path: /bellwether, limits: {{series: 20000}},"
            f" static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n")
    config = lambda path: {"p.yml": job.replace("PATH", path)}  # noqa: E731
    processes = [("bellwether", "/bellwether", lambda: bellwether(ours), "/metrics")]
    if HAS_PROMETHEUS:
        processes.append(("Prometheus", "/prometheus", lambda: Process(
            ["prometheus", "--config.file={folder}/p.yml", "--storage.tsdb.path={folder}/data",
             "--web.listen-address=127.0.0.1:{port}"], config("prometheus")), "/-/ready"))
        processes.append(("Prometheus, agent", "/agent", lambda: Process(
            ["prometheus", "--enable-feature=agent", "--config.file={folder}/p.yml",
             "--storage.agent.path={folder}/data", "--web.listen-address=127.0.0.1:{port}"],
            config("agent")), "/-/ready"))
    if shutil.which("vmagent"):
        processes.append(("vmagent", "/vmagent", lambda: Process(
            ["vmagent", "-promscrape.config={folder}/p.yml", "-remoteWrite.tmpDataPath={folder}/data",
             "-remoteWrite.url=http://127.0.0.1:9/", "-httpListenAddr=127.0.0.1:{port}"],
            config("vmagent")), "/metrics"))
    for who, path, start, ready in processes:
        with start() as process:
            process.ready(ready)[0].close()
            # The first scrapes create the series.
            time.sleep(5)
            before, cpu = Exporter.scrapes.get(path, 0), process.cpu()
            time.sleep(SCRAPE_SECONDS)
            scrapes = Exporter.scrapes.get(path, 0) - before
            assert scrapes > SCRAPE_SECONDS / 2, (who, scrapes)
            yield f"scrape of {SCRAPED:,} series, CPU", who, (process.cpu() - cpu) / scrapes * 1e3, "ms"
            yield f"scrape of {SCRAPED:,} series, peak memory", who, process.memory("VmHWM"), "MiB"
    server.shutdown()


# 11. The host under node_exporter's names

NODE_ROUNDS = 30
NODE_CONFIG = (f"performance_monitor:\n  enabled_collectors: []\n{SERVER}  collectors:\n"
               "    - {name: node, type: node_exporter, interval: 1s}\n")


def node():
    """All default collectors of node_exporter, scraped once a second. Bellwether collects once a second, and keeps the
    history of it, which node_exporter leaves to Prometheus; once more without history, which is the same work."""
    what = "default collectors of node_exporter"
    makers = [("bellwether", lambda: bellwether(NODE_CONFIG)),
              ("bellwether, without history", lambda: bellwether(NODE_CONFIG + "trend_analysis: {enabled: false}\n"))]
    if HAS_NODE_EXPORTER:
        makers.append(("node_exporter", lambda: node_exporter("--no-collector.systemd", "--no-collector.textfile")))
    for who, make in makers:
        with make() as process:
            client, _ = process.ready(holding=b"node_cpu_seconds_total")
            # The first collections create the series.
            time.sleep(5)
            before = process.cpu()
            for _ in range(NODE_ROUNDS):
                page = client.get()[1]
                time.sleep(1)
            yield f"{what}: all CPU of a scrape", who, (process.cpu() - before) / NODE_ROUNDS * 1e3, "ms"
            if who == "bellwether":
                name = 'bellwether_collector_duration_seconds{collector="node"'
                yield f"{what}: one collection, time", who, value(page, name) * 1e3, "ms"
            yield f"{what}: resident memory", who, process.memory(), "MiB"
            series = sum(line.startswith(b"node_") for line in page.splitlines())
            yield f"{what}: series", who, series, ""


# 12. Logs

LOG_MIB = 128
LOG_CONFIG = """performance_monitor:
  enabled_collectors: []
  prometheus: {{host: 127.0.0.1}}
  collectors:
    - {{name: bench, type: log, interval: 1s, files: ["{{folder}}/bench.log"], metrics: {metrics}}}
"""
# What is counted: our metrics, the program of mtail, and the share of lines that match.
LOG_CASES = {
    "a plain word, 1 line of 100": (
        "[{name: errors_total, match: ' ERROR '}]",
        "counter errors_total\n/ ERROR / {\n  errors_total++\n}\n",
        lambda line: line % 100 == 0,
    ),
    "requests by method and status, every line": (
        """[{name: requests_total, match: '"(?P<method>[A-Z]+) [^"]*" (?P<status>[0-9]+) ', labels: {method: "{{ method }}", status: "{{ status }}"}}]""",
        """counter requests_total by method, status\n/"(?P<method>[A-Z]+) [^"]*" (?P<status>[0-9]+) / {\n  requests_total[$method][$status]++\n}\n""",
        lambda line: True,
    ),
}


def log_text():
    """Lines of an access log with a level, and their number."""
    lines, size = [], 0
    while size < LOG_MIB << 20:
        n = len(lines)
        level = "ERROR" if n % 100 == 0 else "INFO"
        lines.append(f'192.0.2.{n % 250} - - [21/Nov/2026:10:00:{n % 60:02} +0000] {level} "{("GET", "POST")[n % 7 == 0]} '
                     f'/api/v1/items/{n % 9973}?page={n % 13} HTTP/1.1" {(200, 404, 503)[n % 11 % 3]} {n % 4096} 0.{n % 997:03}\n')
        size += len(lines[-1])
    return "".join(lines).encode(), len(lines)


def series_sum(page, name):
    return sum(float(line.rsplit(b" ", 1)[1]) for line in page.splitlines() if line.startswith(name))


def logs():
    """CPU to count the lines of a log that is written at once, while it is followed."""
    text, count = log_text()
    for what, (metrics, program, matches) in LOG_CASES.items():
        wanted = sum(map(matches, range(count)))
        name = program.split()[1].encode()
        sides = [("bellwether", lambda: bellwether(LOG_CONFIG.format(metrics=metrics)), "bench.log")]  # noqa: B023
        if shutil.which("mtail"):
            sides.append(("mtail", lambda: Process(
                ["mtail", "--progs", "{folder}/bench.mtail", "--logs", "{folder}/bench.log", "--address", "127.0.0.1",
                 "--port", "{port}"], {"bench.mtail": program, "bench.log": ""}), "bench.log"))  # noqa: B023
        for who, start, log in sides:
            with start() as process:
                (process.folder / log).touch()
                client, _ = process.ready()
                # Idle, with the file open.
                time.sleep(3)
                before = process.cpu()
                with open(process.folder / log, "ab") as file:
                    file.write(text)
                while series_sum(client.get()[1], name) < wanted:
                    time.sleep(0.1)
                cpu = process.cpu() - before
                assert series_sum(client.get()[1], name) == wanted, who
                yield f"log, {what}: CPU of {LOG_MIB} MiB", who, cpu * 1e3, "ms"
                yield f"log, {what}: peak memory", who, process.memory("VmHWM"), "MiB"


STAGES = {stage.__name__: stage
          for stage in (page, host, rules, memory, start, webhook, alerts, packs, processes, scrape, node, logs, sql, probes, pushes,
                        receivers, everything)}

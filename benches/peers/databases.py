"""Queries of a real PostgreSQL, beside Debian's sql_exporter and postgres_exporter."""

import contextlib
import glob
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from process import ROOT, Process, bellwether, free_port

SECONDS = 20
QUERY = ("SELECT 'table_' || n AS name, (n % 10)::text AS shard, (n * 1.5)::float8 AS size, (n * 2)::float8 AS entries "
         "FROM generate_series(1, 1000) n")
POSTGRES = (shutil.which("initdb") or (sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb")) or [None])[-1])
SQL_EXPORTER = shutil.which("prometheus-sql-exporter")
POSTGRES_EXPORTER = shutil.which("prometheus-postgres-exporter")


def as_postgres(*command):
    """PostgreSQL does not run as root."""
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    return [*(user if os.geteuid() == 0 else []), *map(str, command)]


@contextlib.contextmanager
def postgres():
    """A PostgreSQL on 127.0.0.1, whose administrator needs no password. Gives its address."""
    folder = Path(tempfile.mkdtemp(prefix="bellwether-bench-"))
    port, data = free_port(), folder / "home" / "data"
    folder.chmod(0o755)
    (folder / "home").mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder / "home", "postgres")
    subprocess.run(as_postgres(POSTGRES, "-U", "postgres", "-A", "trust", "--no-sync", "-D", data),
                   cwd="/", check=True, capture_output=True)
    server = subprocess.Popen(
        as_postgres(Path(POSTGRES).resolve().with_name("postgres"), "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1",
                    "-c", f"unix_socket_directories={folder}/home"),
        cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def interval(process, client, scrapes):
    """All CPU of an interval of a second, in milliseconds; with `scrapes`, the process queries at each of them alone."""
    before, start = process.cpu(), time.perf_counter()
    for _ in range(SECONDS):
        time.sleep(1)
        if scrapes:
            client.get()
    return (process.cpu() - before) / (time.perf_counter() - start) * 1e3


def figures(what, who, process, holding, scrapes=False):
    with process:
        client, _ = process.ready(holding=holding)
        yield f"{what}: all CPU of an interval", who, interval(process, client, scrapes), "ms"
        yield f"{what}: resident memory", who, process.memory(), "MiB"


def sql():
    """A query of 1,000 rows with two labels and two values, each second; and the health of the server."""
    if not POSTGRES:
        return
    with postgres() as dsn:
        what = "1,000 rows of PostgreSQL"
        ours = (f"performance_monitor:\n  enabled_collectors: []\n  collectors:\n    - {{name: bench, type: sql, interval: 1s, dsn: '{dsn}', "
                f"queries: [{{name: rows, query: \"{QUERY}\", labels: [name, shard], values: [{{name: size}}, {{name: entries}}]}}]}}\n")
        yield from figures(what, "bellwether", bellwether(ours), b'size{name="table_7"')
        if SQL_EXPORTER:
            theirs = (f"jobs: [{{name: bench, interval: 1s, connections: ['{dsn}'], queries: [{{name: rows, help: x, "
                      f"labels: [name, shard], values: [size, entries], query: \"{QUERY}\"}}]}}]\n")
            process = Process([SQL_EXPORTER, "-config.file={folder}/s.yml", "-web.listen-address=127.0.0.1:{port}"], {"s.yml": theirs})
            yield from figures(what, "sql_exporter", process, b"table_7")
        what = "health of PostgreSQL"
        preset = ROOT / "config/presets/postgresql.yaml"
        with tempfile.TemporaryDirectory() as folder:
            # Each second, and without its rules, which the other side does not have.
            text = preset.read_text().replace("interval: 30s", "interval: 1s").split("\n  alerting:\n")[0]
            (Path(folder) / "preset.yaml").write_text(text)
            yaml = f"include: ['{folder}/preset.yaml']\nperformance_monitor: {{enabled_collectors: []}}\n"
            yield from figures(what, "bellwether", bellwether(yaml, {"POSTGRESQL_DSN": dsn}), b"pg_up 1")
        if POSTGRES_EXPORTER:
            process = Process([POSTGRES_EXPORTER, "--web.listen-address=127.0.0.1:{port}"], env={"DATA_SOURCE_NAME": dsn})
            yield from figures(what, "postgres_exporter", process, b"pg_up 1", scrapes=True)

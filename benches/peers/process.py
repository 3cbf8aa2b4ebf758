"""Processes under measurement: started on an own port and folder, ended by their own id."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from client import Client

ROOT = Path(__file__).resolve().parents[2]
BELLWETHER = os.environ.get("BELLWETHER", str(ROOT / "target/release/bellwether"))
# Another build, which the stage `page` measures beside.
BESIDE = os.environ.get("BESIDE")
BINARIES = {"bellwether": BELLWETHER} | ({"build of BESIDE": BESIDE} if BESIDE else {})
# A port where nothing listens: the shipped configuration's database is down while measured.
NOBODY = "127.0.0.1:9"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A server on 127.0.0.1; `{port}` and `{folder}` in its arguments and files are filled in."""

    def __init__(self, arguments, files=None, env=None):
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="bellwether-bench-"))
        for name, text in (files or {}).items():
            (self.folder / name).write_text(self._filled(text))
        self.log = open(self.folder / "log", "wb")
        self.started = time.perf_counter()
        self.child = subprocess.Popen(
            [self._filled(argument) for argument in arguments],
            cwd=self.folder,
            env={**os.environ, "STATE_DIRECTORY": str(self.folder / "state"), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def _filled(self, text):
        return text.replace("{port}", str(self.port)).replace("{folder}", str(self.folder))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ready(self, path="/metrics", holding=b"", within=60):
        """A connection, once `path` answers with `holding`; and the seconds since the start."""
        deadline = time.perf_counter() + within
        while time.perf_counter() < deadline:
            if self.child.poll() is not None:
                break
            try:
                client = Client(self.port)
                if holding in client.get(path)[1]:
                    return client, time.perf_counter() - self.started
                client.close()
            except (ConnectionError, TimeoutError):
                pass
            time.sleep(0.0005)
        log = (self.folder / "log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self.child.args[0]} does not answer:\n{log}")

    def cpu(self):
        """Seconds of processor that its living threads took so far; in nanoseconds' precision."""
        total = 0
        for task in Path(f"/proc/{self.child.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def memory(self, field="VmRSS"):
        """MiB of `VmRSS` or `VmHWM`."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+)", status)[1]) / 1024


def bellwether(yaml, env=None, binary=BELLWETHER):
    """Bellwether with a configuration of the bench's own."""
    return Process([binary, "run", "--config", "{folder}/b.yaml",
                    "--web.listen-address", "127.0.0.1:{port}"], {"b.yaml": yaml}, env)


def shipped(**changes):
    """Bellwether with the shipped configuration, but for lines that are replaced."""
    yaml = (ROOT / "config/bellwether.yaml").read_text()
    for key, value in changes.items():
        yaml, count = re.subn(rf"(?m)^(  {key}:).*$", rf"\1 {value}", yaml)
        assert count == 1, key
    return Process([BELLWETHER, "run", "--config", "{folder}/b.yaml",
                    "--web.listen-address", "127.0.0.1:{port}"],
                   {"b.yaml": yaml}, {"NEO4J_URI": f"bolt://{NOBODY}"})


def node_exporter(*flags):
    """Debian's node_exporter."""
    name = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    return Process([name, "--web.listen-address=127.0.0.1:{port}", *flags])


def prometheus(targets, every, rules="groups: []", alertmanager=None):
    """A Prometheus that scrapes `targets` and judges `rules`, both as often; it tells `alertmanager`."""
    config = (
        f"global: {{scrape_interval: {every}, evaluation_interval: {every}}}\n"
        "rule_files: [rules.yml]\n"
        "scrape_configs:\n"
        "  - {job_name: bench, honor_labels: true, static_configs: [{targets: "
        f"{[f'127.0.0.1:{target.port}' for target in targets]}}}]}}\n"
    )
    if alertmanager:
        config += f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager.port}']}}]}}]}}\n"
    return Process(
        ["prometheus", "--config.file={folder}/prometheus.yml", "--storage.tsdb.path={folder}/data",
         "--web.listen-address=127.0.0.1:{port}"],
        {"prometheus.yml": config, "rules.yml": rules},
    )


def value(page, name):
    """The value of the only series, or of the first one, whose line starts with `name`."""
    found = re.search(rb"(?m)^" + re.escape(name.encode()) + rb"[^ ]* (\S+)", page)
    return float(found[1]) if found else None

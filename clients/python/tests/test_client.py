"""Records, their values and labels, against a server of the standard library."""

from __future__ import annotations

import asyncio
import http
import itertools
import logging
import re
from typing import Any

import pytest
from agent import ROOT
from conftest import Server

from bellwether import Client


def sent(client: Client, server: Server) -> list[dict[str, Any]]:
    """Records that arrived, with ``took`` for a positive number of seconds."""
    assert client.flush()
    for record in server.records:
        if isinstance(record.get("observe"), float):
            assert 0 < record["observe"] < 60
            record["observe"] = "took"
    return server.records


def test_values_arrive_with_metric_labels_and_operation(client: Client, server: Server) -> None:
    client.inc("mails", provider="ses")
    client.set("temperature", -3.5)
    client.observe("size", 7, kind="large", ok=True, code=http.HTTPStatus.NOT_FOUND)
    client.add("open_files", -2, **{"class": "a"})
    assert client.flush()
    assert server.records == [
        {"metric": "mails", "labels": {"provider": "ses"}, "inc": 1},
        {"metric": "temperature", "labels": {}, "set": -3.5},
        {"metric": "size", "labels": {"kind": "large", "ok": "true", "code": "404"}, "observe": 7},
        {"metric": "open_files", "labels": {"class": "a"}, "add": -2},
    ]
    path, headers = server.requests[0]
    assert (path, headers["Content-Type"]) == ("/api/v1/record", "application/json")


def test_labels_may_have_the_names_of_parameters(client: Client, server: Server) -> None:
    client.inc("a", metric="m", by="b", self="s", value="v")
    assert client.flush()
    assert server.records[0]["labels"] == {"metric": "m", "by": "b", "self": "s", "value": "v"}


def test_values_of_one_series_are_summed_while_they_wait(client: Client, server: Server) -> None:
    server.answer = lambda body: (503, {}, b"")
    client.inc("first")
    assert not client.flush(0.2)
    for _ in range(1000):
        client.inc("counter", 2, a="1")
        client.inc("counter", 3, a="2")
    client.set("gauge", 10)
    client.add("gauge", 5)
    client.add("steps", 1)
    client.add("steps", -3)
    client.add("replaced", 7)
    client.set("replaced", 1)
    server.answer = server.accept
    assert client.flush()
    assert server.records[1:] == [
        {"metric": "counter", "labels": {"a": "1"}, "inc": 2000},
        {"metric": "counter", "labels": {"a": "2"}, "inc": 3000},
        {"metric": "gauge", "labels": {}, "set": 15},
        {"metric": "steps", "labels": {}, "add": -2},
        {"metric": "replaced", "labels": {}, "set": 1},
    ]
    assert client.stats()[:4] == (2007, 0, 0, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "many", None, 10**400])
def test_a_value_that_is_no_number_is_rejected_and_logged_once(
    client: Client, server: Server, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    for _ in range(3):
        client.set("gauge", value)
    client.set("gauge", 1)
    assert client.flush()
    assert server.records == [{"metric": "gauge", "labels": {}, "set": 1}]
    assert client.stats()[:2] == (1, 3)
    assert len(caplog.records) == 1 and "gauge: not a" in caplog.text


def test_what_cannot_be_recorded_never_raises(client: Client, server: Server) -> None:
    class NoText:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    anything: Any = client
    anything.inc("counter", label=NoText())
    anything.inc(None)
    client.inc("counter", -1)
    client.inc("bytes", name="\udcff\x00")
    assert client.flush()
    assert server.records == [{"metric": "bytes", "labels": {"name": "?\x00"}, "inc": 1}]
    assert client.stats()[:2] == (1, 3)


def test_timers_observe_blocks_and_calls(client: Client, server: Server) -> None:
    with client.time("block", page="home") as timer:
        timer.labels["hit"] = True
    assert timer.duration > 0

    @client.time("call")
    def call(a: int, *, b: int) -> int:
        """Adds."""
        return a + b

    @client.time("coroutine")
    async def coroutine(a: int) -> int:
        await asyncio.sleep(0)
        return a

    async def main() -> list[int]:
        async with client.time("async_block"):
            return list(await asyncio.gather(coroutine(1), coroutine(2)))

    assert (call(1, b=2), call.__name__, call.__doc__) == (3, "call", "Adds.")
    assert asyncio.run(main()) == [1, 2]
    with pytest.raises(KeyError), client.time("failed"):
        raise KeyError
    metrics = [(record["metric"], record["labels"]) for record in sent(client, server)]
    assert metrics == [
        ("block", {"page": "home", "hit": "true"}),
        ("call", {}),
        ("coroutine", {}),
        ("coroutine", {}),
        ("async_block", {}),
        ("failed", {}),
    ]


def test_a_timer_of_a_recursive_function_observes_each_call(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    monkeypatch.setattr("bellwether.timing.time.perf_counter", lambda: float(next(clock)))

    @client.time("depth")
    def fall(depth: int) -> None:
        if depth:
            fall(depth - 1)

    fall(2)
    assert client.flush()
    assert [record["observe"] for record in server.records] == [1, 3, 5]


def test_a_generator_is_not_decorated(client: Client) -> None:
    with pytest.raises(TypeError, match="use `with` in it"):

        @client.time("rows")
        def rows() -> Any:
            yield 1


def test_errors_are_counted_by_their_class(client: Client, server: Server) -> None:
    @client.count_errors("errors", job="import")
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        fail()
    with pytest.raises(OSError), client.count_errors("plain", None):
        raise OSError
    with pytest.raises(KeyboardInterrupt), client.count_errors("errors"):
        raise KeyboardInterrupt
    assert sent(client, server) == [
        {"metric": "errors", "labels": {"job": "import", "error_type": "ValueError"}, "inc": 1},
        {"metric": "plain", "labels": {}, "inc": 1},
    ]


def test_marks_are_measured(client: Client, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    client.mark("start")
    first = client.measure("collection", "start", kind="a")
    second = client.measure("collection", "start")
    assert first is not None and second is not None and 0 < first < second
    assert client.measure("collection", "never") is None
    assert "there is no mark 'never'" in caplog.text
    assert [record["labels"] for record in sent(client, server)] == [{"kind": "a"}, {}]


def test_old_marks_are_forgotten(client: Client) -> None:
    for number in range(1001):
        client.mark(str(number))
    assert client.measure("a", "0") is None
    assert client.measure("a", "1000") is not None


def test_one_call_times_counts_and_records_the_error(client: Client, server: Server) -> None:
    @client.agent_execution("cv")
    def run(fails: bool) -> None:
        if fails:
            raise TimeoutError

    run(False)
    with pytest.raises(TimeoutError):
        run(True)

    async def cancelled() -> None:
        async with client.agent_execution("cv"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    expected: list[dict[str, Any]] = []
    for status in ("success", "error", "cancelled"):
        labels = {"agent_name": "cv", "status": status}
        expected.append({"metric": "agent_execution_time", "labels": labels, "observe": "took"})
        expected.append({"metric": "agent_execution_count", "labels": labels, "inc": 1})
        if status == "error":
            labels = {"agent_name": "cv", "error_type": "TimeoutError"}
            expected.append({"metric": "agent_error_count", "labels": labels, "inc": 1})
    assert sent(client, server) == expected


@pytest.mark.parametrize(
    ("status", "fails", "shown"), [(None, False, "200"), (404, False, "404"), (None, True, "500"), (503, True, "503")]
)
def test_an_api_request_has_its_status(client: Client, server: Server, status: Any, fails: bool, shown: str) -> None:
    def answer() -> None:
        with client.api_request("/orders", "GET") as request:
            if status:
                request.status = status
            if fails:
                raise LookupError

    if fails:
        with pytest.raises(LookupError):
            answer()
    else:
        answer()
    labels = {"endpoint": "/orders", "method": "GET", "status": shown}
    expected: list[dict[str, Any]] = [
        {"metric": "api_request_duration", "labels": labels, "observe": "took"},
        {"metric": "api_request_count", "labels": labels, "inc": 1},
    ]
    if fails:
        labels = {"endpoint": "/orders", "method": "GET", "error_type": "LookupError"}
        expected.append({"metric": "api_error_count", "labels": labels, "inc": 1})
    assert sent(client, server) == expected


def test_items_that_fail_were_not_processed(client: Client, server: Server) -> None:
    for timer in (client.queue_processing("mail"), client.entity_processing("Camera", "create")):
        with timer:
            pass
        with pytest.raises(ValueError), timer:
            raise ValueError
    assert [record["metric"] for record in sent(client, server)] == [
        "queue_processing_time",
        "queue_items_processed",
        "entities_processing_time",
        "entities_processed_total",
    ]


def test_every_metric_of_the_client_is_in_the_shipped_configuration() -> None:
    source = (ROOT / "clients/python/src/bellwether/client.py").read_text()
    catalogue = (ROOT / "config/bellwether.yaml").read_text()
    metrics = re.findall(r'self\.(?:inc|set|observe)\(\s*"(\w+)"', source)
    assert len(set(metrics)) == 14
    assert [metric for metric in metrics if f"name: {metric}\n" not in catalogue and f"{{name: {metric}," not in catalogue] == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:9091", "hint: use http://127.0.0.1:9091"),
        ("ftp://localhost", "invalid URL"),
        ("http://localhost:port", "invalid URL"),
        ("http://ada:secret@localhost", "use token or token_file"),
    ],
)
def test_a_url_that_cannot_work_is_an_error_at_the_start(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        Client(url)
    assert "secret" not in str(error.value)


def test_the_environment_has_the_defaults(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    monkeypatch.setenv("BELLWETHER_URL", server.url + "/monitoring/")
    monkeypatch.setenv("BELLWETHER_TOKEN_FILE", str(token))
    with Client() as client:
        client.inc("a")
        assert client.flush()
        token.write_text("second\n")
        client.inc("a")
        assert client.flush()
    assert [(path, headers["Authorization"]) for path, headers in server.requests] == [
        ("/monitoring/api/v1/record", "Bearer first"),
        ("/monitoring/api/v1/record", "Bearer second"),
    ]


@pytest.mark.parametrize(("token", "logged"), [("s3cret", "a token is required"), ("s3cret\nmore", "the token has blanks")])
def test_the_log_has_no_token(server: Server, caplog: pytest.LogCaptureFixture, token: str, logged: str) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer = lambda body: (401, {}, b'{"error": "a token is required"}')
    with Client(server.url, token=token) as client:
        client.inc("a")
        assert not client.flush(0.1)
        client.close(0)
    assert logged in caplog.text and "s3cret" not in caplog.text

"""The client that applications use."""

from __future__ import annotations

import os
import ssl
import time
from types import TracebackType
from typing import Union

from bellwether.record import ADD, INC, OBSERVE, SET, LabelValue, Record, encodable, label_text
from bellwether.sender import Sender, Stats, as_number
from bellwether.timing import ApiRequest, Timer, outcome
from bellwether.transport import DEFAULT_URL, connect

Path = Union[str, "os.PathLike[str]"]

# Marks that are kept; the oldest ones are forgotten.
MAX_MARKS = 1000


class Client:
    """Records values of application metrics.

    All methods may be called from any thread. Those that record return at once, and raise nothing: values are sent in the
    background, and what is wrong with one is in the log of the logger ``bellwether``.

    ``url`` is that of the agent; ``statsd://HOST:PORT`` sends StatsD over UDP. ``token`` or ``token_file`` is needed if the
    agent is on another host or has users. ``ca_file`` or ``ssl_context`` verify a certificate that the system does not know.
    ``max_pending`` is the largest number of values that wait while the agent is away, ``interval`` the seconds between two
    sendings, ``timeout`` the seconds for one.

    The environment variables ``BELLWETHER_URL``, ``BELLWETHER_TOKEN_FILE`` and ``BELLWETHER_CA_FILE`` are the defaults.

    Raises ``ValueError`` if the URL cannot be used, and ``OSError`` if the CA file cannot.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_pending: int = 20_000,
        interval: float = 1.0,
        timeout: float = 5.0,
    ):
        environment = os.environ.get
        if token is None and token_file is None:
            token_file = environment("BELLWETHER_TOKEN_FILE") or None
        transport = connect(
            url or environment("BELLWETHER_URL") or DEFAULT_URL,
            token=token,
            token_file=token_file,
            ca_file=ca_file or environment("BELLWETHER_CA_FILE") or None,
            ssl_context=ssl_context,
            timeout=timeout,
        )
        self._operations = transport.operations
        self._sender = Sender(transport, max_pending=max_pending, interval=interval)
        self._marks: dict[str, float] = {}

    # Any metric. Labels are keyword arguments; `**{"class": "a"}` passes one whose name is a word of Python.

    def inc(self, metric: str, by: float = 1, /, **labels: LabelValue) -> None:
        """Increments a counter."""
        self._record(INC, metric, by, labels)

    def set(self, metric: str, value: float, /, **labels: LabelValue) -> None:
        """Sets a gauge."""
        self._record(SET, metric, value, labels)

    def add(self, metric: str, by: float, /, **labels: LabelValue) -> None:
        """Adds to a gauge; a negative number takes away. Not over StatsD."""
        self._record(ADD, metric, by, labels)

    def observe(self, metric: str, value: float, /, **labels: LabelValue) -> None:
        """Adds an observation to a histogram."""
        self._record(OBSERVE, metric, value, labels)

    def time(self, metric: str, /, **labels: LabelValue) -> Timer:
        """Observes the seconds that a block or a function takes, whether it succeeds or not.

        >>> with metrics.time("render_time", page="home"):
        ...     render()
        >>> @metrics.time("render_time", page="home")
        ... async def render(): ...
        """

        def finish(timer: Timer, duration: float, error: BaseException | None) -> None:
            self._record(OBSERVE, metric, duration, timer.labels)

        return Timer(finish, dict(labels))

    def count_errors(self, metric: str, label: str | None = "error_type", /, **labels: LabelValue) -> Timer:
        """Increments a counter when an exception leaves a block or a function. ``label`` gets the name of its class."""

        def finish(timer: Timer, duration: float, error: BaseException | None) -> None:
            if isinstance(error, Exception):
                kind = {} if label is None else {label: type(error).__name__}
                self._record(INC, metric, 1, {**timer.labels, **kind})

        return Timer(finish, dict(labels))

    def mark(self, name: str) -> None:
        """Remembers the current time. A name is one mark, whichever thread sets it."""
        marks = self._marks
        marks.pop(name, None)
        marks[name] = time.perf_counter()
        if len(marks) > MAX_MARKS:
            marks.pop(next(iter(marks.copy())), None)

    def measure(self, metric: str, start_mark: str, /, **labels: LabelValue) -> float | None:
        """Observes the seconds since a mark and returns them; None if there is no such mark."""
        start = self._marks.get(start_mark)
        if start is None:
            self._sender.reject(1, f"{metric}: there is no mark {start_mark!r:.100}")
            return None
        duration = time.perf_counter() - start
        self._record(OBSERVE, metric, duration, labels)
        return duration

    # The application metrics of the shipped configuration.

    def record_agent_execution(self, agent_name: str, duration: float, status: str = "success") -> None:
        """Records an execution of an agent and the seconds that it took."""
        self.observe("agent_execution_time", duration, agent_name=agent_name, status=status)
        self.inc("agent_execution_count", agent_name=agent_name, status=status)

    def record_agent_error(self, agent_name: str, error_type: str) -> None:
        """Records an error of an agent."""
        self.inc("agent_error_count", agent_name=agent_name, error_type=error_type)

    def record_api_request(self, endpoint: str, method: str, duration: float, status: int | str = 200) -> None:
        """Records an API request and the seconds that it took."""
        labels = {"endpoint": endpoint, "method": method, "status": status}
        self.observe("api_request_duration", duration, **labels)
        self.inc("api_request_count", **labels)

    def record_api_error(self, endpoint: str, method: str, error_type: str) -> None:
        """Records an error of an API request."""
        self.inc("api_error_count", endpoint=endpoint, method=method, error_type=error_type)

    def set_queue_length(self, queue_name: str, length: float) -> None:
        """Records how many items wait in a queue."""
        self.set("queue_length", length, queue_name=queue_name)

    def record_queue_processing(self, queue_name: str, duration: float) -> None:
        """Records an item of a queue that was processed and the seconds that it took."""
        self.observe("queue_processing_time", duration, queue_name=queue_name)
        self.inc("queue_items_processed", queue_name=queue_name)

    def record_entity_processing(self, entity_type: str, operation: str, duration: float) -> None:
        """Records an entity that was processed and the seconds that it took."""
        labels = {"entity_type": entity_type, "operation": operation}
        self.observe("entities_processing_time", duration, **labels)
        self.inc("entities_processed_total", **labels)

    def record_cache_hit(self, cache_name: str) -> None:
        """Records a look-up that a cache answered."""
        self.inc("cache_hits", cache_name=cache_name)

    def record_cache_miss(self, cache_name: str) -> None:
        """Records a look-up that a cache could not answer."""
        self.inc("cache_misses", cache_name=cache_name)

    def set_cache_size(self, cache_name: str, size: float) -> None:
        """Records how many entries a cache has."""
        self.set("cache_size", size, cache_name=cache_name)

    # The same, around a block or a function: one call that times, counts, and records an error.

    def agent_execution(self, agent_name: str) -> Timer:
        """Records an execution of an agent, with the status ``success``, ``error`` or ``cancelled``, and its error."""

        def finish(timer: Timer, duration: float, error: BaseException | None) -> None:
            self.record_agent_execution(agent_name, duration, outcome(error))
            if isinstance(error, Exception):
                self.record_agent_error(agent_name, type(error).__name__)

        return Timer(finish, {})

    def api_request(self, endpoint: str, method: str) -> ApiRequest:
        """Records an API request and its error; the status is 500 after an exception.

        >>> with metrics.api_request("/orders", "GET") as request:
        ...     request.status = answer().status
        """

        def finish(request: ApiRequest, duration: float, error: BaseException | None) -> None:
            is_error = isinstance(error, Exception)
            status = 500 if is_error and "status" not in vars(request) else request.status
            self.record_api_request(endpoint, method, duration, status)
            if is_error:
                self.record_api_error(endpoint, method, type(error).__name__)

        return ApiRequest(finish, {})

    def queue_processing(self, queue_name: str) -> Timer:
        """Records an item of a queue, unless an exception says that it was not processed."""

        def finish(timer: Timer, duration: float, error: BaseException | None) -> None:
            if error is None:
                self.record_queue_processing(queue_name, duration)

        return Timer(finish, {})

    def entity_processing(self, entity_type: str, operation: str) -> Timer:
        """Records an entity, unless an exception says that it was not processed."""

        def finish(timer: Timer, duration: float, error: BaseException | None) -> None:
            if error is None:
                self.record_entity_processing(entity_type, operation, duration)

        return Timer(finish, {})

    # The connection.

    def flush(self, timeout: float = 5.0) -> bool:
        """Sends what was recorded so far, and waits for it. Returns false if that took longer than ``timeout`` seconds."""
        return self._sender.flush(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Flushes and ends the thread; returns false if values were lost. At the end of the program this happens by itself."""
        return self._sender.close(timeout)

    def stats(self) -> Stats:
        """Returns how many calls were sent, rejected and dropped, and how many wait."""
        return self._sender.stats()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _record(self, operation: str, metric: str, value: float, labels: dict[str, LabelValue]) -> None:
        try:
            number = as_number(value)
            if operation == INC and number < 0:
                raise ValueError(f"a counter cannot fall: {number}")
            if operation not in self._operations:
                raise ValueError(f"{operation} is not possible over StatsD; hint: use HTTP, or set")
            texts = tuple(sorted((name, label_text(text)) for name, text in labels.items()))
            self._sender.put(Record(operation, encodable(metric), number, texts))
        except Exception as error:  # a label may be an object whose text cannot be made
            self._sender.reject(1, f"{metric}: {error}")

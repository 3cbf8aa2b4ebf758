"""Queue of records, and the thread that sends them.

Threads of the application only append to a queue, which needs no lock. One daemon thread takes from it, sums what belongs to one
series, and sends batches. Neither errors nor waiting reach the application.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import queue
import random
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from bellwether.record import OBSERVE, Labels, Record
from bellwether.transport import BatchRejected, Rejection, Transport, Unavailable

log = logging.getLogger("bellwether")

# The agent's answer lists as many rejected records.
BATCH_RECORDS = 1000

FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 30.0

# Error messages that are logged, each once; names in them can be without end.
LOGGED_MESSAGES = 100


class Stats(NamedTuple):
    """Numbers of calls by their outcome."""

    sent: int
    """Recorded by the agent. With StatsD: given to the network."""
    rejected: int
    """Rejected by the agent or, as no number, by the client."""
    dropped: int
    """Given up: the queue was full, or the client was closed while the agent was away."""
    pending: int
    """Waiting to be sent."""
    failures: int
    """Failed attempts to send, each of which is repeated."""


class Sender:
    """Sends records in the background."""

    def __init__(self, transport: Transport, *, max_pending: int, interval: float):
        self._transport = transport
        self._max_pending = max_pending
        self._interval = interval
        self._reset()
        _senders.add(self)

    def _reset(self) -> None:
        """Sets the state of a process that has recorded nothing."""
        # Reentrant, for a signal handler may record while its thread holds it.
        self._lock = threading.RLock()
        # One thread sends at a time.
        self._sending = threading.Lock()
        self._queue: deque[Record | threading.Event] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._pending: list[Record] = []
        self._series: dict[tuple[str, Labels], Record] = {}
        self._waiting: list[threading.Event] = []
        self._sent = self._rejected = self._dropped = self._failures = 0
        self._failed_in_a_row = 0
        self._retry_at = 0.0
        self._dropped_in_outage = 0
        self._logged: set[str] = set()

    def after_fork(self) -> None:
        """Leaves the parent's records, thread and connection to the parent."""
        is_closed = self._closed
        self._transport.forget()
        self._reset()
        self._closed = is_closed

    # For the threads of the application.

    def put(self, record: Record) -> None:
        """Queues a record; drops it if the queue is full. The pending records have a bound of their own."""
        if self._closed or len(self._queue) >= self._max_pending:
            self._drop(1)
            return
        self._queue.append(record)
        if self._thread is None:
            self._start()
        # At each multiple, and not above a threshold: a token for each record would wake the thread for nothing.
        if len(self._queue) % BATCH_RECORDS == 0:
            self._wake.put(None)

    def reject(self, calls: int, message: str) -> None:
        """Counts rejected calls, and logs each message once."""
        with self._lock:
            self._rejected += calls
            if message in self._logged or len(self._logged) >= LOGGED_MESSAGES:
                return
            self._logged.add(message)
        log.warning("rejected: %s", message)

    def stats(self) -> Stats:
        with self._lock:
            pending = sum(isinstance(one, Record) for one in self._queue.copy())
            pending += sum(record.calls for record in tuple(self._pending))
            return Stats(self._sent, self._rejected, self._dropped, pending, self._failures)

    def flush(self, timeout: float) -> bool:
        """Sends at once what was put before; returns false if that takes longer than ``timeout`` seconds."""
        done = threading.Event()
        self._queue.append(done)
        self._retry_at = 0.0
        if self._start():
            self._wake.put(None)
        else:
            self._send_all()
        is_done = done.wait(timeout)
        done.set()  # nobody waits any more
        return is_done

    def close(self, timeout: float) -> bool:
        """Sends the rest for at most ``timeout`` seconds, ends the thread, and drops what could not be sent."""
        if self._closed:
            return True
        is_flushed = not (self._queue or self._pending) or self.flush(timeout)
        self._closed = True
        self._wake.put(None)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0 if is_flushed else 0.1)
        with self._lock:
            left = self.stats().pending
            self._queue.clear()
            self._pending, self._series = [], {}
        if left:
            self._drop(left)
        # A thread that still waits for an answer closes its connection itself.
        if self._sending.acquire(blocking=False):
            try:
                self._transport.close()
            finally:
                self._sending.release()
        return is_flushed

    def _drop(self, calls: int) -> None:
        with self._lock:
            self._dropped += calls
            self._dropped_in_outage += calls
            is_first = self._dropped_in_outage == calls
        if is_first:
            reason = "the client is closed" if self._closed else f"{self._max_pending} wait already"
            log.warning("values are dropped: %s", reason)

    def _start(self) -> bool:
        """Starts the thread if it does not run; returns false if there can be none, as while the interpreter ends."""
        with self._lock:
            if self._thread is not None:
                return self._thread.is_alive()
            if self._closed:
                return False
            thread = threading.Thread(target=self._run, name="bellwether", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:
                self._thread = None
                return False
        _close_with_child(self)
        return True

    # For the thread.

    def _run(self) -> None:
        while not self._closed:
            wait = self._interval
            if self._retry_at:
                wait = min(wait, max(0.01, self._retry_at - time.monotonic()))
            try:
                self._wake.get(timeout=wait)
            except queue.Empty:
                pass
            try:
                self._send_all()
            except Exception:
                # A defect of this module costs what it was about, and not all that comes after it.
                log.exception("cannot send")
        if not self._sending.locked():
            self._transport.close()

    def _send_all(self) -> None:
        with self._sending:
            self._collect()
            if time.monotonic() < self._retry_at:
                return
            try:
                while self._pending:
                    self._send(self._pending[:BATCH_RECORDS])
            except Unavailable as unavailable:
                self._fail(unavailable)
                return
            if self._failed_in_a_row:
                log.warning("the agent answers again; %d values were dropped", self._dropped_in_outage)
            self._failed_in_a_row = 0
            self._retry_at = 0.0
            self._dropped_in_outage = 0
            waiting, self._waiting = self._waiting, []
            for done in waiting:
                done.set()

    def _collect(self) -> None:
        """Moves what is queued now to the pending records, and sums what belongs to one series."""
        for _ in range(len(self._queue)):
            try:
                record = self._queue.popleft()
            except IndexError:  # closed meanwhile
                return
            if isinstance(record, threading.Event):
                self._waiting = [done for done in self._waiting if not done.is_set()]
                self._waiting.append(record)
                continue
            if record.operation != OBSERVE:
                series = (record.metric, record.labels)
                earlier = self._series.get(series)
                if earlier is not None and earlier.merge(record):
                    continue
            if len(self._pending) >= self._max_pending:
                self._drop(1)
                continue
            if record.operation != OBSERVE:
                self._series[series] = record
            self._pending.append(record)

    def _send(self, batch: list[Record]) -> None:
        try:
            rejections = self._transport.send(batch)
        except BatchRejected as error:
            # One record that cannot be read, or many that are too large together, cost only themselves.
            if len(batch) > 1:
                half = len(batch) // 2
                self._send(batch[:half])
                self._send(batch[half:])
                return
            rejections = [Rejection(0, str(error))]
        self._settle(batch, rejections)

    def _settle(self, batch: list[Record], rejections: Iterable[Rejection]) -> None:
        """Counts a batch that was answered, which is at the head of the pending records."""
        rejected = 0
        for rejection in rejections:
            record = batch[rejection.index]
            rejected += record.calls
            self.reject(record.calls, f"{record.metric}: {rejection.message}")
        with self._lock:
            if not self._pending:  # closed meanwhile, and counted as dropped
                return
            self._sent += sum(record.calls for record in batch) - rejected
            del self._pending[: len(batch)]
            for record in batch:
                series = (record.metric, record.labels)
                if self._series.get(series) is record:
                    del self._series[series]

    def _fail(self, unavailable: Unavailable) -> None:
        self._failures += 1
        self._failed_in_a_row += 1
        if self._failed_in_a_row == 1:
            log.warning("the agent does not answer, values wait: %s", unavailable)
        longest = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(self._failed_in_a_row, 16))
        # Spread, so that the programs of a host do not come back all at once.
        delay = max(random.uniform(longest / 2, longest), unavailable.retry_after or 0.0)
        self._retry_at = time.monotonic() + min(delay, LONGEST_RETRY_SECONDS)


_senders: weakref.WeakSet[Sender] = weakref.WeakSet()

# Seconds that the end of the program waits for the agent.
EXIT_SECONDS = 2.0


def _close_all() -> None:
    end = time.monotonic() + EXIT_SECONDS
    for sender in list(_senders):
        sender.close(max(0.0, end - time.monotonic()))


def _close_with_child(sender: Sender) -> None:
    """Closes a sender at the end of a process of ``multiprocessing``, which runs no ``atexit`` in some versions of Python."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is None or multiprocessing.parent_process() is None:
        return
    from multiprocessing.util import Finalize

    Finalize(sender, Sender.close, args=(sender, EXIT_SECONDS), exitpriority=0)


def _after_fork() -> None:
    for sender in list(_senders):
        sender.after_fork()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def as_number(value: object) -> float:
    """Returns a finite number; raises ``ValueError`` for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"not a number: {value!r:.100}") from None
    if not math.isfinite(number):
        raise ValueError(f"not a finite number: {number}")
    return number

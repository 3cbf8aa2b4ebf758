"""Timers that are context managers and decorators, of functions and coroutines."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Optional, TypeVar, cast

from bellwether.record import LabelValue

Function = TypeVar("Function", bound=Callable[..., Any])
Self = TypeVar("Self", bound="Timer")

# Seconds that it took, and the exception that ended it.
Finish = Callable[[Any, float, Optional[BaseException]], None]


class Timer:
    """Times a block, or every call of a function.

    ``labels`` may be changed until the block ends. ``duration`` is in seconds, and 0 before the end.
    """

    def __init__(self, finish: Finish, labels: dict[str, LabelValue]):
        self._finish = finish
        self.labels = labels
        self.duration = 0.0

    def __enter__(self: Self) -> Self:
        self._start = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.duration = time.perf_counter() - self._start
        self._finish(self, self.duration, error)

    async def __aenter__(self: Self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Function) -> Function:
        """Decorates a function or coroutine function. Each call has a timer of its own."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator, whose call only creates it; hint: use `with` in it")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def timed(*args: Any, **kwargs: Any) -> Any:
                with self._copy():
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def timed(*args: Any, **kwargs: Any) -> Any:
                with self._copy():
                    return function(*args, **kwargs)

        return cast(Function, timed)

    def _copy(self: Self) -> Self:
        return type(self)(self._finish, dict(self.labels))


class ApiRequest(Timer):
    """Times an API request; ``status`` is its status, 200 unless it is set."""

    status: int | str = 200


def outcome(error: BaseException | None) -> str:
    """Returns the status of an execution. A cancelled task or a program that ends is no error."""
    if error is None:
        return "success"
    return "error" if isinstance(error, Exception) else "cancelled"

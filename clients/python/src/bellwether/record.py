"""Records: one value of a metric, and their sums while they wait."""

from __future__ import annotations

import enum
from typing import Union

LabelValue = Union[str, int, float, bool]
Labels = tuple[tuple[str, str], ...]

INC = "inc"
SET = "set"
ADD = "add"
OBSERVE = "observe"


class Record:
    """A value of a series that waits to be sent.

    ``calls`` is the number of calls that are in it: increments of one counter are summed while they wait.
    """

    __slots__ = ("calls", "labels", "metric", "operation", "value")

    def __init__(self, operation: str, metric: str, value: float, labels: Labels, calls: int = 1):
        self.operation = operation
        self.metric = metric
        self.value = value
        self.labels = labels
        self.calls = calls

    def merge(self, later: Record) -> bool:
        """Adds a later record of the same series; returns false if the two must be sent one by one."""
        if later.operation == SET and self.operation in (SET, ADD):
            self.operation, self.value = SET, later.value
        elif (later.operation, self.operation) in ((INC, INC), (ADD, ADD), (ADD, SET)):
            self.value += later.value
        else:
            return False
        self.calls += later.calls
        return True


def label_text(value: object) -> str:
    """Returns the text of a label value, as the agent writes it."""
    if isinstance(value, enum.Enum):  # its text differs between versions of Python
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    return encodable(value if isinstance(value, str) else str(value))


def encodable(text: str) -> str:
    """Returns the text with ``?`` for what is no Unicode, such as undecodable bytes of a file name."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()

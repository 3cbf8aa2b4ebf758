"""Messages as clients push them, encoded here so that the bench needs no packages."""

import struct


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def message(field, content):
    """A field with a text, or with a message."""
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def fixed(field, value):
    """A field of 64 bits: a float, or a whole number."""
    return varint(field << 3 | 1) + struct.pack("<d" if isinstance(value, float) else "<Q", value)


def integer(field, number):
    return varint(field << 3) + varint(number)


def snappy(body):
    """Snappy's format without compression, which every decoder reads."""
    out = bytearray(varint(len(body)))
    for at in range(0, len(body), 1 << 16):
        part = body[at : at + (1 << 16)]
        out += b"\xf4" + struct.pack("<H", len(part) - 1) + part
    return bytes(out)


def series_v1(name, labels):
    """A time series of remote write 1.0 up to its samples."""
    pairs = sorted({"__name__": name, **labels}.items())
    return b"".join(message(1, message(1, label) + message(2, text)) for label, text in pairs)


def write_v1(series):
    """A request of remote write 1.0: pairs of a series and its samples, each a value and its time in milliseconds."""
    return snappy(b"".join(message(1, head + message(2, fixed(1, value) + integer(2, at))) for head, value, at in series))


def attribute(name, text):
    return message(1, name) + message(2, message(1, text))


def otlp_request(resource, metrics):
    """A request of OTLP."""
    attributes = b"".join(message(1, attribute(name, text)) for name, text in resource.items())
    scope = message(1, message(1, "bench") + message(2, "1.0")) + b"".join(message(2, metric) for metric in metrics)
    return message(1, message(1, attributes) + message(2, scope))


def otlp_sum(name, points):
    """A cumulative sum. Points are pairs of encoded attributes, a value and a time in nanoseconds."""
    points = (message(1, fixed(2, at - 10**9) + fixed(3, at) + fixed(4, value) + attributes) for attributes, value, at in points)
    return message(1, name) + message(2, "A number of requests.") + message(3, "{request}") + message(
        7, b"".join(points) + integer(2, 2) + integer(3, 1))


def otlp_attributes(labels):
    return b"".join(message(7, attribute(name, text)) for name, text in labels.items())

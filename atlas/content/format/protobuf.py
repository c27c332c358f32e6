"""The part of protobuf's wire format that dag-pb and UnixFS need, and the varints that CAR files also use.

https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator

LONGEST_VARINT = 9
"""In bytes: 63 bits, the limit of multiformats."""


class MalformedMessage(ValueError):
    """The bytes are not a message with the fields that this module reads."""


def varint(number: int) -> bytes:
    """Unsigned LEB128, as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(tag: int, value: bytes) -> bytes:
    """A field of bytes; `tag` holds its number and wire type."""
    return bytes([tag]) + varint(len(value)) + value


def fields_of(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in their order, each a number or bytes; raises `MalformedMessage`."""
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        value, position = read_varint(message, position)
        if wire_type == 0:
            yield number, value
        elif wire_type == 2:
            if value > len(message) - position:
                raise MalformedMessage(f"field {number} is truncated")
            yield number, message[position : position + value]
            position += value
        else:
            raise MalformedMessage(f"field {number} has wire type {wire_type}")


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at `position`, unsigned LEB128, and the position after it; raises `MalformedMessage`."""
    number = 0
    for index in range(LONGEST_VARINT):
        if position + index >= len(data):
            raise MalformedMessage("a number is truncated")
        byte = data[position + index]
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, position + index + 1
    raise MalformedMessage(f"a number has more than {LONGEST_VARINT} bytes")

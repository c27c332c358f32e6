"""Read the header of a GGUF file, without the vocabulary and the weights that follow.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, little-endian, versions 2 and 3. The `gguf` package
reads the whole file, which takes seconds.
"""

import struct
from pathlib import Path
from typing import BinaryIO

from atlas.errors import ModelError

_STRING, _ARRAY = 8, 9
_LONGEST = 2**24
_NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


def context_length(path: Path) -> int | None:
    """The model's context length in tokens; None if the header has none.

    Raises `ModelError` when it is not a GGUF file.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF" or _number(file, "<I") not in (2, 3):
                raise ModelError(f"{path.name} is not a GGUF file of version 2 or 3. Fetch it again.")
            _number(file, "<Q")  # the number of tensors
            for _ in range(int(_number(file, "<Q"))):
                key, kind = _string(file), int(_number(file, "<I"))
                if key.endswith(b".context_length") and kind in _NUMBERS:
                    return int(_number(file, _NUMBERS[kind]))
                _skip(file, kind)
    except (OSError, OverflowError, struct.error, KeyError, ValueError) as error:
        raise ModelError(f"The header of {path.name} cannot be read: {error}. Fetch the file again.") from error
    return None


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == _STRING:
        _string(file)
    elif kind == _ARRAY:
        items, count = int(_number(file, "<I")), int(_number(file, "<Q"))
        if items in _NUMBERS:
            file.seek(count * struct.calcsize(_NUMBERS[items]), 1)
        else:
            for _ in range(count):
                _skip(file, items)
    else:
        _number(file, _NUMBERS[kind])


def _string(file: BinaryIO) -> bytes:
    length = int(_number(file, "<Q"))
    if length > _LONGEST:
        raise ValueError(f"it has a text with a length of {length} bytes")
    return file.read(length)


def _number(file: BinaryIO, form: str) -> float:
    value: float = struct.unpack(form, file.read(struct.calcsize(form)))[0]
    return value

"""A pydantic model as a JSON file."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from atlas.disk.files import write_file


class JsonFile(BaseModel):
    """A JSON file that is written atomically."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def write(self, path: Path) -> None:
        """Write durably; raises `DiskError`."""
        write_file(path, self.model_dump_json().encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; raises `OSError` or `pydantic.ValidationError`."""
        return cls.model_validate_json(path.read_bytes())

"""A job on sealed data runs, evaluates and verifies, and neither a key nor a row is anywhere but where it belongs."""

import base64
import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from atlas.content.sealed.sealing import MAGIC
from atlas.home import AtlasHome
from resources.keys.keyring import KeyRings

pytestmark = pytest.mark.system

ROW = re.compile(rb"patient\d{4}qx")


@pytest.fixture
def wards(tmp_path) -> Path:
    """160 rows of two wards, each with a word of its own that no other file has."""
    path = tmp_path / "source" / "wards.csv"
    path.parent.mkdir()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "ward"])
        for number in range(160):
            label, word = ("positive", "great") if number % 2 else ("negative", "awful")
            writer.writerow([f"patient{number:04d}qx was {word} today", label, ("east", "west")[number // 2 % 2]])
    return path


def spellings(key: bytes) -> Iterator[bytes]:
    """A key as bytes, in hex, and in base64, with whatever stands before it."""
    yield key
    yield key.hex().encode()
    yield key.hex().upper().encode()
    for before in range(3):
        text = base64.b64encode(bytes(before) + key)[-(-8 * before // 6) :].rstrip(b"=")[:-1]
        yield text
        yield text.replace(b"+", b"-").replace(b"/", b"_")


def leaks(folder: Path, keys: Iterable[bytes], skip: Path | None = None) -> list[str]:
    """Files under a folder that hold a key or a row, by what was found in them."""
    texts = {text for key in keys for text in spellings(key)}
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not (skip and path.is_relative_to(skip)):
            data = path.read_bytes()
            found += [f"a key in {path}"] * any(text in data for text in texts)
            found += [f"a row in {path}"] * bool(ROW.search(data))
    return found


def test_no_key_and_no_row_lies_about(workplace, tiny_spec, wards, tmp_path):
    place = workplace()
    data = {"source": str(wards), "shard_by": {"column": "ward"}, "keyring": "wards"}
    robust = {"rule": "fltrust", "reference_rows": 16}
    spec = tiny_spec(dataset=data, rounds=1, aggregation={"robust": robust})
    summary = place.json("run", spec)
    assert {task["state"] for task in summary["tasks"]} == {"completed"}
    assert len(summary["tasks"]) == 3
    assert summary["rounds"][0]["metrics"]["rows"] == 32
    assert place.json("verify", summary["checkpoint"])["verified"] is True

    rings = KeyRings(AtlasHome(place.home))
    ring = rings.get("wards")
    files = [path for path in (place.home / "content").glob("??/b*") if path.read_bytes().startswith(MAGIC)]
    assert len(files) == 4, "two shards, the held-out rows and the reference rows"
    keys = [ring.newest.secret, *(ring.file_key(path) for path in files)]

    secrets = place.home / "keys"
    assert leaks(tmp_path / "source", keys) == [f"a row in {wards}"], "what looks for rows finds them"
    assert leaks(secrets, keys) == [f"a key in {secrets / 'data' / 'wards.json'}"], "what looks for keys finds them"
    assert leaks(place.home, keys, skip=secrets) == []
    folders = list((place.home / "nodes").iterdir())
    assert len(folders) == 2
    assert [path for folder in folders for path in (folder / "work").glob("*")] == []

    released = place.json("keys", "released", "wards")
    assert len({(one["address"], one["data"]) for one in released}) == len(summary["tasks"]) == len(released)

    listed = place.json("keys", "ls")
    assert [key["id"] for key in listed[0]["keys"]] == [ring.newest.id]

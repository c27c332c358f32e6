"""One gateway: what it may answer, and what comes of it."""

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.content.places.gateway import Gateway
from atlas.errors import ContentError, ContentNotFound, ContentUnreachable, CorruptContent
from tests.support.content.block_servers import BlockServer

DATA = b"one block of no importance" * 100
CID = cid_of_bytes(DATA)


@pytest.fixture
def server():
    with BlockServer().running() as server:
        server.hold(CID, DATA)
        yield server


@pytest.fixture
def gateway(server):
    return Gateway(server.url + "/", timeout_seconds=0.3)


def test_a_block_comes_in_one_request(server, gateway):
    assert gateway.name == server.url
    assert gateway.block(CID) == DATA
    assert server.asked == {CID: 1}


def test_what_is_no_cid_is_not_asked_for(server, gateway):
    for text in ("", "../etc/passwd", CID + "/x", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPBdG"):
        with pytest.raises(ContentError, match="not a content identifier"):
            gateway.block(text)
    assert not server.asked


def test_missing_content_is_told_from_a_failure(server, gateway):
    lacked = cid_of_bytes(b"nobody has this")
    with pytest.raises(ContentNotFound, match="404"):
        gateway.block(lacked)
    assert server.asked[lacked] == 1
    assert gateway.holds(CID)
    assert not gateway.holds(lacked)
    assert [headers["cache-control"] for headers in server.heads] == ["only-if-cached"] * 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_gateway_is_asked_again(server, gateway, status):
    server.statuses = [status, status]
    assert gateway.block(CID, timeout_seconds=10) == DATA
    assert server.asked[CID] == 3
    server.statuses = [status] * 10
    with pytest.raises(ContentUnreachable, match=str(status)):
        gateway.block(CID, timeout_seconds=10)
    assert server.asked[CID] == 6


def test_a_broken_gateway_is_not_asked_again(server, gateway):
    server.statuses = [500]
    with pytest.raises(ContentError, match=f"{server.url} answered 500 Internal Server Error for {CID}"):
        gateway.block(CID)
    assert server.asked[CID] == 1


@pytest.mark.parametrize("behaviour", ["silent", "stalled"])
def test_silence_ends_the_wait_at_the_start_and_in_between(server, gateway, behaviour):
    server.behave["*"] = behaviour
    with pytest.raises(ContentUnreachable, match=r"within 0\.3 s"):
        gateway.block(CID)
    assert server.asked[CID] == 1


def test_a_transfer_that_crawls_is_given_up(server):
    times = iter(range(0, 10_000, 400))
    gateway = Gateway(server.url, timeout_seconds=1, clock=lambda: float(next(times)))
    with pytest.raises(ContentUnreachable, match="slower than"):
        gateway.block(CID)


def test_a_stream_that_is_cut_short_is_a_failure(server, gateway):
    server.behave["*"] = "truncated"
    with pytest.raises(ContentUnreachable, match="closed the connection"):
        gateway.block(CID, timeout_seconds=10)


def test_endless_data_is_not_taken(server, gateway):
    server.behave["*"] = "endless"
    with pytest.raises(CorruptContent, match="more than 2097152 bytes"):
        gateway.block(CID)


def test_no_other_address_is_followed(server, gateway):
    server.behave["*"] = "redirecting"
    with pytest.raises(ContentError, match="elsewhere"):
        gateway.block(CID)
    assert list(server.asked) == [CID]


def test_a_gateway_that_is_not_there(server, gateway):
    server.stop()
    with pytest.raises(ContentUnreachable, match=server.url):
        gateway.block(CID, timeout_seconds=10)

"""A trustless HTTP gateway: unverified blocks by CID (https://specs.ipfs.tech/http-gateways/)."""

import time
from collections.abc import Callable

import requests
import stamina
import urllib3

from atlas.content.format.cid import parse_cid
from atlas.content.format.dag import LARGEST_BLOCK
from atlas.errors import ContentError, ContentNotFound, ContentUnreachable, CorruptContent
from atlas.ids import Cid

SLOWEST_BYTES_PER_SECOND = 4096
_PIECE_BYTES = 1 << 16
_LACKS = (404, 410, 412, 451)  # 412: the request was only-if-cached, and the gateway has no copy
_BUSY = (429, 502, 503, 504)
_LONGEST_WAIT_SECONDS = 5.0


class _Busy(ContentUnreachable):
    """A temporary failure; a retry may succeed."""

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class Gateway:
    """Reads blocks from one gateway; thread-safe, and connects only to the gateway's own address."""

    def __init__(self, url: str, timeout_seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        """`timeout_seconds`: the longest silence, before or within a response."""
        self.name = url.rstrip("/")
        self._timeout = timeout_seconds
        self._clock = clock
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=16))
        self._session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=16))

    def block(self, cid: Cid, timeout_seconds: float | None = None) -> bytes:
        """The UNVERIFIED bytes of one block; `timeout_seconds` is the longest silence.

        Raises `ContentNotFound`; `ContentUnreachable` when the gateway times out, is slower than 4 KiB/s, or is still
        busy after three tries; `CorruptContent` when it sends more than the largest block; `ContentError` for any other
        answer.
        """
        return self._ask("GET", cid, timeout_seconds or self._timeout)

    def holds(self, cid: Cid) -> bool:
        """Whether the gateway has the root block of `cid` in its cache; raises as `block` does."""
        try:
            self._ask("HEAD", cid, self._timeout, {"Cache-Control": "only-if-cached"})
        except ContentNotFound:
            return False
        return True

    def _ask(self, method: str, cid: Cid, timeout: float, headers: dict[str, str] | None = None) -> bytes:
        parse_cid(cid)
        for attempt in stamina.retry_context(
            on=_wait, attempts=3, timeout=timeout, wait_initial=0.2, wait_max=2.0, wait_jitter=0.2
        ):
            with attempt:
                return self._ask_once(method, cid, timeout, headers or {})
        raise AssertionError("unreachable")

    def _ask_once(self, method: str, cid: Cid, timeout: float, headers: dict[str, str]) -> bytes:
        try:
            with self._session.request(
                method,
                f"{self.name}/ipfs/{cid}",
                params={"format": "raw"},
                headers={"Accept": "application/vnd.ipld.raw", **headers},
                timeout=timeout,
                stream=True,
                allow_redirects=False,
            ) as response:
                self._check_status(response, cid)
                return self._read(response, cid, timeout)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise ContentUnreachable(f"{self.name} did not answer a request for {cid} within {timeout:g} s.") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _Busy(f"{self.name} closed the connection while it sent {cid}: {error}.") from error

    def _check_status(self, response: requests.Response, cid: Cid) -> None:
        if response.status_code == 200:
            return
        answer = f"{self.name} answered {response.status_code} {response.reason or ''}".rstrip() + f" for {cid}."
        if response.status_code in _LACKS:
            raise ContentNotFound(answer)
        if response.status_code in _BUSY:
            raise _Busy(answer, _seconds(response.headers.get("Retry-After")))
        if response.is_redirect:
            answer += (
                f" It redirects to {response.headers['Location']!r}: put the address that serves blocks into the "
                "settings."
            )
        raise ContentError(answer)

    def _read(self, response: requests.Response, cid: Cid, timeout: float) -> bytes:
        """The raw body, without decompression, so that a small response cannot expand in memory."""
        data = bytearray()
        begin = self._clock()
        for piece in response.raw.stream(_PIECE_BYTES, decode_content=False):
            data += piece
            if len(data) > LARGEST_BLOCK:
                raise CorruptContent(f"{self.name} sent more than {LARGEST_BLOCK} bytes for the block {cid}.")
            if self._clock() - begin > timeout + len(data) / SLOWEST_BYTES_PER_SECOND:
                raise ContentUnreachable(f"{self.name} sent {cid} slower than {SLOWEST_BYTES_PER_SECOND} bytes/s.")
        return bytes(data)


def _wait(error: Exception) -> bool | float:
    """Whether to retry, or the gateway's Retry-After in seconds."""
    if not isinstance(error, _Busy):
        return False
    return True if error.wait_seconds is None else error.wait_seconds


def _seconds(retry_after: str | None) -> float | None:
    """The header Retry-After in seconds, capped at `_LONGEST_WAIT_SECONDS`; None if it is a date."""
    if retry_after is None or not retry_after.isdecimal():
        return None
    return min(float(retry_after), _LONGEST_WAIT_SECONDS)

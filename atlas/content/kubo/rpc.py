"""HTTP calls to the RPC of one Kubo node: streams in both directions, bounded in time and size, with clear errors.

https://docs.ipfs.tech/reference/kubo/rpc/
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import stamina
import urllib3

from atlas.content.kubo.upload import Upload
from atlas.errors import ContentError, ContentNotFound, ContentUnreachable

AUTHORIZATION_VARIABLE = "ATLAS_IPFS_AUTHORIZATION"
MOST_LINE_BYTES = 1 << 20
GRACE_SECONDS = 2.0
"""The client waits this much longer than the node's limit, so that the node can report its own timeout."""

Options = Mapping[str, str]
Result = TypeVar("Result")

_MALFORMED = (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError)
"""Exceptions that parsing an unexpected answer raises, here and in the client library."""
_MISSING = ("not found", "could not find", "not pinned", "could not resolve", "context deadline exceeded")


class Disconnected(ContentUnreachable):
    """The connection was refused or broke. This fails at once, unlike a timeout, so a retry is cheap."""


class KuboRpc:
    """One node's RPC. Calls of `client` go through `calling`, which translates its errors; thread-safe."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self.url = url.rstrip("/")
        self.timeout_seconds = timeout_seconds
        authorization = os.environ.get(AUTHORIZATION_VARIABLE)
        headers = {"Authorization": authorization} if authorization else {}
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"Accept-Encoding": "identity", **headers})
        self.client = _open_client(self.url, timeout_seconds + GRACE_SECONDS, headers)

    @contextmanager
    def post(
        self,
        command: str,
        arguments: Sequence[str] = (),
        options: Options | None = None,
        upload: Upload | None = None,
        timeout_seconds: float | None = None,
    ) -> Iterator[requests.Response]:
        """Run a command; the caller streams the response. Leaving the context also ends the command on the node.

        `timeout_seconds`: limit for the whole command. Without it, only the longest silence is limited.
        """
        limit = {"timeout": f"{timeout_seconds:g}s"} if timeout_seconds else {}
        with self.calling(command, timeout_seconds):
            response = self._session.post(
                f"{self.url}/api/v0/{command}",
                params=[*(options or {}).items(), *limit.items(), *(("arg", argument) for argument in arguments)],
                data=upload.body if upload else None,
                headers=upload.headers if upload else None,
                stream=True,
                allow_redirects=False,
                timeout=(timeout_seconds or self.timeout_seconds) + GRACE_SECONDS,
            )
            with response:
                if response.status_code != requests.codes.ok:
                    raise self._refusal(command, response)
                yield response

    def lines(
        self,
        command: str,
        arguments: Sequence[str] = (),
        options: Options | None = None,
        upload: Upload | None = None,
        timeout_seconds: float | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Run a command as `post` does; yields the JSON objects of its answer, one per line."""
        with self.post(command, arguments, options, upload, timeout_seconds) as response:
            rest = b""
            for chunk in response.iter_content(chunk_size=None):
                *complete, rest = (rest + chunk).split(b"\n")
                for line in complete:
                    yield self._object(command, line)
                if len(rest) > MOST_LINE_BYTES:
                    raise ContentError(
                        f"{self.url} answers {command} with a line of more than {MOST_LINE_BYTES} bytes."
                    )
            if rest.strip():
                yield self._object(command, rest)

    @contextmanager
    def calling(self, command: str, timeout_seconds: float | None = None) -> Iterator[None]:
        """Translate errors of a request and its response into `ContentError` and its subclasses."""
        from ipfshttpclient import exceptions

        try:
            yield
        except (requests.Timeout, urllib3.exceptions.TimeoutError, exceptions.TimeoutError) as error:
            raise self._no_answer(command, timeout_seconds) from error
        except exceptions.ErrorResponse as error:
            raise self._error_of(command, str(error)) from error
        except exceptions.StatusError as error:
            raise self._unexpected(command, error.original.response.status_code) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, exceptions.CommunicationError) as error:
            if isinstance(_root(error), TimeoutError):  # the node stopped reading our request
                raise self._no_answer(command, timeout_seconds) from error
            raise Disconnected(
                f"{self.url} cannot be reached for {command}, or closed the connection: {_root(error)}. Check that "
                "the node is running."
            ) from error
        except (exceptions.Error, *_MALFORMED) as error:
            raise ContentError(
                f"{self.url} gave an answer to {command} that cannot be read ({type(error).__name__}: {error}). Check "
                "that this is the RPC address of a Kubo node."
            ) from error

    def call(self, command: str, run: Callable[[], Result]) -> Result:
        """Make an idempotent call; retries a few times with back-off and jitter while there is no connection."""
        for attempt in stamina.retry_context(on=Disconnected, attempts=3, wait_initial=0.1, wait_max=1.0):
            with attempt, self.calling(command):
                return run()
        raise AssertionError("unreachable")

    def _no_answer(self, command: str, timeout_seconds: float | None) -> ContentUnreachable:
        return ContentUnreachable(
            f"{self.url} did not answer {command} within {timeout_seconds or self.timeout_seconds:g} s. Check whether "
            "the node is stopped or overloaded."
        )

    def _refusal(self, command: str, response: requests.Response) -> ContentError:
        text = response.raw.read(MOST_LINE_BYTES)
        try:
            message = str(json.loads(text)["Message"])
        except (ValueError, KeyError, TypeError):
            return self._unexpected(command, response.status_code)
        return self._error_of(command, message)

    def _unexpected(self, command: str, status: int) -> ContentError:
        advice = "Check that this is the RPC address of a Kubo node."
        if status in (401, 403):
            advice = f"Set ${AUTHORIZATION_VARIABLE} to the value that API.Authorizations of the node requires."
        return ContentError(f"{self.url} answers {command} with HTTP status {status}. {advice}")

    def _error_of(self, command: str, message: str) -> ContentError:
        """The error that matches the node's message."""
        text = f"{self.url} refuses {command}: {message}."
        return ContentNotFound(text) if any(words in message for words in _MISSING) else ContentError(text)

    def _object(self, command: str, line: bytes) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except ValueError as error:
            raise ContentError(f"{self.url} answers {command} with invalid JSON: {line[:80]!r}") from error
        if not isinstance(value, dict):
            raise ContentError(f"{self.url} answers {command} with {line[:80]!r}; expected an object")
        if value.get("Type") == "error":
            raise self._error_of(command, str(value.get("Message")))
        return value


def _open_client(url: str, timeout_seconds: float, headers: Options) -> Any:
    """The IPFS client library, opened without `connect`, which refuses every Kubo newer than 2021."""
    # Its patched copy of requests uses a urllib3 API that is about to be removed.
    os.environ.setdefault("PY_IPFS_HTTP_CLIENT_PATCH_REQUESTS", "no")
    import ipfshttpclient

    parts = urlsplit(url)
    host = parts.hostname or ""
    kind = "ip6" if ":" in host else "ip4" if host.replace(".", "").isdigit() else "dns"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = f"/{kind}/{host}/tcp/{port}/{parts.scheme}"
    base = f"{parts.path.strip('/')}/api/v0".lstrip("/")
    client = ipfshttpclient.Client(address, base, timeout=timeout_seconds, headers=dict(headers))
    client._client._session_props["trust_env"] = False  # bypass proxies, as our own session does
    return client


def _root(error: BaseException) -> BaseException:
    """The root cause of a chain of wrapped errors."""
    cause = error.__cause__ or error.__context__
    return _root(cause) if cause else error

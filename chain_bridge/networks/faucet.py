"""Initial coins: from a testnet's faucet, or from an account that already has some."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin

from chain_bridge.client.connection import Connection
from chain_bridge.client.keys import Key
from chain_bridge.client.network import Network
from chain_bridge.client.sender import Sender
from chain_bridge.errors import ChainError

_CALL_SECONDS = 15.0
_PAUSE_SECONDS = 2.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SHOWN = 300


class FaucetRefused(ChainError):
    """A faucet sent no coins; the message quotes its answer."""


def request_coins(
    url: str,
    address: str,
    seconds: float = 120.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Ask a faucet for coins, wait up to `seconds` until it has sent them, and return the transaction's hash.

    If the faucet names no hash, return the claim's status instead.

    The protocol is that of Fetch.ai's faucet, as in cosmpy's `aerial/faucet.py`: POST /api/v3/claims gives a uuid,
    GET /api/v3/claims/UUID the claim's status. Raises `FaucetRefused`.
    """
    if urlsplit(url).scheme != "https" and urlsplit(url).hostname not in _LOOPBACK:
        raise FaucetRefused(
            f"The faucet {url} is not used, because its address does not begin with https. Correct the network's "
            "faucet."
        )
    claims = f"{url.rstrip('/')}/api/v3/claims"
    deadline = clock() + seconds
    uuid = _field(claims, _ask("POST", claims, json={"address": address}), "uuid")
    while True:
        answer = _ask("GET", f"{claims}/{uuid}")
        status = _field(claims, _field(claims, answer, "claim"), "status")
        if status == "complete":
            return str(answer["claim"].get("txStatus", {}).get("hash", status))
        if status not in ("pending", "processing"):
            raise FaucetRefused(f"The faucet {url} sent nothing to {address}; it answered {str(answer)[:_SHOWN]}.")
        if clock() > deadline:
            raise FaucetRefused(
                f"The claim {uuid} of {address} at the faucet {url} is still {status} after {seconds:g} s. The coins "
                f"may arrive later: check with `atlas chain balance {address}` on the same network."
            )
        sleep(_PAUSE_SECONDS)


def send_coins(network: Network, key: Key, amounts: dict[str, int]) -> str:
    """Send coins to addresses in one transaction and return its hash. Raises as `Sender.send`."""
    connection = Connection(network, _CALL_SECONDS)
    try:
        sender = Sender(connection, key, inclusion_seconds=60.0)
        return str(sender.send(transfers(network, key.address, amounts)).txhash)
    finally:
        connection.close()


def transfers(network: Network, sender: str, amounts: dict[str, int]) -> list[MsgSend]:
    """One message per address, in the order of the addresses."""
    return [
        MsgSend(from_address=sender, to_address=address, amount=[Coin(denom=network.denom, amount=str(amount))])
        for address, amount in sorted(amounts.items())
    ]


def _ask(method: str, url: str, **body: Any) -> Any:
    try:
        answer = requests.request(method, url, timeout=_CALL_SECONDS, allow_redirects=False, **body)
    except requests.RequestException as error:
        raise FaucetRefused(f"No answer from the faucet {url}: {error}. Try again later.") from error
    if answer.status_code != requests.codes.ok:
        raise FaucetRefused(f"The faucet {url} answered {answer.status_code}: {answer.text[:_SHOWN]}")
    try:
        return answer.json()
    except requests.JSONDecodeError as error:
        raise FaucetRefused(f"The faucet {url} answered with invalid JSON: {answer.text[:_SHOWN]}") from error


def _field(url: str, answer: Any, name: str) -> Any:
    if not isinstance(answer, dict) or name not in answer:
        raise FaucetRefused(f"The faucet {url} answered without {name!r}: {str(answer)[:_SHOWN]}")
    return answer[name]

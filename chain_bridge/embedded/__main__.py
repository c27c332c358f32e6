"""`python -m chain_bridge.embedded`: run the chain of a folder until SIGTERM.

Prints one line of JSON when it accepts connections: {"url": "grpc+http://127.0.0.1:PORT", "chain_id": …}.
"""

import argparse
import json
import math
import signal
import sys
import threading
from pathlib import Path

from chain_bridge.embedded.chain import Chain
from chain_bridge.embedded.facade.server import Server
from chain_bridge.embedded.settings import Settings
from chain_bridge.errors import ChainError


def main(arguments: list[str]) -> int:
    """Run until SIGTERM or SIGINT; return 1 if the chain cannot start, otherwise 0."""
    options = _parser().parse_args(arguments)
    try:
        chain = Chain(options.home, Settings(options.chain_id, options.prefix, options.denom, options.gas_price))
        for address, amount in options.genesis:
            chain.fund(address, amount)
        server = Server(chain, options.port)
    except ChainError as error:
        print(f"The chain cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    print(json.dumps({"url": server.url, "chain_id": options.chain_id}), flush=True)  # noqa: T201
    stopping.wait()
    server.stop()
    chain.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chain_bridge.embedded", description="Run an embedded chain.")
    parser.add_argument("--home", type=Path, required=True, help="the folder of its state")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--chain-id", default="atlas-local")
    parser.add_argument("--prefix", default="atlas", help="prefix of addresses")
    parser.add_argument("--denom", default="uatl")
    parser.add_argument(
        "--gas-price", type=_price, default=0.0, metavar="PRICE",
        help="the minimum fee, in denom per unit of gas; 0 (the default) requires neither a fee nor an account",
    )  # fmt: skip
    parser.add_argument(
        "--genesis", type=_grant, nargs="*", action="extend", default=[], metavar="ADDRESS=AMOUNT",
        help="mint coins for an address that never had any",
    )  # fmt: skip
    return parser


def _grant(text: str) -> tuple[str, int]:
    address, _, amount = text.partition("=")
    if not amount.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS=AMOUNT")
    return address, int(amount)


def _price(text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a price: expected a number of 0 or more")
    return price


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

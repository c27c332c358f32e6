"""How a refusal of the chain looks over gRPC."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from chain_bridge.embedded.errors import InvalidAddress, NoSuchCode, NoSuchContract, Refused


@contextmanager
def refusals(context: grpc.ServicerContext) -> Iterator[None]:
    """End the call with a status and the chain's text when the block raises `Refused`."""
    try:
        yield
    except (NoSuchContract, NoSuchCode) as error:
        context.abort(grpc.StatusCode.NOT_FOUND, str(error))
    except InvalidAddress as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except Refused as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))

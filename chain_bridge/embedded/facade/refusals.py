"""Translate refusals of the chain to gRPC statuses."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from chain_bridge.embedded.errors import (
    ContractFailed,
    InvalidAddress,
    NoSuchAccount,
    NoSuchGrant,
    Refused,
    SearchRefused,
    StateDamaged,
    StateNotWritten,
)


@contextmanager
def refusals(context: grpc.ServicerContext) -> Iterator[None]:
    """End the call with a status and the chain's text when the block raises a `ChainError`."""
    try:
        yield
    except StateNotWritten as error:
        context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
    except StateDamaged as error:  # not UNAVAILABLE, because a retry would not help
        context.abort(grpc.StatusCode.INTERNAL, str(error))
    except InvalidAddress as error:
        context.abort(grpc.StatusCode.UNKNOWN, error.reason)
    except NoSuchAccount as error:
        context.abort(grpc.StatusCode.NOT_FOUND, f"account {error.address} not found")
    except (NoSuchGrant, SearchRefused) as error:
        context.abort(grpc.StatusCode.INTERNAL, str(error))
    except ContractFailed as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except Refused as error:
        reason, _, kind = str(error).rpartition(": ")
        text = f"codespace {error.codespace} code {error.code}: {kind}: {reason}"
        context.abort(grpc.StatusCode.UNKNOWN, text)

"""Signed transactions: parse them, and check their signatures."""

import hashlib
from dataclasses import dataclass

import coincurve
from coincurve.ecdsa import cdata_to_der, deserialize_compact
from cosmpy.protos.cosmos.crypto.secp256k1.keys_pb2 import PubKey
from cosmpy.protos.cosmos.tx.signing.v1beta1.signing_pb2 import SIGN_MODE_DIRECT
from cosmpy.protos.cosmos.tx.v1beta1.tx_pb2 import AuthInfo, SignDoc, SignerInfo, TxBody, TxRaw
from google.protobuf.message import DecodeError, Message

from atlas.signing import address_of
from chain_bridge.embedded.errors import ParseRefused, Refused, Unauthorized
from chain_bridge.embedded.execution.handlers import HANDLERS
from chain_bridge.embedded.state.accounts import account_number
from chain_bridge.embedded.state.bank import Coin, coin
from chain_bridge.embedded.vm.checks import check_message


@dataclass(frozen=True)
class Transaction:
    """A parsed transaction with one signer."""

    raw: TxRaw
    size: int
    hash: str
    messages: list[Message]
    sender: str
    public_key: bytes
    sequence: int
    gas_limit: int
    fee: list[Coin]
    granter: str
    timeout_height: int
    memo: str


def transaction_hash(raw: bytes) -> str:
    """The hash that identifies a transaction: SHA-256 of its bytes, in upper-case hex."""
    return hashlib.sha256(raw).hexdigest().upper()


def parse_transaction(data: bytes, prefix: str) -> Transaction:
    """Read a transaction; raises `Refused` when it is malformed or not signed by exactly the sender of its messages."""
    try:
        raw = TxRaw.FromString(data)
        body = TxBody.FromString(raw.body_bytes)
        auth = AuthInfo.FromString(raw.auth_info_bytes)
        messages = [_unpack(item.type_url, item.value) for item in body.messages]
    except DecodeError as error:
        raise ParseRefused(str(error)) from error
    if not messages:
        raise Refused("must contain at least one message: invalid request")
    for message in messages:
        check_message(message, prefix)
    signers = {HANDLERS[f"/{message.DESCRIPTOR.full_name}"].signer(message) for message in messages}
    if not len(signers) == len(auth.signer_infos) == len(raw.signatures) == 1:
        raise Unauthorized(f"wrong number of signers; expected {len(signers)}, got {len(auth.signer_infos)}")
    sender = signers.pop()
    if auth.fee.payer not in ("", sender):
        raise Refused(
            "on the embedded chain only the sender, or an account that granted it fees, can pay: invalid request"
        )
    public_key = _public_key(auth.signer_infos[0])
    if address_of(public_key, prefix) != sender:
        raise Refused(f"pubKey does not match signer address {sender} with signer index: 0: invalid pubkey", "sdk", 8)
    return Transaction(
        raw=raw,
        size=len(data),
        hash=transaction_hash(data),
        messages=messages,
        sender=sender,
        public_key=public_key,
        sequence=auth.signer_infos[0].sequence,
        gas_limit=auth.fee.gas_limit,
        fee=[coin(item.denom, item.amount) for item in auth.fee.amount],
        granter=auth.fee.granter,
        timeout_height=body.timeout_height,
        memo=body.memo,
    )


def check_signature(transaction: Transaction, chain_id: str) -> None:
    """Raise `Unauthorized` unless the sender signed exactly this transaction for this chain (SIGN_MODE_DIRECT)."""
    number = account_number(transaction.sender)
    document = SignDoc(
        body_bytes=transaction.raw.body_bytes,
        auth_info_bytes=transaction.raw.auth_info_bytes,
        chain_id=chain_id,
        account_number=number,
    ).SerializeToString()
    try:
        signature = cdata_to_der(deserialize_compact(transaction.raw.signatures[0]))
        valid = coincurve.PublicKey(transaction.public_key).verify(signature, document)
    except ValueError:
        valid = False
    if not valid:
        raise Unauthorized(
            f"signature verification failed; please verify account number ({number}) "
            f"and chain-id ({chain_id}): (unable to verify single signer signature)"
        )


def _unpack(type_url: str, value: bytes) -> Message:
    if type_url not in HANDLERS:
        raise ParseRefused(f"unable to resolve type URL {type_url}")
    return HANDLERS[type_url].kind.FromString(value)


def _public_key(signer: SignerInfo) -> bytes:
    if signer.mode_info.single.mode != SIGN_MODE_DIRECT:
        raise Refused("the embedded chain supports only SIGN_MODE_DIRECT: invalid request")
    key = PubKey()
    if not signer.public_key.Unpack(key) or len(key.key) != 33:
        raise Refused("the signer's secp256k1 public key must come with the transaction: invalid pubkey", "sdk", 8)
    return bytes(key.key)

"""Ante handler: fee deduction and sequence increment, which persist even if the messages fail.

The order and the gas of the checks are those of wasmd v0.61 `app/ante.go` over cosmos-sdk v0.53 `x/auth/ante`.
"""

import base64
from decimal import ROUND_CEILING, Decimal

from chain_bridge.embedded import gas
from chain_bridge.embedded.errors import (
    FeeRefused,
    FundsRefused,
    GasLimitRefused,
    GrantRefused,
    NoSuchAccount,
    NoSuchGrant,
    Refused,
    WrongSequence,
)
from chain_bridge.embedded.execution.events import event
from chain_bridge.embedded.execution.execution import Execution
from chain_bridge.embedded.execution.transactions import Transaction, check_signature
from chain_bridge.embedded.settings import Settings
from chain_bridge.embedded.state.addresses import decode
from chain_bridge.embedded.state.bank import Coin, check_coins

_MEMO_CHARACTERS = 256
# Bytes of key and value: the counter of a block's transactions, the parameters of accounts, and the record of the
# fee collector's account.
_COUNTER, _PARAMETERS, _FEE_COLLECTOR = 13, 14, 123


def admit(transaction: Transaction, execution: Execution, *, simulated: bool = False) -> None:
    """Deduct the fee and increment the sequence. If this raises `Refused`, the caller must undo all changes."""
    _check_limits(transaction, execution, simulated)
    _charge_entry(transaction, execution.gas, simulated)
    if not simulated:
        _check_fee(transaction, execution.parts.settings)
    _deduct_fee(transaction, execution)
    _sign(transaction, execution, simulated)


def _check_limits(transaction: Transaction, execution: Execution, simulated: bool) -> None:
    if transaction.gas_limit > execution.parts.settings.block_gas:
        limits = f"tx gas limit {transaction.gas_limit} exceeds block max gas {execution.parts.settings.block_gas}"
        raise GasLimitRefused(limits)
    height, timeout = execution.block.height, transaction.timeout_height
    if 0 < timeout < height:
        raise Refused(f"block height: {height}, timeout height: {timeout}: tx timeout height", "sdk", 30)
    if (length := len(transaction.memo.encode())) > _MEMO_CHARACTERS:
        text = f"maximum number of characters is {_MEMO_CHARACTERS} but received {length} characters"
        raise Refused(f"{text}: memo too large", "sdk", 12)


def _charge_entry(transaction: Transaction, meter: gas.GasMeter, simulated: bool) -> None:
    """Charge for a counter, for the check whether each message's type is blocked, and for the transaction's size."""
    if not simulated:
        meter.charge_read(_COUNTER)
        meter.charge_write(_COUNTER)
    for _ in transaction.messages:
        meter.charge_has()
    if transaction.memo:
        meter.charge_read(_PARAMETERS)
    meter.charge_read(_PARAMETERS)
    meter.charge(gas.TX_BYTE * transaction.size, "txSize")


def _check_fee(transaction: Transaction, settings: Settings) -> None:
    price = Decimal(str(settings.gas_price))
    required = Coin(settings.denom, int((price * transaction.gas_limit).to_integral_value(ROUND_CEILING)))
    enough = any(paid.denom == required.denom and paid.amount >= required.amount for paid in transaction.fee)
    if price and not enough:
        raise FeeRefused(_text(transaction.fee), str(required))


def _deduct_fee(transaction: Transaction, execution: Execution) -> None:
    parts, fee = execution.parts, transaction.fee
    payer = transaction.sender
    if transaction.granter and transaction.granter != payer:
        _use_grant(transaction, execution)
    payer = transaction.granter or payer
    parts.accounts.charge_read(payer, execution.gas)
    if not parts.accounts.may_send(payer):
        raise NoSuchAccount(payer, "fee payer address:")
    if fee:
        check_coins(fee, f"invalid fee amount: {_text(fee)}", "insufficient fee", 13)
        execution.gas.charge_read(_FEE_COLLECTOR)
        try:
            execution.move(payer, parts.fee_collector, fee)
        except FundsRefused as error:
            raise Refused(f"{error}: insufficient funds", "sdk", 5) from error
        execution.events.append(event("message", sender=payer))
    execution.events.append(event("tx", fee=_text(fee), fee_payer=payer))


def _use_grant(transaction: Transaction, execution: Execution) -> None:
    granter, grantee = transaction.granter, transaction.sender
    parts = execution.parts
    decode(granter, parts.settings.prefix)
    types = [f"/{message.DESCRIPTOR.full_name}" for message in transaction.messages]
    try:
        kept = parts.grants.use(granter, grantee, transaction.fee, types, execution.gas)
    except (GrantRefused, NoSuchGrant) as error:
        text = f"{granter} does not allow to pay fees for {grantee}: {error}"
        raise Refused(text, error.codespace, error.code) from error
    used = event("use_feegrant", granter=granter, grantee=grantee)
    changed = event("update_feegrant" if kept else "revoke_feegrant", granter=granter, grantee=grantee)
    execution.events += [used, changed] if kept else [changed, used]


def _sign(transaction: Transaction, execution: Execution, simulated: bool) -> None:
    """Store the public key, check sequence and signature, and increment the sequence."""
    parts, meter, sender = execution.parts, execution.gas, transaction.sender
    expected = parts.accounts.sequence(sender)
    parts.accounts.create(sender)
    parts.accounts.keep_key(sender, meter)
    signature = base64.b64encode(transaction.raw.signatures[0]).decode()
    execution.events += [event("tx", acc_seq=f"{sender}/{transaction.sequence}"), event("tx", signature=signature)]
    meter.charge_read(_PARAMETERS)
    meter.charge_read(_PARAMETERS)
    parts.accounts.charge_read(sender, meter)
    meter.charge(gas.SIGNATURE, "ante verify: secp256k1")
    parts.accounts.charge_read(sender, meter)
    if transaction.sequence != expected:
        raise WrongSequence(expected, transaction.sequence)
    if not simulated:
        check_signature(transaction, execution.block.chain_id)
    parts.accounts.count_transaction(sender, meter)


def _text(coins: list[Coin]) -> str:
    return ",".join(map(str, coins))

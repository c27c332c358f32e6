"""A chain's identity and address."""

from pydantic import BaseModel, ConfigDict, Field

EXPLORER = r"^https?://\S+\{hash\}\S*$"


class Network(BaseModel):
    """A chain's id, address and denomination. The embedded chain and a public one differ only in these values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain_id: str = Field(min_length=1)
    url: str = Field(pattern=r"^grpc\+https?://[^/\s]+$", description="grpc+http://HOST:PORT, or grpc+https://")
    denom: str = Field(default="uatl", min_length=1, description="the denomination of fees, stakes and rewards")
    prefix: str = Field(default="atlas", min_length=1, description="prefix of the chain's addresses")
    gas_price: float = Field(default=0.0, ge=0, description="in denom per unit of gas")
    max_fee: int | None = Field(default=None, ge=0, description="the most that one transaction may cost, in denom")
    max_gas: int = Field(default=10_000_000, ge=1, description="the most gas that one transaction may request")
    timeout_blocks: int = Field(
        default=30, ge=1, description="a transaction is invalid this many blocks after it was made"
    )
    fee_granter: str | None = Field(
        default=None, description="address that pays this account's fees; it must have granted them"
    )
    faucet: str | None = Field(default=None, pattern=r"^https?://", description="faucet of a test network")
    explorer: str | None = Field(
        default=None,
        pattern=EXPLORER,
        description="page of a transaction in a block explorer, with {hash} for its hash",
    )
    contract: str | None = Field(default=None, description="address of the contract; null before it is deployed")

    def transaction_page(self, tx: str) -> str | None:
        """The page of a transaction, by its hash in hex; None for a network without an explorer."""
        return None if self.explorer is None else self.explorer.replace("{hash}", tx)

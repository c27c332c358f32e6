"""The parts of the embedded chain that a transaction works on."""

from dataclasses import dataclass

from chain_bridge.embedded.settings import Settings
from chain_bridge.embedded.state.accounts import Accounts
from chain_bridge.embedded.state.addresses import module_address
from chain_bridge.embedded.state.bank import Bank
from chain_bridge.embedded.state.database import Database
from chain_bridge.embedded.state.feegrants import FeeGrants
from chain_bridge.embedded.state.registry import ContractRegistry
from chain_bridge.embedded.vm.vm import Vm


@dataclass(frozen=True)
class Parts:
    """The parts of the chain."""

    settings: Settings
    database: Database
    accounts: Accounts
    bank: Bank
    grants: FeeGrants
    registry: ContractRegistry
    vm: Vm

    @property
    def fee_collector(self) -> str:
        """The address of the fee collector."""
        return module_address("fee_collector", self.settings.prefix)

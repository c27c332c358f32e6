"""Assignment of IPFS nodes to the coordinator and the agents of a local network."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from atlas.content.places.open import IpfsPlaces, Url
from atlas.documents.document import describe_validation
from atlas.errors import SpecError


class LocalIpfs(BaseModel):
    """RPC addresses of Kubo nodes: the coordinator uses the first, the agents use the others round-robin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: list[Url] = Field(min_length=1, description="RPC addresses of Kubo nodes; a single one is used by all")
    replicas: int = Field(default=1, gt=0, description="number of nodes that each put copies to")

    @model_validator(mode="after")
    def _as_many_nodes_as_replicas(self) -> Self:
        if self.replicas > len(set(self.nodes)):
            raise ValueError(f"{self.replicas} replicas need as many nodes, found {len(set(self.nodes))}")
        return self

    def coordinator(self) -> IpfsPlaces:
        """The content settings of the coordinator."""
        return self._beginning_with(0)

    def agent(self, number: int) -> IpfsPlaces:
        """The content settings of an agent, counted from 1."""
        others = len(self.nodes) - 1
        return self._beginning_with(1 + (number - 1) % others if others else 0)

    def _beginning_with(self, index: int) -> IpfsPlaces:
        """The node at `index`, followed by as many others as replicas need."""
        in_turn = dict.fromkeys([*self.nodes[index:], *self.nodes[:index]])
        return IpfsPlaces(nodes=list(in_turn)[: self.replicas], replicas=self.replicas)


def local_ipfs(nodes: list[str], replicas: int) -> LocalIpfs | None:
    """The settings from the command line; None without nodes. Raises `SpecError` that names each bad value."""
    if not nodes:
        if replicas != 1:
            raise SpecError(
                "--replicas counts nodes of --ipfs; give their RPC addresses, such as http://127.0.0.1:5001."
            )
        return None
    try:
        return LocalIpfs(nodes=nodes, replicas=replicas)
    except ValidationError as error:
        raise SpecError(f"--ipfs and --replicas do not fit:\n{describe_validation(error)}") from error

"""cosmwasm.wasm: codes, contracts and their state."""

import grpc
from cosmpy.protos.cosmwasm.wasm.v1 import query_pb2 as query
from cosmpy.protos.cosmwasm.wasm.v1.query_pb2_grpc import QueryServicer
from cosmpy.protos.cosmwasm.wasm.v1.types_pb2 import (
    ACCESS_TYPE_EVERYBODY,
    AbsoluteTxPosition,
    AccessConfig,
    ContractInfo,
    Model,
)

from chain_bridge.embedded.chain import Chain
from chain_bridge.embedded.errors import Refused
from chain_bridge.embedded.facade.refusals import refusals
from chain_bridge.embedded.state.addresses import read_contract
from chain_bridge.embedded.state.registry import Code
from chain_bridge.embedded.vm.checks import is_json

_PAGE = 100


class Wasm(QueryServicer):  # type: ignore[misc]
    """Serves codes and contracts."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def Codes(self, request: query.QueryCodesRequest, context: grpc.ServicerContext) -> query.QueryCodesResponse:  # noqa: N802
        """Every stored bytecode."""
        with self._chain.reading() as parts:
            codes = parts.registry.codes()
        return query.QueryCodesResponse(code_infos=[_code_info(code) for code in codes])

    def Code(self, request: query.QueryCodeRequest, context: grpc.ServicerContext) -> query.QueryCodeResponse:  # noqa: N802
        """A stored bytecode."""
        with refusals(context), self._chain.reading() as parts:
            if not request.code_id:
                raise Refused("code id: invalid", "wasm", 14)
            code = parts.registry.code(request.code_id)
            bytecode = parts.registry.bytecode(code.checksum)
        return query.QueryCodeResponse(code_info=_code_info(code), data=bytecode)

    def ContractInfo(  # noqa: N802
        self, request: query.QueryContractInfoRequest, context: grpc.ServicerContext
    ) -> query.QueryContractInfoResponse:
        """A contract's code, creator, admin, label and height of creation."""
        with refusals(context), self._chain.reading() as parts:
            address = read_contract(request.address, parts.settings.prefix)
            contract = parts.registry.contract(address)
        info = ContractInfo(
            code_id=contract.code_id,
            creator=contract.creator,
            admin=contract.admin,
            label=contract.label,
            created=AbsoluteTxPosition(block_height=contract.height),
        )
        return query.QueryContractInfoResponse(address=address, contract_info=info)

    def SmartContractState(  # noqa: N802
        self, request: query.QuerySmartContractStateRequest, context: grpc.ServicerContext
    ) -> query.QuerySmartContractStateResponse:
        """A contract's answer to a JSON query."""
        if not is_json(request.query_data):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "invalid query data")
        with refusals(context):
            address = read_contract(request.address, self._chain.settings.prefix)
            return query.QuerySmartContractStateResponse(data=self._chain.query(address, request.query_data))

    def RawContractState(  # noqa: N802
        self, request: query.QueryRawContractStateRequest, context: grpc.ServicerContext
    ) -> query.QueryRawContractStateResponse:
        """The bytes under a contract's key; empty when there are none."""
        with refusals(context), self._chain.reading() as parts:
            address = read_contract(request.address, parts.settings.prefix)
            value = parts.registry.read_state(address, request.query_data)
        return query.QueryRawContractStateResponse(data=value)

    def AllContractState(  # noqa: N802
        self, request: query.QueryAllContractStateRequest, context: grpc.ServicerContext
    ) -> query.QueryAllContractStateResponse:
        """A contract's keys and values, in pages."""
        limit = request.pagination.limit or _PAGE
        with refusals(context), self._chain.reading() as parts:
            address = read_contract(request.address, parts.settings.prefix)
            page = parts.registry.state_page(address, request.pagination.key, limit + 1)
        answer = query.QueryAllContractStateResponse(
            models=[Model(key=key, value=value) for key, value in page[:limit]]
        )
        if len(page) > limit:
            answer.pagination.next_key = page[limit][0]
        return answer


def _code_info(code: Code) -> query.CodeInfoResponse:
    everybody = AccessConfig(permission=ACCESS_TYPE_EVERYBODY)
    return query.CodeInfoResponse(
        code_id=code.id, creator=code.creator, data_hash=code.checksum, instantiate_permission=everybody
    )

"""The embedded chain: the contract's bytecode under wasmtime, its state in SQLite, and a loopback gRPC façade.

To a client it behaves like a wasmd v0.61 node, except for the following. While gas is free, every address has an
account from the start. Each transaction makes one block, and there are no empty blocks. Account numbers are computed
from the addresses. Gas is an estimate, within 3% of the value that wasmd measures. In some texts wasmd inserts an
address as raw bytes, which breaks its answer; here the address is in bech32.
"""

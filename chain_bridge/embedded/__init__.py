"""The embedded chain: the contract's bytecode under wasmtime, its state in SQLite, and a loopback gRPC façade.

A client cannot tell it from a wasmd v0.61 node, with these exceptions: while gas is free, every address has an account
from the start; a block is made for each transaction and for nothing else; account numbers come from the addresses;
gas is an estimate, within three in a hundred of what such a node measures; and where that node puts an address into a
text as raw bytes, which breaks its answer, the address stands there in bech32.
"""

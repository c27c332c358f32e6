"""The embedded chain: the contract's bytecode under wasmtime, its state in SQLite, and a loopback gRPC façade.

A client cannot tell it from a CosmWasm chain, with these exceptions: every address has an account from the start,
a block is made for each transaction and for nothing else, and gas is an estimate.
"""

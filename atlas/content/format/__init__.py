"""CIDs and the IPFS formats: UnixFS, dag-pb, HAMT, CAR."""

//! The Merkle tree over a round's results, built the slow and plain way.

use atlas::msg::LeaseAnswer;
use cosmwasm_std::{Addr, Binary};
use serde_json::json;
use sha2::{Digest, Sha256};

pub const CHECKPOINT: &str = "bafycheckpoint";

/// The leaf of a completed lease, as canonical JSON.
pub fn leaf(contract: &Addr, lease: &LeaseAnswer, index: u32, leaf_count: u32) -> Vec<u8> {
    let leaf = json!({
        "checkpoint": CHECKPOINT,
        "contract": contract,
        "index": index,
        "job_id": lease.job,
        "leaf_count": leaf_count,
        "record": {
            "attempt": lease.attempt,
            "node_id": lease.node,
            "receipt": "bafyreceipt",
            "result": "bafyresult",
            "shard": "bafyshard",
            "slot": lease.slot,
        },
        "round": lease.round,
    });
    serde_json::to_vec(&leaf).unwrap()
}

pub fn root(leaves: &[Vec<u8>]) -> Binary {
    levels(leaves).last().unwrap()[0].to_vec().into()
}

/// The siblings of a leaf, bottom-up.
pub fn proof(leaves: &[Vec<u8>], index: usize) -> Vec<Binary> {
    let mut proof = vec![];
    let mut place = index;
    for level in levels(leaves) {
        if let Some(sibling) = level.get(place ^ 1) {
            proof.push(sibling.to_vec().into());
        }
        place /= 2;
    }
    proof
}

fn levels(leaves: &[Vec<u8>]) -> Vec<Vec<[u8; 32]>> {
    let first: Vec<[u8; 32]> = leaves.iter().map(|leaf| hash(0, &[leaf])).collect();
    let mut levels = vec![first];
    while levels.last().unwrap().len() > 1 {
        let pairs = levels.last().unwrap().chunks(2);
        let next = pairs.map(|pair| match pair {
            [left, right] => hash(1, &[left, right]),
            odd => odd[0],
        });
        let next = next.collect();
        levels.push(next);
    }
    levels
}

fn hash(tag: u8, parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new_with_prefix([tag]);
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}

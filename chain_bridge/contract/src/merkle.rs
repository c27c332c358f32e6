//! Proofs that a leaf is in a Merkle tree: leaf = SHA-256(0 ‖ leaf), node = SHA-256(1 ‖ left ‖ right); the odd node
//! of a level moves up unchanged.

use cosmwasm_std::Binary;
use sha2::{Digest, Sha256};

pub type Hash = [u8; 32];

pub fn hash_leaf(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

pub fn hash_pair(left: &[u8], right: &[u8]) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Whether the siblings in `proof`, from the leaf upwards, lead from the leaf at `index` of `leaf_count` to the
/// root, and none is left over. The sides follow from the index and the width of each level.
pub fn is_proven(root: &[u8], leaf: &[u8], index: u32, leaf_count: u32, proof: &[Binary]) -> bool {
    if index >= leaf_count {
        return false;
    }
    let (mut index, mut width) = (index, leaf_count);
    let mut hash = hash_leaf(leaf);
    let mut siblings = proof.iter();
    while width > 1 {
        let is_left = index % 2 == 0;
        let is_alone = is_left && index + 1 == width;
        if !is_alone {
            let Some(sibling) = siblings.next().filter(|sibling| sibling.len() == hash.len())
            else {
                return false;
            };
            hash = if is_left { hash_pair(&hash, sibling) } else { hash_pair(sibling, &hash) };
        }
        index /= 2;
        width = width.div_ceil(2);
    }
    siblings.next().is_none() && hash == *root
}

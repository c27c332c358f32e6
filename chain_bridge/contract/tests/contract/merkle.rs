//! Proofs of leaves, against trees built the slow and plain way.

use atlas::merkle::is_proven;
use cosmwasm_std::Binary;
use proptest::prelude::*;

use crate::proofs::{proof, root};

fn leaves(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|index| format!("leaf {index} of {count}").into_bytes()).collect()
}

#[test]
fn the_hashes_are_separated_by_domain() {
    let root = |leaves: &[&[u8]]| {
        root(&leaves.iter().map(|leaf| leaf.to_vec()).collect::<Vec<_>>()).to_string()
    };
    // SHA-256 of 00 61.
    assert_eq!(root(&[b"a"]), "Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=");
    assert_ne!(root(&[b"a", b"b"]), root(&[b"b", b"a"]));
}

#[test]
fn every_leaf_of_every_tree_is_proven_at_its_place_alone() {
    for count in 1..=33 {
        let leaves = leaves(count);
        let root = root(&leaves);
        for (index, leaf) in (0..).zip(&leaves) {
            let proof = proof(&leaves, index as usize);
            for other in 0..count + 2 {
                let proven = is_proven(&root, leaf, other, count, &proof);
                assert_eq!(proven, other == index, "leaf {index} of {count} at {other}");
            }
        }
    }
}

/// A tree, the index of one of its leaves, and its proof.
fn tree() -> impl Strategy<Value = (Vec<Vec<u8>>, u32, Vec<Binary>)> {
    (1..=300u32).prop_flat_map(|count| (Just(count), 0..count)).prop_map(|(count, index)| {
        let leaves = leaves(count);
        let proof = proof(&leaves, index as usize);
        (leaves, index, proof)
    })
}

proptest! {
    #[test]
    fn a_larger_tree_proves_its_leaves((leaves, index, proof) in tree()) {
        let leaf = &leaves[index as usize];
        prop_assert!(is_proven(&root(&leaves), leaf, index, leaves.len() as u32, &proof));
    }

    #[test]
    fn a_forged_proof_proves_nothing(
        (leaves, index, proof) in tree(), place: prop::sample::Index, bit in 0..8u8
    ) {
        let (count, root) = (leaves.len() as u32, root(&leaves));
        let leaf = &leaves[index as usize];
        let mut forged = leaf.clone();
        let byte = place.index(forged.len());
        forged[byte] ^= 1 << bit;
        prop_assert!(!is_proven(&root, &forged, index, count, &proof));

        let mut wrong_root = root.to_vec();
        wrong_root[place.index(32)] ^= 1 << bit;
        prop_assert!(!is_proven(&wrong_root, leaf, index, count, &proof));

        if !proof.is_empty() {
            let mut bent = proof.clone();
            let sibling = place.index(bent.len());
            let mut bytes = bent[sibling].to_vec();
            bytes[place.index(32)] ^= 1 << bit;
            bent[sibling] = bytes.into();
            prop_assert!(!is_proven(&root, leaf, index, count, &bent));
            prop_assert!(!is_proven(&root, leaf, index, count, &proof[1..]));
            prop_assert!(!is_proven(&root, leaf, index, count, &proof[..proof.len() - 1]));
        }
        for extra in [vec![], vec![0; 31], vec![0; 32], root.to_vec()] {
            let long: Vec<Binary> = proof.iter().cloned().chain([extra.into()]).collect();
            prop_assert!(!is_proven(&root, leaf, index, count, &long));
        }
    }

    #[test]
    fn no_input_is_too_strange(
        index: u32,
        count: u32,
        leaf in prop::collection::vec(any::<u8>(), 0..50),
        proof in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..40),
    ) {
        let proof: Vec<Binary> = proof.into_iter().map(Binary::new).collect();
        prop_assert!(!is_proven(&[7; 32], &leaf, index, count, &proof));
    }
}

#[test]
fn an_inner_node_is_no_leaf() {
    let leaves = leaves(4);
    let (whole, left) = (root(&leaves), root(&leaves[..2]));
    let right = root(&leaves[2..]);
    let inner: Vec<u8> =
        leaves[..2].iter().flat_map(|leaf| root(std::slice::from_ref(leaf)).to_vec()).collect();
    assert!(!is_proven(&whole, &inner, 0, 2, std::slice::from_ref(&right)));
    assert!(!is_proven(&whole, &left, 0, 2, &[right]));
}

//! Amounts are divided without a loss.

use atlas::division::{divide, scale};
use cosmwasm_std::{Uint128, Uint256};
use proptest::prelude::*;

/// (node, bps) of up to 200 nodes in any order; the basis points add up to 10,000.
fn shares() -> impl Strategy<Value = Vec<(u32, u32)>> {
    (prop::collection::btree_set(any::<u32>(), 1..200), prop::collection::vec(0..=10_000u32, 200))
        .prop_map(|(nodes, mut cuts)| {
            cuts.truncate(nodes.len() - 1);
            cuts.extend([0, 10_000]);
            cuts.sort_unstable();
            let parts = cuts.windows(2).map(|pair| pair[1] - pair[0]);
            nodes.into_iter().zip(parts).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

/// amount · part / whole and its remainder, without a shortcut.
fn exact(amount: u128, part: u32, whole: u32) -> (u128, u128) {
    let product = Uint256::from(amount) * Uint256::from(part);
    let narrow = |wide: Uint256| Uint128::try_from(wide).unwrap().u128();
    (narrow(product / Uint256::from(whole)), narrow(product % Uint256::from(whole)))
}

proptest! {
    #[test]
    fn scaling_rounds_down(amount: u128, whole in 1..=u32::MAX, part: u32) {
        let part = part.min(whole);
        prop_assert_eq!(scale(amount.into(), part, whole).u128(), exact(amount, part, whole).0);
    }

    #[test]
    fn the_whole_pool_is_divided(pool in any::<u128>(), small in 0..100_000u128, shares in shares()) {
        for pool in [pool, small] {
            let sum: u128 = divide(pool.into(), &shares).iter().map(|amount| amount.u128()).sum();
            prop_assert_eq!(sum, pool);
        }
    }

    #[test]
    fn nobody_is_a_unit_off(pool: u128, shares in shares()) {
        for (&(_, bps), amount) in shares.iter().zip(divide(pool.into(), &shares)) {
            let (floor, remainder) = exact(pool, bps, 10_000);
            let extra = amount.u128() - floor;
            prop_assert!(extra == 0 || extra == 1 && remainder > 0, "{floor} {remainder} {amount}");
        }
    }

    #[test]
    fn larger_remainders_and_lower_ids_come_first(pool: u128, shares in shares()) {
        let mut ranked: Vec<_> = shares
            .iter()
            .zip(divide(pool.into(), &shares))
            .map(|(&(node, bps), amount)| {
                let (floor, remainder) = exact(pool, bps, 10_000);
                (std::cmp::Reverse(remainder), node, amount.u128() - floor)
            })
            .collect();
        ranked.sort_unstable();
        let extras: Vec<_> = ranked.iter().map(|entry| entry.2).collect();
        prop_assert!(extras.windows(2).all(|pair| pair[0] >= pair[1]), "{ranked:?}");
    }

    #[test]
    fn the_order_of_the_list_decides_nothing(pool: u128, shares in shares()) {
        let mut listed: Vec<_> = shares.iter().zip(divide(pool.into(), &shares)).collect();
        listed.sort();
        let mut sorted = shares.clone();
        sorted.sort_unstable();
        prop_assert_eq!(
            listed.into_iter().map(|(_, amount)| amount).collect::<Vec<_>>(),
            divide(pool.into(), &sorted)
        );
    }
}

#[test]
fn units_left_over_go_to_the_largest_remainder_then_the_lower_id() {
    let amounts = |pool: u128, shares: &[(u32, u32)]| -> Vec<u128> {
        divide(pool.into(), shares).iter().map(|amount| amount.u128()).collect()
    };
    assert_eq!(amounts(10, &[(1, 3333), (2, 3333), (3, 3334)]), [3, 3, 4]);
    assert_eq!(amounts(11, &[(3, 3333), (2, 3333), (1, 3334)]), [3, 4, 4]);
    assert_eq!(amounts(1, &[(9, 5000), (4, 5000)]), [0, 1]);
    assert_eq!(amounts(u128::MAX, &[(1, 10_000), (2, 0)]), [u128::MAX, 0]);
    assert_eq!(amounts(0, &[(1, 10_000)]), [0]);
}

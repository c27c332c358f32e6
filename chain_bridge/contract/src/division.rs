//! Amounts are divided without a loss and without a float.

use cosmwasm_std::Uint128;

use crate::state::WHOLE_BPS;

/// floor(amount · part / whole). `part` is at most `whole`, and `whole` at least 1.
pub fn scale(amount: Uint128, part: u32, whole: u32) -> Uint128 {
    let (amount, part, whole) = (amount.u128(), u128::from(part), u128::from(whole.max(1)));
    // amount = quotient · whole + rest: no product exceeds the amount or 64 bits.
    Uint128::new(amount / whole * part + amount % whole * part / whole)
}

/// Divides a pool among nodes by their basis points, which add up to WHOLE_BPS: each gets its floor, and the units
/// left over go to the largest fractional remainders, ties to the lower node id. `shares` are (node, bps).
pub fn divide(pool: Uint128, shares: &[(u32, u32)]) -> Vec<Uint128> {
    let mut amounts: Vec<u128> =
        shares.iter().map(|&(_, bps)| scale(pool, bps, WHOLE_BPS).u128()).collect();
    let left = pool.u128().saturating_sub(amounts.iter().sum());
    let rest = pool.u128() % u128::from(WHOLE_BPS);
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|&place| {
        let (node, bps) = shares[place];
        let remainder = rest * u128::from(bps) % u128::from(WHOLE_BPS);
        (std::cmp::Reverse(remainder), node)
    });
    // Fewer units are left over than there are shares.
    for (place, _) in order.into_iter().zip(0..left) {
        amounts[place] += 1;
    }
    amounts.into_iter().map(Uint128::new).collect()
}

"""The embedded chain's state: accounts, coins, contracts, fee grants."""

"""Networks: settings, contract deployment, faucet, fee grants."""

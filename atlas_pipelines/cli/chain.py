"""`atlas chain`: the contract and the money on it, on any network."""

import typer

from atlas_pipelines.cli import chain_deploy, chain_grants, chain_money, chain_status

app = typer.Typer(no_args_is_help=True, help="The contract and the money on it, on any network.")
app.command("deploy")(chain_deploy.deploy)
app.command("status")(chain_status.status)
app.command("balance")(chain_money.balance)
app.command("faucet")(chain_money.faucet)
app.command("rewards")(chain_money.rewards)
app.command("withdraw")(chain_money.withdraw)
app.command("grant")(chain_grants.grant)
app.command("revoke")(chain_grants.revoke)

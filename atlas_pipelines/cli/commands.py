"""Every command of `atlas`: its function, and its text in a list of commands.

The texts repeat the docstrings, so that listing the commands does not import them; a test compares the two.
"""

from atlas.terminal.deferred import Command, Entries, Group
from atlas_pipelines.cli.job.names import job_names

_CLI = "atlas_pipelines.cli"

_CHAIN: Entries = {
    "deploy": Command(
        f"{_CLI}.chain.deploy:deploy",
        "Upload the contract to a network, instantiate it with these settings, and record its address.",
    ),
    "status": Command(
        f"{_CLI}.chain.status:status",
        "Show the chain, the contract, its balances, and the messages that are not sent yet.",
    ),
    "balance": Command(f"{_CLI}.chain.money:balance", "Show the balance of an account."),
    "faucet": Command(
        f"{_CLI}.chain.money:faucet",
        "Get the first coins: from a testnet's faucet, or on this machine from the account that holds all coins.",
    ),
    "rewards": Command(
        f"{_CLI}.chain.money:rewards", "Show what each node's owner has earned, has withdrawn, and can withdraw."
    ),
    "withdraw": Command(f"{_CLI}.chain.money:withdraw", "Move credit from the contract to the account that earned it."),
    "grant": Command(
        f"{_CLI}.chain.grants:grant",
        "Pay these accounts' fees for contract calls, so that a node without coins can start.",
    ),
    "revoke": Command(f"{_CLI}.chain.grants:revoke", "Stop paying the fees of these accounts."),
    "pause": Command(
        f"{_CLI}.chain.owner:pause",
        "Stop the contract: it then accepts only heartbeats, the ending of leases, stake claims and withdrawals.",
    ),
    "unpause": Command(
        f"{_CLI}.chain.owner:unpause", "Make a paused contract accept all messages again; only its owner can."
    ),
    "config": Command(
        f"{_CLI}.chain.config:config",
        "Show the contract's settings, or change some of them with --set, as the contract's owner.",
    ),
    "owner": Command(
        f"{_CLI}.chain.owner:owner",
        "Show who owns the contract, or move it to another account: --transfer by its owner, then --accept by the "
        "other.",
    ),
}

_CONTENT: Entries = {
    "ls": Command(
        f"{_CLI}.content.held:ls",
        "List the copies on this machine, most recently used first, with the use that jobs make of each.",
    ),
    "add": Command(
        f"{_CLI}.content.files:add", "Store files and folders and print their CIDs, the same that `ipfs add` prints."
    ),
    "get": Command(f"{_CLI}.content.files:get", "Write a content, checked against its CID, to a new file or folder."),
    "pin": Command(
        f"{_CLI}.content.held:pin",
        "Pin contents, so that `gc` never removes them; contents without a copy here are fetched first.",
    ),
    "unpin": Command(
        f"{_CLI}.content.held:unpin", "Unpin contents, so that `gc` may remove them when no job needs them."
    ),
    "gc": Command(
        f"{_CLI}.content.gc:gc",
        "Remove content that no job needs. $ATLAS_HOME/retention.yaml has the defaults of these options.",
    ),
    "verify": Command(
        f"{_CLI}.content.health:verify",
        "Recompute the CIDs of the copies on this machine, all of them or those given; fails if any is corrupt or "
        "missing.",
    ),
    "replicas": Command(
        f"{_CLI}.content.health:replicas",
        "Show which places hold a whole copy of each content; fails if any content has fewer copies than wanted.",
    ),
    "audit": Command(
        f"{_CLI}.content.audit:audit",
        "Ask storage nodes to prove that they hold what they announced, and end the audits that were not answered in "
        "time.",
    ),
}

_JOB: Entries = {
    "ls": Command(f"{_CLI}.job.listing:ls", "List the jobs by name."),
    "show": Command(f"{_CLI}.job.show:show", "Show a job's rounds, tasks, nodes and newest checkpoint.", job_names),
    "round": Command(
        f"{_CLI}.job.round:show_round",
        "Show a round's updates, accepted and refused, with their influence; all of it is computed from the content.",
        job_names,
    ),
    "cancel": Command(
        f"{_CLI}.job.money:cancel",
        "Cancel a job: no new task is assigned, running tasks may end and be paid, the free escrow is refunded.",
        job_names,
    ),
    "top-up": Command(
        f"{_CLI}.job.money:top_up", "Add to an open job's escrow from the operator's account.", job_names
    ),
    "close": Command(
        f"{_CLI}.job.money:close",
        "Close a job with no payment outstanding; the free rest of its escrow is refunded.",
        job_names,
    ),
    "archive": Command(
        f"{_CLI}.job.archive:archive",
        "Remove the partitions of a finished job from Dagster's lists; long lists make its pages slow.",
        job_names,
    ),
    "schedule": Command(
        f"{_CLI}.job.schedule:schedule",
        "Show when a job is ordered again, or change it. Dagster's daemon uses the change within a minute.",
        job_names,
    ),
    "rollback": Command(
        f"{_CLI}.job.rollback:rollback",
        "Take back the submission of a job's newest round, while it is neither settled nor challenged.",
        job_names,
    ),
}

_KEYS: Entries = {
    "ls": Command(f"{_CLI}.keys:ls", "List the key rings: their keys' ids, and the revoked addresses."),
    "released": Command(
        f"{_CLI}.keys:released",
        "List the nodes that received keys of a ring, and so may have read those rows: each node, task and file once.",
    ),
    "rotate": Command(
        f"{_CLI}.keys:rotate",
        "Seal new data with a new key. Data sealed before stays as it is, and open jobs continue.",
    ),
    "revoke": Command(
        f"{_CLI}.keys:revoke", "Revoke these nodes: they get no more keys, and new data is sealed with a new key."
    ),
    "restore": Command(
        f"{_CLI}.keys:restore", "Restore a revoked node: it gets keys again, for the tasks that the chain leases to it."
    ),
}

_MODEL: Entries = {
    "ls": Command(
        f"{_CLI}.model.registry:ls",
        "List the models that are registered on chain: each round of a job is a version of the job's name.",
    ),
    "promote": Command(
        f"{_CLI}.model.registry:promote",
        "Make a version the current one of its name, as the job's owner; the previous one is then only registered.",
        job_names,
    ),
    "deprecate": Command(
        f"{_CLI}.model.registry:deprecate",
        "Deprecate a version, as the job's owner; it is no longer current, and cannot be promoted again.",
        job_names,
    ),
    "export": Command(
        f"{_CLI}.model.export:export_app",
        "Write a checkpoint's adapter as a PEFT folder, or with --merged the whole model, with a model card.",
    ),
    "push": Command(
        f"{_CLI}.model.export:push",
        "Upload what `export` writes to the Hugging Face hub, with the token in HF_TOKEN or of `hf auth login`.",
    ),
}

COMMANDS: Entries = {
    "run": Command(
        f"{_CLI}.run.run:run",
        "Train a job and show the results of each round. A job that is run again continues where it stopped.",
    ),
    "plan": Command(
        f"{_CLI}.plan:plan",
        "Show what a job would do, take and cost: shards, rows, memory, nodes, time and money. The chain is only read.",
    ),
    "up": Command(
        f"{_CLI}.up:up",
        "Run chain, message server, agents and Dagster until Ctrl-C. Runs launched in the UI use them.",
    ),
    "doctor": Command(
        f"{_CLI}.doctor:doctor",
        "Check files, disk, packages, models, clocks, ports and the network, without changing any of them.",
    ),
    "nodes": Command(
        f"{_CLI}.nodes:nodes",
        "List the network's nodes: from the DHT, then from the chain, then from the addresses in `content.peers`.",
    ),
    "verify": Command(
        f"{_CLI}.verify:verify",
        "Recompute a checkpoint, round by round, down to the untrained adapter. Fails at the first difference.",
    ),
    "report": Command(
        f"{_CLI}.report.report:report",
        "Write all measurements of a job, or of several jobs to compare, as one page, as JSON or as CSV.",
        job_names,
    ),
    "chain": Group("The contract and the money on it, on any network.", _CHAIN),
    "content": Group("The bytes that jobs refer to, by their CIDs.", _CONTENT),
    "job": Group("The jobs that were opened here.", _JOB),
    "keys": Group("The keys that datasets are sealed with, and the revoked nodes.", _KEYS),
    "model": Group("The models that jobs have trained.", _MODEL),
}

//! A chain with the contract on it. Every message that it accepts is followed by a check of its books.

use atlas::contract;
use std::collections::BTreeMap;

use atlas::msg::{
    ChallengeAnswer, ExecuteMsg, HoldingAnswer, InstantiateMsg, JobAnswer, LeaseAnswer, MigrateMsg,
    NodeAnswer, QueryMsg, RoundAnswer,
};
use atlas::ContractError;
use cosmwasm_std::{coin, coins, Addr, Coin, Uint128};
use cw_multi_test::{App, AppResponse, ContractWrapper, Executor};
use serde::de::DeserializeOwned;

pub const DENOM: &str = "uatl";
pub const FUNDS: u128 = 1_000_000;
pub const MIN_STAKE: u128 = 10;
pub const HEARTBEAT: u64 = 60;
pub const CHALLENGE: u64 = 100;
pub const BOND: u128 = 5;
pub const DISPUTE: u64 = 40;
pub const UNBONDING: u64 = 150;
pub const JAIL: u64 = 30;
pub const ABANDON: u64 = 200;
pub const AUDIT: u64 = 20;
pub const SLASH_BPS: u32 = 2_500;
pub const MAX_BATCH: u32 = 25;
pub const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

pub struct Suite {
    pub app: App,
    pub contract: Addr,
    pub code: u64,
    /// How many tasks of an abandoned (job, round) were paid to a node.
    pub claimed: BTreeMap<(u64, u32, u32), u32>,
}

pub fn config() -> InstantiateMsg {
    InstantiateMsg {
        denom: DENOM.into(),
        min_stake: Uint128::new(MIN_STAKE),
        heartbeat_seconds: HEARTBEAT,
        challenge_seconds: CHALLENGE,
        challenge_bond: Some(Uint128::new(BOND)),
        dispute_seconds: Some(DISPUTE),
        unbonding_seconds: Some(UNBONDING),
        jail_seconds: Some(JAIL),
        abandon_seconds: Some(ABANDON),
        audit_seconds: Some(AUDIT),
        slash_bps: Some(SLASH_BPS),
        max_batch: Some(MAX_BATCH),
    }
}

impl Suite {
    pub fn new() -> Self {
        Self::with(&config()).unwrap()
    }

    /// The contract, owned and administered by the address `admin`.
    pub fn with(config: &InstantiateMsg) -> Result<Self, ContractError> {
        Self::funded(config, &[])
    }

    pub fn funded(config: &InstantiateMsg, funds: &[Coin]) -> Result<Self, ContractError> {
        let mut app = App::new(|router, api, storage| {
            for name in PEOPLE.iter().chain(&["admin"]) {
                let wallet = vec![coin(FUNDS, DENOM), coin(FUNDS, "other")];
                router.bank.init_balance(storage, &api.addr_make(name), wallet).unwrap();
            }
        });
        let wrapper =
            ContractWrapper::new(contract::execute, contract::instantiate, contract::query)
                .with_migrate(contract::migrate);
        let code = app.store_code(Box::new(wrapper));
        let admin = app.api().addr_make("admin");
        let address = app
            .instantiate_contract(
                code,
                admin.clone(),
                config,
                funds,
                "atlas",
                Some(admin.into_string()),
            )
            .map_err(|error| error.downcast::<ContractError>().unwrap())?;
        Ok(Self { app, contract: address, code, claimed: BTreeMap::new() })
    }

    pub fn address(&self, name: &str) -> Addr {
        self.app.api().addr_make(name)
    }

    /// Everybody who has coins.
    pub fn people(&self) -> Vec<Addr> {
        PEOPLE.iter().chain(&["admin"]).map(|name| self.address(name)).collect()
    }

    pub fn now(&self) -> u64 {
        self.app.block_info().time.seconds()
    }

    pub fn wait(&mut self, seconds: u64) {
        self.app.update_block(|block| {
            block.height += 1;
            block.time = block.time.plus_seconds(seconds);
        });
    }

    /// Sends a message with funds in DENOM.
    pub fn send(
        &mut self,
        sender: &str,
        message: &ExecuteMsg,
        funds: u128,
    ) -> Result<AppResponse, ContractError> {
        let funds = if funds == 0 { vec![] } else { coins(funds, DENOM) };
        self.send_coins(sender, message, &funds)
    }

    /// A refused message must leave everything as it was.
    pub fn send_coins(
        &mut self,
        sender: &str,
        message: &ExecuteMsg,
        funds: &[Coin],
    ) -> Result<AppResponse, ContractError> {
        let sender = self.address(sender);
        let before = self.everything();
        let books = self.books();
        let result =
            self.app.execute_contract(sender.clone(), self.contract.clone(), message, funds);
        match result {
            Ok(response) => {
                self.check_books(&books, &sender, message);
                Ok(response)
            }
            Err(error) => {
                assert_eq!(self.everything(), before, "a refused message left a trace");
                Err(error.downcast().expect("the refusal is not one of the contract"))
            }
        }
    }

    /// Sends a message without funds that must be accepted.
    pub fn run(&mut self, sender: &str, message: ExecuteMsg) -> AppResponse {
        self.pay(sender, message, 0)
    }

    pub fn pay(&mut self, sender: &str, message: ExecuteMsg, funds: u128) -> AppResponse {
        self.send(sender, &message, funds).unwrap()
    }

    /// Sends a message without funds that must be refused.
    pub fn refusal(&mut self, sender: &str, message: ExecuteMsg) -> ContractError {
        self.send(sender, &message, 0).unwrap_err()
    }

    pub fn migrate(&mut self) -> Result<AppResponse, ContractError> {
        let admin = self.address("admin");
        self.app
            .migrate_contract(admin, self.contract.clone(), &MigrateMsg {}, self.code)
            .map_err(|error| error.downcast().unwrap())
    }

    pub fn try_ask<T: DeserializeOwned>(&self, query: &QueryMsg) -> Result<T, String> {
        self.app.wrap().query_wasm_smart(&self.contract, query).map_err(|error| error.to_string())
    }

    pub fn ask<T: DeserializeOwned>(&self, query: QueryMsg) -> T {
        self.try_ask(&query).unwrap()
    }

    pub fn node(&self, id: u32) -> NodeAnswer {
        self.ask(QueryMsg::Node { id })
    }

    pub fn job(&self, id: u64) -> JobAnswer {
        self.ask(QueryMsg::Job { id })
    }

    pub fn round(&self, job: u64, round: u32) -> Option<RoundAnswer> {
        self.ask(QueryMsg::Round { job, round })
    }

    pub fn rounds(&self, job: u64) -> Vec<RoundAnswer> {
        self.ask(QueryMsg::Rounds { job, start_after: None, limit: Some(100) })
    }

    pub fn challenges(&self, job: u64, round: u32) -> Vec<ChallengeAnswer> {
        self.ask(QueryMsg::Challenges { job, round, start_after: None, limit: Some(100) })
    }

    pub fn holdings(&self, node: u32) -> Vec<HoldingAnswer> {
        self.ask(QueryMsg::Holdings { node, start_after: None, limit: Some(100) })
    }

    pub fn holders(&self, cid: &str) -> Vec<HoldingAnswer> {
        self.ask(QueryMsg::Holders { cid: cid.into(), start_after: None, limit: Some(100) })
    }

    pub fn lease(&self, job: u64, round: u32, slot: u32) -> Option<LeaseAnswer> {
        self.ask(QueryMsg::Lease { job, round, slot })
    }

    pub fn leases(&self, job: u64, round: u32) -> Vec<LeaseAnswer> {
        self.pages(|last| QueryMsg::Leases {
            job,
            round,
            start_after: last.map(|last| last.slot),
            limit: Some(100),
        })
    }

    pub fn leases_of_node(&self, node: u32) -> Vec<LeaseAnswer> {
        self.pages(|last| QueryMsg::LeasesOfNode {
            node,
            start_after: last.map(|last| (last.job, last.round, last.slot)),
            limit: Some(100),
        })
    }

    fn pages(&self, query: impl Fn(Option<&LeaseAnswer>) -> QueryMsg) -> Vec<LeaseAnswer> {
        let mut all: Vec<LeaseAnswer> = vec![];
        loop {
            let page: Vec<LeaseAnswer> = self.ask(query(all.last()));
            let full = page.len() == 100;
            all.extend(page);
            if !full {
                return all;
            }
        }
    }

    pub fn credit(&self, name: &str) -> u128 {
        let address = self.address(name).into_string();
        self.ask::<Uint128>(QueryMsg::Credit { address }).u128()
    }

    pub fn balance(&self, address: &Addr) -> u128 {
        self.app.wrap().query_balance(address, DENOM).unwrap().amount.u128()
    }

    pub fn nodes(&self) -> Vec<NodeAnswer> {
        self.ask(QueryMsg::Nodes { start_after: None, limit: Some(100) })
    }

    pub fn jobs(&self) -> Vec<JobAnswer> {
        self.ask(QueryMsg::Jobs { start_after: None, limit: Some(100) })
    }

    /// The contract's whole state, and what everybody has in the bank.
    fn everything(&self) -> impl PartialEq + std::fmt::Debug {
        let accounts = self.people().into_iter().chain([self.contract.clone()]);
        let balances: Vec<u128> = accounts.map(|account| self.balance(&account)).collect();
        (self.app.dump_wasm_raw(&self.contract), balances)
    }
}

/// The value of an attribute of the contract's event.
pub fn attribute(response: &AppResponse, key: &str) -> Option<String> {
    let event = response.events.iter().find(|event| event.ty == "wasm")?;
    event.attributes.iter().find(|attribute| attribute.key == key).map(|found| found.value.clone())
}

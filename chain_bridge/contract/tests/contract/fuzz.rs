//! Whatever bytes come in, the contract answers with an error or a success: a panic fails these tests.

use atlas::msg::{ExecuteMsg, QueryMsg};
use atlas::state::{NodeKind, Totals};
use cosmwasm_std::{coins, from_json, Binary, Empty, QueryRequest, WasmMsg, WasmQuery};
use cw_multi_test::Executor;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{json, Value};

use crate::corpus;
use crate::messages::{
    assign, complete, create_job, register, register_as, register_model, submit,
};
use crate::suite::{Suite, DENOM, MIN_STAKE, PEOPLE};

/// Something of everything: leases in all states, a submitted round, an audit, a current model.
fn story() -> Suite {
    let mut suite = Suite::new();
    suite.pay("alice", create_job("first", 3, 2, 7), 100);
    suite.pay("alice", create_job("second", 1, 1, 7), 20);
    suite.pay("bob", register(5), MIN_STAKE + 5);
    suite.pay("carol", register_as(NodeKind::Storage, 5), MIN_STAKE);
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1), (2, 1, 1)]));
    suite.run("alice", complete(1, 1, &[(0, 1)]));
    suite.run("alice", assign(2, 1, &[(0, 1, 1)]));
    suite.run("alice", complete(2, 1, &[(0, 1)]));
    suite.run("alice", submit(2, 1, 1, &[(1, 1)]));
    suite.run("alice", register_model("m", 1, 1));
    suite.run("alice", ExecuteMsg::PromoteModel { name: "m".into(), version: 1 });
    suite.run("carol", ExecuteMsg::AnnounceStorage { cids: vec!["c0".into(), "c9".into()] });
    suite
}

impl Suite {
    fn execute_raw(&mut self, sender: &str, message: &[u8], funds: u128) -> bool {
        let funds = if funds == 0 { vec![] } else { coins(funds, DENOM) };
        let contract_addr = self.contract.to_string();
        let message = WasmMsg::Execute { contract_addr, msg: message.into(), funds };
        let sender = self.address(sender);
        self.app.execute(sender, message.into()).is_ok()
    }

    fn query_raw(&self, message: &[u8]) -> bool {
        let contract_addr = self.contract.to_string();
        let query =
            QueryRequest::<Empty>::Wasm(WasmQuery::Smart { contract_addr, msg: message.into() });
        self.app.wrap().query::<Value>(&query).is_ok()
    }

    fn instantiate_raw(&mut self, message: &[u8]) -> bool {
        let (code_id, label) = (self.code, "fuzz".to_string());
        let msg = Binary::from(message);
        let message = WasmMsg::Instantiate { admin: None, code_id, msg, funds: vec![], label };
        let sender = self.address("dave");
        self.app.execute(sender, message.into()).is_ok()
    }

    fn migrate_raw(&mut self, message: &[u8]) -> bool {
        let (contract_addr, new_code_id) = (self.contract.to_string(), self.code);
        let message = WasmMsg::Migrate { contract_addr, new_code_id, msg: message.into() };
        let sender = self.address("admin");
        self.app.execute(sender, message.into()).is_ok()
    }

    fn totals_are_held(&self) -> bool {
        let totals: Totals = self.ask(QueryMsg::Totals {});
        let held = totals.escrow + totals.stake + totals.credit + totals.treasury;
        self.balance(&self.contract) == held.u128()
    }
}

/// Where contracts break.
fn extreme() -> impl Strategy<Value = Value> {
    let long = |length: usize| json!("x".repeat(length));
    select(vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(2),
        json!(-1),
        json!(1.5),
        json!(10_000),
        json!(u32::MAX),
        json!(u64::MAX),
        json!("0"),
        json!("18446744073709551616"),
        json!(u128::MAX.to_string()),
        json!("340282366920938463463374607431768211456"),
        json!(""),
        json!("\u{0}"),
        json!("ü€𝄞"),
        json!("cosmwasm1"),
        json!("AAAA"),
        long(256),
        long(257),
        long(70_000),
        json!([]),
        json!([[], {}]),
        json!({}),
        json!(vec![json!({"slot": 0, "node": 1, "attempt": 1}); 26]),
        json!(vec!["c"; 300]),
    ])
}

/// Any JSON, with the words of the contract in it.
fn any_json() -> impl Strategy<Value = Value> {
    let words: Vec<String> =
        corpus::executes("a").iter().chain(&corpus::queries("a")).flat_map(words).collect();
    let leaf =
        prop_oneof![extreme(), any::<i64>().prop_map(Value::from), ".{0,12}".prop_map(Value::from)];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let fields = prop::collection::btree_map(select(words.clone()), inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| [vec![key.clone()], words(value)].concat())
            .collect(),
        Value::Array(items) => items.iter().flat_map(words).collect(),
        _ => vec![],
    }
}

/// Puts `new` in the place of the part at `place`, counted from the top, or takes that part away.
/// Whether there was such a part.
fn disturb(value: &mut Value, place: &mut usize, new: &Option<Value>) -> bool {
    match value {
        Value::Object(fields) => {
            fields.keys().cloned().collect::<Vec<_>>().into_iter().any(|key| {
                let is_here = *place == 0;
                match new {
                    Some(new) if is_here => drop(fields.insert(key, new.clone())),
                    None if is_here => drop(fields.remove(&key)),
                    _ => {
                        *place -= 1;
                        return disturb(&mut fields[&key], place, new);
                    }
                }
                true
            })
        }
        Value::Array(items) => (0..items.len()).any(|index| {
            let is_here = *place == 0;
            match new {
                Some(new) if is_here => items[index] = new.clone(),
                None if is_here => drop(items.remove(index)),
                _ => {
                    *place -= 1;
                    return disturb(&mut items[index], place, new);
                }
            }
            true
        }),
        _ => false,
    }
}

/// A valid message of which one or two parts are not.
fn disturbed(all: Vec<Value>) -> impl Strategy<Value = Value> {
    let change = || (0..12usize, prop::option::weighted(0.85, extreme()));
    let changes = prop::collection::vec(change(), 0..3);
    (select(all), changes).prop_map(|(mut message, changes)| {
        for (mut place, new) in changes {
            // The name of the message stays, so that most get as far as its handler.
            if let Some(body) = message.as_object_mut().unwrap().values_mut().next() {
                disturb(body, &mut place, &new);
            }
        }
        message
    })
}

fn anybody() -> String {
    Suite::new().address("bob").into_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_disturbed_message_makes_it_panic(
        messages in prop::collection::vec(
            (disturbed(corpus::executes(&anybody())), 0..5usize, select(vec![0u128, 0, 0, 5, 10, 100]), 0..90u64),
            1..20,
        ),
    ) {
        let mut suite = story();
        for (message, who, funds, seconds) in messages {
            let sender = PEOPLE.get(who).copied().unwrap_or("admin");
            suite.wait(seconds);
            suite.execute_raw(sender, message.to_string().as_bytes(), funds);
            prop_assert!(suite.totals_are_held(), "{message}");
        }
    }

    #[test]
    fn no_disturbed_query_makes_it_panic(
        messages in prop::collection::vec(disturbed(corpus::queries(&anybody())), 20),
    ) {
        let suite = story();
        for message in messages {
            suite.query_raw(message.to_string().as_bytes());
        }
    }

    #[test]
    fn no_json_and_no_bytes_make_it_panic(
        documents in prop::collection::vec(any_json(), 10),
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        settings in disturbed(vec![json!({"settings": corpus::instantiate()})]),
    ) {
        let mut suite = story();
        let texts = documents.iter().map(|document| document.to_string().into_bytes());
        for text in texts.chain([bytes, settings["settings"].to_string().into_bytes()]) {
            suite.execute_raw("alice", &text, 0);
            suite.query_raw(&text);
            suite.instantiate_raw(&text);
            suite.migrate_raw(&text);
        }
        prop_assert!(suite.totals_are_held());
    }
}

#[test]
fn the_corpus_has_every_message() {
    let address = anybody();
    for message in corpus::executes(&address) {
        from_json::<ExecuteMsg>(message.to_string()).unwrap();
    }
    for query in corpus::queries(&address) {
        from_json::<QueryMsg>(query.to_string()).unwrap();
    }
    let names = |schema: String, all: Vec<Value>| {
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let of = |one: &Value| one["required"][0].as_str().unwrap().to_string();
        let mut known: Vec<_> = schema["oneOf"].as_array().unwrap().iter().map(of).collect();
        let mut found: Vec<_> =
            all.iter().map(|one| one.as_object().unwrap().keys().next().unwrap().clone()).collect();
        known.sort();
        found.sort();
        assert_eq!(known, found);
    };
    let schema = |root| serde_json::to_string(&root).unwrap();
    names(schema(cosmwasm_schema::schema_for!(ExecuteMsg)), corpus::executes(&address));
    names(schema(cosmwasm_schema::schema_for!(QueryMsg)), corpus::queries(&address));
}

#[test]
fn deep_and_long_json_is_refused() {
    let mut suite = story();
    for text in
        ["[".repeat(100_000), "{\"a\":".repeat(100_000), format!("\"{}\"", "x".repeat(1_000_000))]
    {
        assert!(!suite.execute_raw("alice", text.as_bytes(), 0));
        assert!(!suite.query_raw(text.as_bytes()));
        assert!(!suite.instantiate_raw(text.as_bytes()));
        assert!(!suite.migrate_raw(text.as_bytes()));
    }
}

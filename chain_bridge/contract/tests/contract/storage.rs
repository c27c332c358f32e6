//! announce_storage, drop_storage, open_audit, answer_audit, expire_audit and what may be asked of them.

use atlas::msg::{ExecuteMsg, HoldingAnswer, QueryMsg};
use atlas::state::{Audit, NodeKind, NodeStatus};
use atlas::ContractError;
use cosmwasm_std::Binary;
use cw_ownable::OwnershipError;
use sha2::{Digest, Sha256};

use crate::messages::{register, register_as};
use crate::suite::{attribute, Suite, AUDIT, JAIL, MAX_BATCH, MIN_STAKE};

/// alice has compute node 1, bob and carol have storage nodes 2 and 3 with room for 3 CIDs each.
fn suite() -> Suite {
    let mut suite = Suite::new();
    suite.pay("alice", register(3), MIN_STAKE);
    suite.pay("bob", register_as(NodeKind::Storage, 3), MIN_STAKE);
    suite.pay("carol", register_as(NodeKind::Storage, 3), MIN_STAKE);
    suite
}

fn announce(cids: &[&str]) -> ExecuteMsg {
    ExecuteMsg::AnnounceStorage { cids: strings(cids) }
}

fn give_up(cids: &[&str]) -> ExecuteMsg {
    ExecuteMsg::DropStorage { cids: strings(cids) }
}

fn strings(cids: &[&str]) -> Vec<String> {
    cids.iter().map(|cid| cid.to_string()).collect()
}

/// Asks node 2 for the answer "answer".
fn audit(cid: &str) -> ExecuteMsg {
    audit_with(cid, &[1; 16], &Sha256::digest(b"answer"))
}

fn audit_with(cid: &str, nonce: &[u8], answer_hash: &[u8]) -> ExecuteMsg {
    let (nonce, answer_hash) = (nonce.into(), answer_hash.into());
    ExecuteMsg::OpenAudit { cid: cid.into(), node: 2, nonce, answer_hash }
}

fn answer(cid: &str, answer: &str) -> ExecuteMsg {
    ExecuteMsg::AnswerAudit { cid: cid.into(), answer: answer.as_bytes().into() }
}

fn expire(cid: &str) -> ExecuteMsg {
    ExecuteMsg::ExpireAudit { cid: cid.into(), node: 2 }
}

fn cids(held: Vec<HoldingAnswer>) -> Vec<String> {
    held.into_iter().map(|held| held.cid).collect()
}

#[test]
fn a_node_says_what_it_holds() {
    let mut suite = suite();
    let response = suite.run("bob", announce(&["b", "a"]));
    assert_eq!(attribute(&response, "action").unwrap(), "announce_storage");
    assert_eq!(attribute(&response, "node_id").unwrap(), "2");
    assert_eq!(attribute(&response, "items").unwrap(), "2");
    suite.run("carol", announce(&["b"]));

    assert_eq!(cids(suite.holdings(2)), ["a", "b"]);
    assert_eq!(suite.node(2).used, 2);
    let holders = suite.holders("b");
    assert_eq!(holders.iter().map(|held| held.node).collect::<Vec<_>>(), [2, 3]);
    assert_eq!((holders[0].since, holders[0].proven_at), (suite.now(), None));
    assert_eq!(suite.holders("c"), []);
    assert_eq!(suite.holdings(9), []);
}

#[test]
fn holdings_come_in_pages() {
    let mut suite = suite();
    suite.run("bob", announce(&["a", "b", "ba"]));
    suite.run("carol", announce(&["b"]));
    let page = |start_after: Option<&str>, limit| {
        let start_after = start_after.map(String::from);
        cids(suite.ask(QueryMsg::Holdings { node: 2, start_after, limit: Some(limit) }))
    };
    assert_eq!(page(None, 2), ["a", "b"]);
    assert_eq!(page(Some("b"), 2), ["ba"]);
    assert_eq!(page(Some("aa"), 1), ["b"]);
    let query = QueryMsg::Holders { cid: "b".into(), start_after: Some(2), limit: None };
    let holders: Vec<HoldingAnswer> = suite.ask(query);
    assert_eq!(holders.iter().map(|held| held.node).collect::<Vec<_>>(), [3]);
}

#[test]
fn only_an_active_storage_node_with_room_may_announce() {
    let mut suite = suite();
    let kind = NodeKind::Compute;
    let expected = ContractError::NotStorage { node: 1, kind };
    assert_eq!(suite.refusal("alice", announce(&["a"])), expected);
    let owner = suite.address("dave");
    assert_eq!(suite.refusal("dave", announce(&["a"])), ContractError::NoNode { owner });

    suite.run("bob", announce(&["a", "b"]));
    let expected = ContractError::StorageFull { node: 2, found: 2, used: 2, capacity: 3 };
    assert_eq!(suite.refusal("bob", announce(&["c", "d"])), expected);
    let expected = ContractError::AlreadyHeld { node: 2, cid: "a".into() };
    assert_eq!(suite.refusal("bob", announce(&["a"])), expected);
    let expected = ContractError::AlreadyHeld { node: 3, cid: "c".into() };
    assert_eq!(suite.refusal("carol", announce(&["c", "c"])), expected);
    suite.run("bob", announce(&["c"]));

    suite.run("carol", ExecuteMsg::DeregisterNode {});
    let status = NodeStatus::Retired;
    let expected = ContractError::NodeNotActive { node: 3, status };
    assert_eq!(suite.refusal("carol", announce(&["a"])), expected);
}

#[test]
fn a_node_with_less_room_than_it_uses_gets_nothing_new() {
    let mut suite = suite();
    suite.run("bob", announce(&["a", "b"]));
    let smaller = ExecuteMsg::UpdateNode { capacity: Some(1), manifest: None, public_key: None };
    suite.run("bob", smaller);
    let expected = ContractError::StorageFull { node: 2, found: 1, used: 2, capacity: 1 };
    assert_eq!(suite.refusal("bob", announce(&["c"])), expected);
}

#[test]
fn cids_are_listed_in_batches_and_have_a_length() {
    let mut suite = suite();
    let many = vec!["a"; MAX_BATCH as usize + 1];
    let long = "a".repeat(257);
    for message in [announce, give_up] {
        let expected = ContractError::BatchSize { found: 0, max: MAX_BATCH };
        assert_eq!(suite.refusal("bob", message(&[])), expected);
        let expected = ContractError::BatchSize { found: many.len(), max: MAX_BATCH };
        assert_eq!(suite.refusal("bob", message(&many)), expected);
        for (cid, length) in [("", 0), (long.as_str(), 257)] {
            let expected = ContractError::TextLength { field: "cid", length, max: 256 };
            assert_eq!(suite.refusal("bob", message(&[cid])), expected);
        }
    }
    for length in [0, 257, 70_000] {
        let cid = "a".repeat(length);
        let expected = ContractError::TextLength { field: "cid", length, max: 256 };
        assert_eq!(suite.refusal("admin", audit(&cid)), expected);
        assert_eq!(suite.refusal("bob", answer(&cid, "answer")), expected);
        assert_eq!(suite.refusal("bob", self::expire(&cid)), expected);
        let query = QueryMsg::Holders { cid, start_after: None, limit: None };
        let error = suite.try_ask::<Vec<HoldingAnswer>>(&query).unwrap_err();
        assert!(error.contains("cid has"), "{error}");
    }
}

#[test]
fn what_is_dropped_frees_its_place() {
    let mut suite = suite();
    suite.run("bob", announce(&["a", "b", "c"]));
    suite.run("carol", announce(&["a"]));
    let response = suite.run("bob", give_up(&["a", "c"]));
    assert_eq!(attribute(&response, "items").unwrap(), "2");
    assert_eq!((cids(suite.holdings(2)), suite.node(2).used), (strings(&["b"]), 1));
    assert_eq!(suite.holders("a").len(), 1);
    for twice in [&["a"][..], &["b", "b"]] {
        let cid = twice[0].to_string();
        assert_eq!(suite.refusal("bob", give_up(twice)), ContractError::NotHeld { node: 2, cid });
    }
    suite.run("bob", announce(&["a"]));
}

#[test]
fn an_audit_is_passed_with_the_right_answer() {
    let mut suite = suite();
    suite.run("bob", announce(&["a"]));
    let response = suite.run("admin", audit("a"));
    let until = suite.now() + AUDIT;
    assert_eq!(attribute(&response, "until").unwrap(), until.to_string());
    let (nonce, answer_hash) = ([1; 16].into(), Sha256::digest(b"answer").as_slice().into());
    assert_eq!(suite.holdings(2)[0].audit, Some(Audit { nonce, answer_hash, until }));
    assert_eq!(suite.holders("a"), suite.holdings(2));

    let expected = ContractError::WrongAnswer { node: 2, cid: "a".into() };
    assert_eq!(suite.refusal("bob", answer("a", "wrong")), expected);
    let expected = ContractError::NoAudit { node: 3, cid: "a".into() };
    assert_eq!(suite.refusal("carol", answer("a", "answer")), expected);
    suite.wait(AUDIT - 1);
    let response = suite.run("bob", answer("a", "answer"));
    assert_eq!(attribute(&response, "cid").unwrap(), "a");
    let held = &suite.holdings(2)[0];
    assert_eq!((held.proven_at, &held.audit), (Some(suite.now()), &None));
    assert_eq!(suite.node(2).reputation, 100);
    let expected = ContractError::NoAudit { node: 2, cid: "a".into() };
    assert_eq!(suite.refusal("bob", answer("a", "answer")), expected);
    suite.run("admin", audit("a"));
}

#[test]
fn an_audit_without_an_answer_costs_the_holding_and_reputation() {
    let mut suite = suite();
    suite.run("bob", announce(&["a", "b"]));
    suite.run("admin", audit("a"));
    let until = suite.now() + AUDIT;
    let open = ContractError::AuditOpen { node: 2, cid: "a".into(), until };
    suite.wait(AUDIT - 1);
    assert_eq!(suite.refusal("dave", expire("a")), open);
    suite.wait(1);
    let over = ContractError::AuditOver { node: 2, cid: "a".into(), until, now: suite.now() };
    assert_eq!(suite.refusal("bob", answer("a", "answer")), over);
    let response = suite.run("dave", expire("a"));
    assert_eq!(attribute(&response, "node_id").unwrap(), "2");
    let node = suite.node(2);
    assert_eq!((cids(suite.holdings(2)), node.used), (strings(&["b"]), 1));
    assert_eq!((node.reputation, node.status), (95, NodeStatus::Active));
    assert_eq!(suite.holders("a"), []);
    let expected = ContractError::NoAudit { node: 2, cid: "a".into() };
    assert_eq!(suite.refusal("dave", expire("a")), expected);
}

#[test]
fn a_node_that_fails_every_audit_goes_to_jail() {
    let mut suite = suite();
    for _ in 0..20 {
        suite.run("bob", announce(&["a"]));
        suite.run("admin", audit("a"));
        suite.wait(AUDIT);
        suite.run("dave", expire("a"));
    }
    let node = suite.node(2);
    assert_eq!((node.reputation, node.status), (0, NodeStatus::Jailed));
    assert_eq!(node.jailed_until, suite.now() + JAIL);
    let status = NodeStatus::Jailed;
    let expected = ContractError::NodeNotActive { node: 2, status };
    assert_eq!(suite.refusal("bob", announce(&["a"])), expected);
}

#[test]
fn an_audit_is_one_at_a_time_and_of_something_held() {
    let mut suite = suite();
    suite.run("bob", announce(&["a"]));
    suite.run("admin", audit("a"));
    let until = suite.now() + AUDIT;
    let expected = ContractError::AuditOpen { node: 2, cid: "a".into(), until };
    assert_eq!(suite.refusal("admin", audit("a")), expected);
    assert_eq!(suite.refusal("bob", give_up(&["a"])), expected);
    let expected = ContractError::NotHeld { node: 2, cid: "b".into() };
    assert_eq!(suite.refusal("admin", audit("b")), expected);
}

#[test]
fn the_owner_of_the_contract_asks_in_the_right_form() {
    let mut suite = suite();
    suite.run("bob", announce(&["a"]));
    let expected = ContractError::Ownership(OwnershipError::NotOwner);
    assert_eq!(suite.refusal("alice", audit("a")), expected);
    let hash = Sha256::digest(b"answer");
    for found in [0, 15, 65] {
        let expected = ContractError::BytesLength { field: "nonce", found, least: 16, most: 64 };
        assert_eq!(suite.refusal("admin", audit_with("a", &vec![1; found], &hash)), expected);
    }
    for found in [0, 31, 33] {
        let field = "answer_hash";
        let expected = ContractError::BytesLength { field, found, least: 32, most: 32 };
        let message = audit_with("a", &[1; 16], &vec![1; found]);
        assert_eq!(suite.refusal("admin", message), expected);
    }
    suite.run("admin", audit_with("a", &[1; 64], Binary::from(hash.as_slice()).as_slice()));
}

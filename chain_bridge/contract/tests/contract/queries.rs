//! What the other tests do not ask.

use atlas::msg::{JobAnswer, LeaseAnswer, NodeAnswer, QueryMsg};
use atlas::state::Model;

use crate::messages::{assign, complete, create_job, register, register_model};
use crate::suite::{Suite, MIN_STAKE, PEOPLE};

/// Everybody has a node; alice owns jobs 1 (39 shards) and 2; node 1 holds ten slots of each.
fn suite() -> Suite {
    let mut suite = Suite::new();
    for name in PEOPLE {
        suite.pay(name, register(50), MIN_STAKE);
    }
    suite.pay("alice", create_job("a", 39, 2, 1), 80);
    suite.pay("alice", create_job("b", 9, 1, 1), 10);
    let ten: Vec<_> = (0..10).map(|slot| (slot, 1, 1)).collect();
    suite.run("alice", assign(1, 2, &ten));
    suite.run("alice", assign(2, 1, &ten));
    suite
}

#[test]
fn what_is_not_there() {
    let suite = suite();
    let stranger = suite.address("stranger").into_string();
    assert_eq!(suite.ask::<Option<NodeAnswer>>(QueryMsg::NodeOf { owner: stranger.clone() }), None);
    let query = QueryMsg::JobOf { owner: stranger, key: "a".into() };
    assert_eq!(suite.ask::<Option<JobAnswer>>(query), None);
    assert_eq!(suite.lease(1, 1, 0), None);
    assert_eq!(suite.round(1, 1), None);
    assert_eq!(suite.credit("alice"), 0);
    for (query, text) in [
        (QueryMsg::Node { id: 9 }, "node 9 is not registered"),
        (QueryMsg::Job { id: 9 }, "there is no job 9"),
        (QueryMsg::Model { name: "m".into(), version: 9 }, "there is no version 9 of model m"),
    ] {
        let error = suite.try_ask::<serde_json::Value>(&query).unwrap_err();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn who_owns_what() {
    let suite = suite();
    let owner = suite.address("bob").into_string();
    assert_eq!(suite.ask::<Option<NodeAnswer>>(QueryMsg::NodeOf { owner }), Some(suite.node(2)));
    let query = QueryMsg::JobOf { owner: suite.address("alice").into_string(), key: "b".into() };
    assert_eq!(suite.ask::<Option<JobAnswer>>(query), Some(suite.job(2)));
}

#[test]
fn an_address_that_is_none_is_refused() {
    let suite = suite();
    for query in [
        QueryMsg::NodeOf { owner: "nobody".into() },
        QueryMsg::JobOf { owner: "nobody".into(), key: "a".into() },
        QueryMsg::Credit { address: "nobody".into() },
    ] {
        suite.try_ask::<serde_json::Value>(&query).unwrap_err();
    }
}

#[test]
fn lists_come_in_pages() {
    let suite = suite();
    let nodes = |start_after, limit| -> Vec<u32> {
        let page: Vec<NodeAnswer> = suite.ask(QueryMsg::Nodes { start_after, limit });
        page.iter().map(|node| node.id).collect()
    };
    assert_eq!(nodes(None, Some(3)), [1, 2, 3]);
    assert_eq!(nodes(Some(3), Some(3)), [4]);
    assert!(nodes(None, Some(0)).is_empty());
    let jobs: Vec<JobAnswer> = suite.ask(QueryMsg::Jobs { start_after: Some(1), limit: None });
    assert_eq!(jobs, [suite.job(2)]);

    let query = QueryMsg::Leases { job: 1, round: 2, start_after: Some(4), limit: Some(2) };
    let slots: Vec<u32> =
        suite.ask::<Vec<LeaseAnswer>>(query).iter().map(|lease| lease.slot).collect();
    assert_eq!(slots, [5, 6]);
}

#[test]
fn a_page_has_30_entries_or_at_most_100() {
    let mut suite = Suite::new();
    suite.pay("alice", register(200), MIN_STAKE);
    suite.pay("alice", create_job("a", 110, 1, 1), 111);
    for first in (0..110).step_by(22) {
        let items: Vec<_> = (first..first + 22).map(|slot| (slot, 1, 1)).collect();
        suite.run("alice", assign(1, 1, &items));
    }
    for (limit, expected) in [(None, 30), (Some(100), 100), (Some(101), 100)] {
        let leases = QueryMsg::Leases { job: 1, round: 1, start_after: None, limit };
        let of_node = QueryMsg::LeasesOfNode { node: 1, start_after: None, limit };
        for query in [leases, of_node] {
            assert_eq!(suite.ask::<Vec<LeaseAnswer>>(query).len(), expected);
        }
    }
}

#[test]
fn a_node_lists_its_active_leases_over_all_jobs() {
    let mut suite = suite();
    suite.run("alice", complete(1, 2, &[(8, 1)]));
    let page = |start_after, limit| -> Vec<(u64, u32, u32)> {
        let query = QueryMsg::LeasesOfNode { node: 1, start_after, limit };
        let leases: Vec<LeaseAnswer> = suite.ask(query);
        leases.iter().map(|lease| (lease.job, lease.round, lease.slot)).collect()
    };
    assert_eq!(page(None, None).len(), 19);
    assert_eq!(page(Some((1, 2, 6)), Some(3)), [(1, 2, 7), (1, 2, 9), (2, 1, 0)]);
}

#[test]
fn models_are_listed_by_name_and_version() {
    let mut suite = suite();
    for (name, version) in [("b", 10), ("a", 2), ("b", 9), ("a", 1)] {
        suite.run("alice", register_model(name, version, 1));
    }
    let page = |name: Option<&str>, start_after: Option<(&str, u32)>| -> Vec<(String, u32)> {
        let models: Vec<Model> = suite.ask(QueryMsg::Models {
            name: name.map(String::from),
            start_after: start_after.map(|(name, version)| (name.into(), version)),
            limit: Some(3),
        });
        models.into_iter().map(|model| (model.name, model.version)).collect()
    };
    let pairs = |pairs: &[(&str, u32)]| -> Vec<(String, u32)> {
        pairs.iter().map(|&(name, version)| (name.into(), version)).collect()
    };
    assert_eq!(page(None, None), pairs(&[("a", 1), ("a", 2), ("b", 9)]));
    assert_eq!(page(None, Some(("b", 9))), pairs(&[("b", 10)]));
    assert_eq!(page(Some("b"), None), pairs(&[("b", 9), ("b", 10)]));
    assert_eq!(page(Some("b"), Some(("b", 9))), pairs(&[("b", 10)]));
}

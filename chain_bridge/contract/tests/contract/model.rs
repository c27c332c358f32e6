//! register_model, promote_model, deprecate_model and what may be asked of them.

use atlas::msg::{ExecuteMsg, QueryMsg};
use atlas::state::{Model, ModelStatus};
use atlas::ContractError;

use crate::messages::{create_job, register_model};
use crate::suite::{attribute, Suite};

/// alice owns job 1, bob job 2.
fn suite() -> Suite {
    let mut suite = Suite::new();
    suite.pay("alice", create_job("k", 1, 1, 1), 2);
    suite.pay("bob", create_job("k", 1, 1, 1), 2);
    suite
}

/// alice has versions 1 and 2 of "m".
fn two_versions() -> Suite {
    let mut suite = suite();
    suite.run("alice", register_model("m", 1, 1));
    suite.run("alice", register_model("m", 2, 1));
    suite
}

fn promote(version: u32) -> ExecuteMsg {
    ExecuteMsg::PromoteModel { name: "m".into(), version }
}

fn deprecate(version: u32) -> ExecuteMsg {
    ExecuteMsg::DeprecateModel { name: "m".into(), version }
}

impl Suite {
    fn model_status(&self, version: u32) -> ModelStatus {
        self.ask::<Model>(QueryMsg::Model { name: "m".into(), version }).status
    }

    fn current(&self) -> Option<u32> {
        let query = QueryMsg::CurrentModel { name: "m".into() };
        self.ask::<Option<Model>>(query).map(|model| model.version)
    }
}

#[test]
fn a_model_names_a_result_of_a_job() {
    let mut suite = suite();
    let model = Model {
        name: "m".into(),
        version: 3,
        cid: "bafymodel".into(),
        job: 1,
        parent: Some("bafyparent".into()),
        metrics: Some("bafymetrics".into()),
        status: ModelStatus::Registered,
    };
    let Model { name, version, cid, job, parent, metrics, .. } = model.clone();
    let message = ExecuteMsg::RegisterModel { name, version, cid, job, parent, metrics };
    let response = suite.run("alice", message);
    assert_eq!(attribute(&response, "action").unwrap(), "register_model");
    assert_eq!(attribute(&response, "job_id").unwrap(), "1");
    assert_eq!(attribute(&response, "version").unwrap(), "3");
    assert_eq!(suite.ask::<Model>(QueryMsg::Model { name: "m".into(), version: 3 }), model);
    assert_eq!(suite.current(), None);
}

#[test]
fn a_version_is_registered_once() {
    let mut suite = two_versions();
    let expected = ContractError::ModelExists { name: "m".into(), version: 2 };
    assert_eq!(suite.refusal("alice", register_model("m", 2, 1)), expected);
}

#[test]
fn a_name_belongs_to_its_first_registrant() {
    let mut suite = two_versions();
    let (owner, sender) = (suite.address("alice"), suite.address("bob"));
    let expected = || ContractError::NotModelOwner {
        name: "m".into(),
        owner: owner.clone(),
        sender: sender.clone(),
    };
    for message in [register_model("m", 3, 2), promote(1), deprecate(1)] {
        assert_eq!(suite.refusal("bob", message), expected());
    }
    suite.run("bob", register_model("n", 1, 2));
}

#[test]
fn a_model_is_of_the_senders_job() {
    let mut suite = suite();
    let sender = suite.address("bob");
    let expected = ContractError::NotJobOwner { sender, job: 1 };
    assert_eq!(suite.refusal("bob", register_model("m", 1, 1)), expected);
    let expected = ContractError::JobNotFound { job: 9 };
    assert_eq!(suite.refusal("bob", register_model("m", 1, 9)), expected);
}

#[test]
fn a_model_has_a_name_and_content() {
    let mut suite = suite();
    for field in ["name", "cid", "parent", "metrics"] {
        let value = |name: &str| if name == field { String::new() } else { name.to_string() };
        let message = ExecuteMsg::RegisterModel {
            name: value("name"),
            version: 1,
            cid: value("cid"),
            job: 1,
            parent: Some(value("parent")),
            metrics: Some(value("metrics")),
        };
        let expected = ContractError::TextLength { field, length: 0, max: 256 };
        assert_eq!(suite.refusal("alice", message), expected);
    }
}

#[test]
fn one_version_is_the_current_one() {
    let mut suite = two_versions();
    let response = suite.run("alice", promote(1));
    assert_eq!(attribute(&response, "action").unwrap(), "promote_model");
    assert_eq!((suite.current(), suite.model_status(1)), (Some(1), ModelStatus::Promoted));
    suite.run("alice", promote(1));
    assert_eq!((suite.current(), suite.model_status(1)), (Some(1), ModelStatus::Promoted));
    suite.run("alice", promote(2));
    assert_eq!((suite.current(), suite.model_status(2)), (Some(2), ModelStatus::Promoted));
    assert_eq!(suite.model_status(1), ModelStatus::Registered);
}

#[test]
fn a_deprecated_version_is_not_current() {
    let mut suite = two_versions();
    suite.run("alice", promote(2));
    let response = suite.run("alice", deprecate(1));
    assert_eq!(attribute(&response, "action").unwrap(), "deprecate_model");
    assert_eq!((suite.current(), suite.model_status(1)), (Some(2), ModelStatus::Deprecated));
    suite.run("alice", deprecate(2));
    assert_eq!((suite.current(), suite.model_status(2)), (None, ModelStatus::Deprecated));
    for version in [1, 2] {
        let expected = ContractError::ModelDeprecated { name: "m".into(), version };
        assert_eq!(suite.refusal("alice", promote(version)), expected);
        let expected = ContractError::ModelDeprecated { name: "m".into(), version };
        assert_eq!(suite.refusal("alice", deprecate(version)), expected);
    }
    suite.run("alice", register_model("m", 3, 1));
    suite.run("alice", promote(3));
    assert_eq!(suite.current(), Some(3));
}

#[test]
fn an_unknown_version_is_neither_promoted_nor_deprecated() {
    let mut suite = two_versions();
    for message in [promote(9), deprecate(9)] {
        let expected = ContractError::ModelNotFound { name: "m".into(), version: 9 };
        assert_eq!(suite.refusal("alice", message), expected);
    }
    for length in [0, 257, 70_000] {
        let name = "m".repeat(length);
        let expected = ContractError::TextLength { field: "name", length, max: 256 };
        let message = ExecuteMsg::PromoteModel { name: name.clone(), version: 1 };
        assert_eq!(suite.refusal("alice", message), expected);
        for query in [
            QueryMsg::Model { name: name.clone(), version: 1 },
            QueryMsg::CurrentModel { name: name.clone() },
            QueryMsg::Models { name: Some(name.clone()), start_after: None, limit: None },
            QueryMsg::Models { name: None, start_after: Some((name.clone(), 1)), limit: None },
        ] {
            let error = suite.try_ask::<serde_json::Value>(&query).unwrap_err();
            assert!(error.contains(&format!("has {length} bytes")), "{error}");
        }
    }
}

#[test]
fn models_come_in_pages() {
    let mut suite = two_versions();
    suite.run("bob", register_model("n", 1, 2));
    let page = |name: Option<&str>, start_after: Option<(&str, u32)>, limit| {
        let query = QueryMsg::Models {
            name: name.map(String::from),
            start_after: start_after.map(|(name, version)| (name.into(), version)),
            limit,
        };
        let models = suite.ask::<Vec<Model>>(query).into_iter();
        models.map(|model| format!("{}{}", model.name, model.version)).collect::<Vec<_>>()
    };
    assert_eq!(page(None, None, None), ["m1", "m2", "n1"]);
    assert_eq!(page(None, Some(("m", 1)), Some(1)), ["m2"]);
    assert_eq!(page(None, Some(("m", 2)), None), ["n1"]);
    assert_eq!(page(Some("m"), None, None), ["m1", "m2"]);
    assert_eq!(page(Some("m"), Some(("m", 1)), None), ["m2"]);
    assert_eq!(page(Some("x"), None, None), [""; 0]);
}

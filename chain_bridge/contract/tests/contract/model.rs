//! register_model.

use atlas::msg::{ExecuteMsg, QueryMsg};
use atlas::state::Model;
use atlas::ContractError;

use crate::messages::{create_job, register_model};
use crate::suite::{attribute, Suite};

fn suite() -> Suite {
    let mut suite = Suite::new();
    suite.pay("alice", create_job("k", 1, 1, 1), 2);
    suite.pay("bob", create_job("k", 1, 1, 1), 2);
    suite
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
    };
    let Model { name, version, cid, job, parent } = model.clone();
    let message = ExecuteMsg::RegisterModel { name, version, cid, job, parent };
    let response = suite.run("alice", message);
    assert_eq!(attribute(&response, "action").unwrap(), "register_model");
    assert_eq!(suite.ask::<Model>(QueryMsg::Model { name: "m".into(), version: 3 }), model);
}

#[test]
fn a_version_is_registered_once() {
    let mut suite = suite();
    suite.run("alice", register_model("m", 1, 1));
    suite.run("alice", register_model("m", 2, 1));
    let expected = ContractError::ModelExists { name: "m".into(), version: 2 };
    assert_eq!(suite.refusal("alice", register_model("m", 2, 1)), expected);
}

#[test]
fn a_name_belongs_to_its_first_registrant() {
    let mut suite = suite();
    suite.run("alice", register_model("m", 1, 1));
    let (owner, sender) = (suite.address("alice"), suite.address("bob"));
    let expected = ContractError::NotModelOwner { name: "m".into(), owner, sender };
    assert_eq!(suite.refusal("bob", register_model("m", 2, 2)), expected);
    suite.run("bob", register_model("n", 1, 2));
}

#[test]
fn a_model_has_a_name_and_content() {
    let mut suite = suite();
    for field in ["name", "cid", "parent"] {
        let value = |name: &str| if name == field { String::new() } else { name.to_string() };
        let message = ExecuteMsg::RegisterModel {
            name: value("name"),
            version: 1,
            cid: value("cid"),
            job: 1,
            parent: Some(value("parent")),
        };
        let expected = ContractError::TextLength { field, length: 0, max: 256 };
        assert_eq!(suite.refusal("alice", message), expected);
    }
}

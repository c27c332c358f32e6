//! One step of a random story, for each message that there is.

use atlas::msg::{ConfigChange, ExecuteMsg, SignedBeat};
use atlas::state::NodeKind;
use cosmwasm_std::{Binary, Uint128};
use cw_ownable::Action;
use k256::ecdsa::signature::Signer;
use k256::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha256};

use crate::messages;
use crate::suite::{ABANDON, AUDIT, CHALLENGE, MIN_STAKE, PEOPLE, UNBONDING};
use crate::world::{Dice, Order, World};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    Wait,
    Register,
    UpdateNode,
    Stake,
    Retire,
    Unjail,
    Heartbeats,
    HeartbeatBatch,
    CreateJob,
    TopUp,
    EndJob,
    Assign,
    Reassign,
    Complete,
    Release,
    Expire,
    Rollback,
    Submit,
    Challenge,
    Decide,
    Settle,
    Claim,
    Withdraw,
    Announce,
    Drop,
    Audit,
    Answer,
    Model,
    Administer,
}

/// How often each step comes.
pub const WEIGHTS: [(u32, Step); 29] = [
    (9, Step::Wait),
    (2, Step::Register),
    (1, Step::UpdateNode),
    (5, Step::Stake),
    (1, Step::Retire),
    (1, Step::Unjail),
    (12, Step::Heartbeats),
    (2, Step::HeartbeatBatch),
    (2, Step::CreateJob),
    (2, Step::TopUp),
    (1, Step::EndJob),
    (14, Step::Assign),
    (3, Step::Reassign),
    (14, Step::Complete),
    (3, Step::Release),
    (3, Step::Expire),
    (1, Step::Rollback),
    (9, Step::Submit),
    (8, Step::Challenge),
    (5, Step::Decide),
    (6, Step::Settle),
    (4, Step::Claim),
    (3, Step::Withdraw),
    (4, Step::Announce),
    (2, Step::Drop),
    (3, Step::Audit),
    (3, Step::Answer),
    (3, Step::Model),
    (3, Step::Administer),
];

impl World {
    pub fn step(&mut self, step: Step, dice: &mut Dice) {
        self.number += 1;
        match step {
            Step::Wait => {
                let seconds = match dice.of(10) {
                    8 => CHALLENGE,
                    9 => ABANDON + 1,
                    _ => 1 + u64::from(dice.of(20)),
                };
                self.suite.wait(seconds);
            }
            Step::Heartbeats => {
                for name in PEOPLE {
                    self.send(dice, (name.into(), ExecuteMsg::Heartbeat {}, 0));
                }
            }
            Step::Submit => self.submit(dice),
            Step::Administer => {
                for order in self.administer(dice) {
                    self.send(dice, order);
                }
            }
            _ => {
                self.perhaps_wait(step, dice);
                let order = self.of_node(step, dice);
                let order = order.or_else(|| self.of_job(step, dice));
                let order = order.or_else(|| self.of_round(step, dice));
                if let Some(order) = order.or_else(|| self.of_content(step, dice)) {
                    self.send(dice, order);
                }
            }
        }
    }

    /// Some steps are for later, and would mostly be refused without this.
    fn perhaps_wait(&mut self, step: Step, dice: &mut Dice) {
        match step {
            Step::Settle if dice.of(2) == 1 => self.suite.wait(CHALLENGE),
            Step::Claim if dice.of(3) == 2 => self.suite.wait(ABANDON + 1),
            Step::Stake | Step::Unjail if dice.of(6) == 5 => self.suite.wait(UNBONDING),
            Step::Answer if dice.of(4) == 3 => self.suite.wait(AUDIT),
            _ => {}
        }
    }

    fn of_node(&self, step: Step, dice: &mut Dice) -> Option<Order> {
        let who = dice.person();
        let small = u128::from(dice.of(9));
        let (message, funds) = match step {
            Step::Register => {
                let kind = if dice.of(4) == 3 { NodeKind::Storage } else { NodeKind::Compute };
                (
                    registration(&who, kind, 3 - dice.of(4)),
                    MIN_STAKE + small - u128::from(dice.unlikely()),
                )
            }
            Step::UpdateNode => {
                let capacity = Some(4 - dice.of(5));
                (ExecuteMsg::UpdateNode { capacity, manifest: None, public_key: None }, 0)
            }
            Step::Stake => match dice.of(3) {
                0 => (ExecuteMsg::AddStake {}, small),
                1 => (ExecuteMsg::WithdrawStake { amount: Uint128::new(small) }, 0),
                _ => (ExecuteMsg::ClaimStake {}, 0),
            },
            Step::Retire => (ExecuteMsg::DeregisterNode {}, 0),
            Step::Unjail => (ExecuteMsg::Unjail {}, MIN_STAKE + small),
            Step::HeartbeatBatch => (self.signed_beats(dice), 0),
            Step::Withdraw => match dice.of(2) {
                0 => (ExecuteMsg::Withdraw {}, 0),
                _ => (ExecuteMsg::WithdrawFor { addresses: self.creditors(dice) }, 0),
            },
            _ => return None,
        };
        Some((who, message, funds))
    }

    fn signed_beats(&self, dice: &mut Dice) -> ExecuteMsg {
        let nodes = (0..=dice.of(3)).filter_map(|_| self.some_node(dice)).collect::<Vec<_>>();
        let beat = |id: u32, name: String, dice: &mut Dice| {
            let at = self.suite.now() + u64::from(dice.of(70)) - 5;
            let text = format!("atlas-heartbeat:{}:{id}:{at}", self.suite.contract);
            let signer = if dice.unlikely() { "mallory" } else { &name };
            let signature: Signature = key(signer).sign(text.as_bytes());
            SignedBeat { node: id, at, signature: signature.to_bytes().to_vec().into() }
        };
        let beats = nodes.iter().map(|node| beat(node.id, self.name(&node.owner), dice)).collect();
        ExecuteMsg::HeartbeatBatch { beats }
    }

    fn creditors(&self, dice: &mut Dice) -> Vec<String> {
        let of = |name: &&&str| self.suite.credit(name) > 0 || dice.unlikely();
        PEOPLE.iter().filter(of).map(|name| self.suite.address(name).into_string()).collect()
    }

    fn of_content(&self, step: Step, dice: &mut Dice) -> Option<Order> {
        if step == Step::Model {
            let (name, version) = (format!("model-{}", dice.of(2)), 1 + dice.of(2));
            let job = self.some_job(dice)?;
            let message = match dice.of(4) {
                0 | 1 => messages::register_model(&name, version, job.id),
                2 => ExecuteMsg::PromoteModel { name, version },
                _ => ExecuteMsg::DeprecateModel { name, version },
            };
            return Some((self.name(&job.owner), message, 0));
        }
        let nodes = self.suite.nodes();
        let node = dice.prefer(&nodes, |node| node.kind == NodeKind::Storage)?;
        let owner = self.name(&node.owner);
        let held = dice.choose(&self.suite.holdings(node.id));
        let cid = held.map_or("bafy0".into(), |held| held.cid);
        let answer = if dice.unlikely() { "wrong" } else { "answer" };
        Some(match step {
            Step::Announce => {
                let cids = (0..=dice.of(2)).map(|_| format!("bafy{}", dice.of(5))).collect();
                (owner, ExecuteMsg::AnnounceStorage { cids }, 0)
            }
            Step::Drop => (owner, ExecuteMsg::DropStorage { cids: vec![cid] }, 0),
            Step::Audit => {
                let nonce = Binary::from([1; 16]);
                let answer_hash = Sha256::digest(b"answer").to_vec().into();
                let message = ExecuteMsg::OpenAudit { cid, node: node.id, nonce, answer_hash };
                ("admin".into(), message, 0)
            }
            Step::Answer => match dice.of(3) {
                0 => (dice.person(), ExecuteMsg::ExpireAudit { cid, node: node.id }, 0),
                _ => {
                    let answer = Binary::from(answer.as_bytes());
                    (owner, ExecuteMsg::AnswerAudit { cid, answer }, 0)
                }
            },
            _ => return None,
        })
    }

    fn administer(&self, dice: &mut Dice) -> Vec<Order> {
        let by_admin = |message| ("admin".to_string(), message, 0);
        let pause = |paused| by_admin(ExecuteMsg::Pause { paused });
        match dice.of(4) {
            0 => {
                let disturbed = messages::create_job("in-a-pause", 1, 1, 1);
                vec![pause(true), (dice.person(), disturbed, 2), pause(false)]
            }
            1 => {
                let seconds = Some(u64::from(dice.of(120)));
                let slash_bps = Some(dice.of(12_000));
                let change = match dice.of(3) {
                    0 => ConfigChange { challenge_seconds: seconds, ..Default::default() },
                    1 => ConfigChange { slash_bps, ..Default::default() },
                    _ => ConfigChange { unbonding_seconds: seconds, ..Default::default() },
                };
                vec![by_admin(ExecuteMsg::UpdateConfig { change })]
            }
            2 => {
                let amount = Uint128::from(1 + dice.of(3));
                let to = self.suite.address(&dice.person()).into_string();
                vec![by_admin(ExecuteMsg::WithdrawTreasury { to, amount })]
            }
            _ => {
                let new_owner = self.suite.address("admin").into_string();
                let transfer = Action::TransferOwnership { new_owner, expiry: None };
                let actions = [transfer, Action::AcceptOwnership].map(ExecuteMsg::UpdateOwnership);
                actions.map(by_admin).into()
            }
        }
    }
}

/// With the public key that the signed heartbeats are signed with.
pub fn registration(who: &str, kind: NodeKind, capacity: u32) -> ExecuteMsg {
    let public_key = Some(key(who).verifying_key().to_sec1_bytes().to_vec().into());
    ExecuteMsg::RegisterNode { kind, capacity, manifest: "bafymanifest".into(), public_key }
}

/// A key that everybody can know.
fn key(name: &str) -> SigningKey {
    SigningKey::from_slice(&Sha256::digest(name)).unwrap()
}

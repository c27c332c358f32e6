//! cancel_job, close_job.

use atlas::msg::ExecuteMsg;
use atlas::state::JobState;
use atlas::ContractError;

use crate::job::top_up;
use crate::messages::{
    assign, complete, create_job, expire, reassign, register, release, settle, submit,
};
use crate::suite::{attribute, Suite, CHALLENGE, MIN_STAKE};

#[test]
fn closing_refunds_what_is_free() {
    let mut suite = Suite::new();
    suite.pay("bob", register(4), MIN_STAKE);
    suite.pay("alice", create_job("k", 3, 2, 5), 41);
    let close = || ExecuteMsg::CloseJob { job: 1 };
    let unsettled =
        |reserved: u128| ContractError::JobUnsettled { job: 1, reserved: reserved.into() };
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1)]));
    suite.run("alice", complete(1, 1, &[(0, 1)]));
    suite.run("alice", submit(1, 1, 1, &[(1, 1)]));
    assert_eq!(suite.refusal("alice", close()), unsettled(10));
    suite.wait(CHALLENGE);
    suite.run("dave", settle(1, 1));
    // The lease that was left over ends as any other.
    assert_eq!(suite.refusal("alice", close()), unsettled(5));
    suite.run("dave", expire(1, 1, 10));
    let response = suite.run("alice", ExecuteMsg::CloseJob { job: 1 });
    assert_eq!(attribute(&response, "refunded").unwrap(), "36");
    let job = suite.job(1);
    assert_eq!((job.state, job.paid.u128(), job.refunded.u128()), (JobState::Closed, 5, 36));
    assert_eq!((suite.credit("alice"), suite.credit("bob")), (36, 5));
}

#[test]
fn a_closed_job_takes_no_more_work() {
    let mut suite = Suite::new();
    suite.pay("bob", register(4), MIN_STAKE);
    suite.pay("alice", create_job("k", 3, 2, 5), 40);
    suite.run("alice", ExecuteMsg::CloseJob { job: 1 });
    for message in
        [complete(1, 1, &[(0, 1)]), submit(1, 1, 1, &[(1, 1)]), ExecuteMsg::CloseJob { job: 1 }]
    {
        assert_eq!(suite.refusal("alice", message), ContractError::JobClosed { job: 1 });
    }
    let closed = ContractError::JobNotOpen { job: 1, state: JobState::Closed };
    for message in [assign(1, 1, &[(2, 1, 1)]), ExecuteMsg::CancelJob { job: 1 }] {
        assert_eq!(suite.refusal("alice", message), closed);
    }
    assert_eq!(suite.send("alice", &top_up(1, "t"), 1).unwrap_err(), closed);
}

#[test]
fn a_cancelled_job_refunds_what_is_free_and_pays_what_was_leased() {
    let mut suite = Suite::new();
    suite.pay("bob", register(4), MIN_STAKE);
    suite.pay("alice", create_job("k", 3, 2, 5), 40);
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1), (2, 1, 1)]));
    suite.run("alice", complete(1, 1, &[(0, 1)]));
    let response = suite.run("alice", ExecuteMsg::CancelJob { job: 1 });
    assert_eq!(attribute(&response, "refunded").unwrap(), "25");
    let job = suite.job(1);
    assert_eq!((job.state, job.refunded.u128()), (JobState::Cancelled, 25));

    let cancelled = ContractError::JobNotOpen { job: 1, state: JobState::Cancelled };
    for message in
        [assign(1, 1, &[(3, 1, 1)]), reassign(1, 1, &[(1, 1, 2)]), ExecuteMsg::CancelJob { job: 1 }]
    {
        assert_eq!(suite.refusal("alice", message), cancelled);
    }
    assert_eq!(suite.send("alice", &top_up(1, "t"), 1).unwrap_err(), cancelled);

    suite.run("alice", complete(1, 1, &[(1, 1)]));
    suite.run("bob", release(1, 1, &[(2, 1)]));
    suite.run("alice", submit(1, 1, 2, &[(1, 2)]));
    suite.wait(CHALLENGE);
    suite.run("dave", settle(1, 1));
    suite.run("alice", ExecuteMsg::CloseJob { job: 1 });
    assert_eq!((suite.credit("alice"), suite.credit("bob")), (30, 10));
}

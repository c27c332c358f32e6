//! The leases of one round that one message touches: what it needs is loaded once, and saved once if it changed.

use std::collections::BTreeMap;

use cosmwasm_std::{Env, OverflowError, OverflowOperation, StdResult, Storage, Uint128};

use crate::checks;
use crate::error::ContractError;
use crate::fleet::{Fleet, NEGLECT};
use crate::state::{
    Batch, Config, Job, Lease, LeaseState, Page, Progress, Work, ACCOUNTS, BATCHES, PAGES,
    PAGE_SLOTS, PROGRESS, WORK,
};

pub struct Leases {
    pub id: u64,
    pub round: u32,
    pub job: Job,
    pub now: u64,
    pub fleet: Fleet,
    pub progress: Progress,
    progress_changed: bool,
    pages: BTreeMap<u32, Changing<Page>>,
    work: BTreeMap<u32, Changing<Work>>,
    batches: BTreeMap<u32, Batch>,
    /// Leases that this message began, and that it ended without a result.
    begun: u32,
    freed: u32,
}

#[derive(Default)]
struct Changing<T> {
    value: T,
    changed: bool,
}

impl Leases {
    /// Errors: JobNotFound.
    pub fn load(
        storage: &dyn Storage,
        env: &Env,
        config: &Config,
        id: u64,
        round: u32,
    ) -> Result<Self, ContractError> {
        let now = env.block.time.seconds();
        Ok(Self {
            id,
            round,
            job: checks::load_job(storage, id)?,
            now,
            fleet: Fleet::new(config, now),
            progress: PROGRESS.may_load(storage, (id, round))?.unwrap_or_default(),
            progress_changed: false,
            pages: BTreeMap::new(),
            work: BTreeMap::new(),
            batches: BTreeMap::new(),
            begun: 0,
            freed: 0,
        })
    }

    /// The last lease of a slot.
    pub fn find(&mut self, storage: &dyn Storage, slot: u32) -> StdResult<Option<Lease>> {
        let page = &self.page(storage, slot)?.value;
        let Some(mut lease) = page.get(place(slot)).copied().flatten() else { return Ok(None) };
        if self.progress.is_completed(slot) {
            lease.state = LeaseState::Completed;
        }
        Ok(Some(lease))
    }

    /// The active lease of a slot at exactly this attempt.
    /// Errors: LeaseNotFound, WrongAttempt, LeaseNotActive.
    pub fn active(
        &mut self,
        storage: &dyn Storage,
        slot: u32,
        attempt: u32,
    ) -> Result<Lease, ContractError> {
        let (job, round) = (self.id, self.round);
        let lease =
            self.find(storage, slot)?.ok_or(ContractError::LeaseNotFound { job, round, slot })?;
        if lease.attempt != attempt {
            let expected = lease.attempt;
            return Err(ContractError::WrongAttempt { slot, expected, found: attempt });
        }
        if lease.state != LeaseState::Active {
            return Err(ContractError::LeaseNotActive { slot, state: lease.state });
        }
        Ok(lease)
    }

    /// Whether nobody else may take the slot: active, not past its deadline, and its node is heard of.
    pub fn is_live(&mut self, storage: &dyn Storage, lease: &Lease) -> Result<bool, ContractError> {
        Ok(lease.state == LeaseState::Active
            && self.now <= self.batch(storage, lease.batch)?.until
            && self.fleet.is_heard_of(storage, lease.node)?)
    }

    pub fn batch(&mut self, storage: &dyn Storage, number: u32) -> StdResult<&Batch> {
        let batch = match self.batches.remove(&number) {
            Some(batch) => batch,
            None => BATCHES.load(storage, (self.id, self.round, number))?,
        };
        Ok(self.batches.entry(number).or_insert(batch))
    }

    /// Stores what the leases that are about to begin share, and returns its number.
    pub fn begin_batch(&mut self, storage: &mut dyn Storage, batch: Batch) -> StdResult<u32> {
        let number = self.progress.batches;
        self.progress.batches += 1;
        self.progress_changed = true;
        BATCHES.save(storage, (self.id, self.round, number), &batch)?;
        self.batches.insert(number, batch);
        Ok(number)
    }

    /// A new active lease takes a place of its node.
    pub fn begin(
        &mut self,
        storage: &dyn Storage,
        slot: u32,
        lease: Lease,
    ) -> Result<(), ContractError> {
        self.fleet.standing_mut(storage, lease.node)?.used += 1;
        self.work(storage, lease.node)?.active += 1;
        self.begun += 1;
        Ok(self.put(storage, slot, lease)?)
    }

    /// An active lease ends, gives its node the place back, and moves the node's reputation.
    pub fn end(
        &mut self,
        storage: &dyn Storage,
        slot: u32,
        lease: Lease,
        outcome: LeaseState,
    ) -> Result<(), ContractError> {
        self.fleet.free_place(storage, lease.node)?;
        let work = self.work(storage, lease.node)?;
        work.active =
            work.active.checked_sub(1).ok_or(OverflowError::new(OverflowOperation::Sub))?;
        if outcome == LeaseState::Completed {
            return self.complete(storage, slot, lease.node);
        }
        if outcome == LeaseState::Expired {
            self.fleet.blame(storage, lease.node, NEGLECT)?;
        }
        self.freed += 1;
        Ok(self.put(storage, slot, Lease { state: outcome, ..lease })?)
    }

    fn complete(
        &mut self,
        storage: &dyn Storage,
        slot: u32,
        node: u32,
    ) -> Result<(), ContractError> {
        let work = self.work(storage, node)?;
        work.completed += 1;
        if work.completed == 1 {
            self.progress.nodes += 1;
        }
        self.progress.set_completed(slot);
        self.progress.completed_at = self.now;
        self.progress_changed = true;
        self.fleet.praise(storage, node)
    }

    /// Saves what changed. An active lease reserves the job's reward; one without a result frees it.
    /// Errors: EscrowSpent.
    pub fn save(self, storage: &mut dyn Storage) -> Result<(), ContractError> {
        let (id, round) = (self.id, self.round);
        if self.begun != self.freed {
            let mut account = ACCOUNTS.load(storage, id)?;
            account.release(self.job.reward.checked_mul(Uint128::from(self.freed))?)?;
            account.reserve(id, self.job.reward.checked_mul(Uint128::from(self.begun))?)?;
            ACCOUNTS.save(storage, id, &account)?;
        }
        for (number, page) in self.pages.into_iter().filter(|(_, page)| page.changed) {
            PAGES.save(storage, (id, round, number), &page.value)?;
        }
        for (node, work) in self.work.into_iter().filter(|(_, work)| work.changed) {
            save_work(storage, node, id, round, &work.value)?;
        }
        if self.progress_changed {
            PROGRESS.save(storage, (id, round), &self.progress)?;
        }
        self.fleet.save(storage)
    }

    fn page(&mut self, storage: &dyn Storage, slot: u32) -> StdResult<&mut Changing<Page>> {
        let number = slot / PAGE_SLOTS;
        let page = match self.pages.remove(&number) {
            Some(page) => page,
            None => {
                let value = PAGES.may_load(storage, (self.id, self.round, number))?;
                Changing { value: value.unwrap_or_default(), changed: false }
            }
        };
        Ok(self.pages.entry(number).or_insert(page))
    }

    fn put(&mut self, storage: &dyn Storage, slot: u32, lease: Lease) -> StdResult<()> {
        let page = self.page(storage, slot)?;
        let place = place(slot);
        if page.value.len() <= place {
            page.value.resize(place + 1, None);
        }
        page.value[place] = Some(lease);
        page.changed = true;
        Ok(())
    }

    fn work(&mut self, storage: &dyn Storage, node: u32) -> StdResult<&mut Work> {
        let mut work = match self.work.remove(&node) {
            Some(work) => work,
            None => {
                let value = WORK.may_load(storage, (node, (self.id, self.round)))?;
                Changing { value: value.unwrap_or_default(), changed: false }
            }
        };
        work.changed = true;
        Ok(&mut self.work.entry(node).or_insert(work).value)
    }
}

/// Saves a node's part in a round, or removes it when nothing is left.
pub fn save_work(
    storage: &mut dyn Storage,
    node: u32,
    job: u64,
    round: u32,
    work: &Work,
) -> StdResult<()> {
    if *work == Work::default() {
        WORK.remove(storage, (node, (job, round)));
        return Ok(());
    }
    WORK.save(storage, (node, (job, round)), work)
}

fn place(slot: u32) -> usize {
    (slot % PAGE_SLOTS) as usize
}

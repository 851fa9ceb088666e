//! The worker runtime: takes jobs from a queue's store, runs their handlers, and tells the store how they ended.
//!
//! ```text
//!             slots                                     settlements (bounded)
//!   claim ──▶ deliveries (bounded) ──▶ apalis ──▶ execute ──▶ settle ──▶ store
//!     ▲                                              ▲           ▲
//!   wake-ups, polling          renew ── cancel, lost ┘           └── reap: leases that have run out
//! ```
//!
//! Each box is a task of its own, so that none waits for another's round trip. A slot is taken before a claim and given
//! back once the job's settlement is handed over; nothing else limits what runs. Whose jobs a claim asks for first is a matter
//! of the queues' weights and of what they hold (`turn`). "Now" is the store's clock: the worker
//! measures durations only, and counts a lease from before the call that made it.

mod apalis;
mod backoff;
mod claim;
mod execute;
mod handler;
mod lease;
mod metric;
mod op;
mod options;
mod reap;
mod renew;
mod run;
mod settle;
mod shared;
mod turn;

pub use execute::CANCEL_GRACE;
pub use handler::{CheckpointError, Context, Handler, Handlers};
pub use options::{Options, OptionsError, worker_id};
pub use run::{Drained, RunError, run};

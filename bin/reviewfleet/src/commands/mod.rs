pub mod config;
pub mod cron;
pub mod dead_letters;
pub mod demo;
pub mod enqueue;
pub mod jobs;
pub mod migrate;
pub mod prune;
pub mod queues;
mod report;
pub mod up;

pub use report::percentile;

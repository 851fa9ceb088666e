use serde::{Deserialize, Serialize};

/// What every job carries: the size and shape of a job that tells of a pull request.
#[derive(Clone, Serialize, Deserialize)]
pub struct Payload {
    repo: String,
    pr: u32,
    sha: String,
    tier: String,
    installation: u32,
}

impl Payload {
    /// The same for every job, so that its making costs the same for every queue.
    pub fn new() -> Self {
        Self {
            repo: "acme/widgets".to_owned(),
            pr: 123,
            sha: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            tier: "PRO".to_owned(),
            installation: 42,
        }
    }

    /// As the queues write it into their tables.
    pub fn json() -> String {
        serde_json::json!(Self::new()).to_string()
    }
}

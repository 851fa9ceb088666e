use std::time::Duration;

use anyhow::Result;
use fleet::{ApiAccess, Config, Intake};
use limits::Limits;

/// What the API is told by the configuration.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Who may use `/v1/`. Of keys there are more than one while they are rotated; with none, nobody is let in.
    pub access: ApiAccess,
    /// Most bytes of a request's body.
    pub body_max_bytes: usize,
    /// How long a body may take to arrive, and then again how long the answer may take.
    pub request_timeout: Duration,
    /// Most requests under `/v1/` at once; one more is answered 503.
    pub in_flight_max: usize,
    /// Makes jobs of what is posted.
    pub intake: Intake,
    /// How often a caller may ask.
    pub limits: Limits,
}

impl ApiSettings {
    /// Reads them from the configuration. Fails where it says nothing of who may use the API.
    pub fn of(config: &Config) -> Result<Self> {
        Ok(Self {
            access: config.api_access()?,
            body_max_bytes: config.api.body_max_bytes,
            request_timeout: config.api.request_timeout,
            in_flight_max: config.api.in_flight_max,
            intake: Intake::of(config)?,
            limits: config.limits.limits(),
        })
    }
}

//! `workers.toml` and the environment to one checked [`Config`], and from it the opened stores, the telemetry and the
//! stop signal that every process of the fleet starts with.
//!
//! Only this crate reads the environment and TOML, and only it picks a backend.

mod config;
mod depth;
mod environment;
mod fleet;
mod http;
mod intake;
mod process;
mod program;
mod review_job;
mod shutdown;

pub mod telemetry;

pub use config::{
    ApiAccess, ApiConfig, ComplexityConfig, Config, ConfigError, CronConfig, ForgeConfig, ForgeKind, GroupConfig,
    LimitsConfig, LogFormat, LongPromptConfig, Mistake, ModelConfig, ModelName, NameError, OnModelFailure,
    OutputLimitField, Provider, QueueConfig, REVIEW_QUEUE, RateConfig, ResponseFormat, RetryConfig, ReviewConfig,
    RoutingConfig, Secrets, StoreConfig, TelemetryConfig, ThinkingLevel, ThrottleConfig, TierConfig, TierName,
    USER_CLASS, UrlFrom, VariableName, WhenRedisIsAway, WorkerConfig,
};
pub use depth::watch_depth;
pub use environment::Environment;
pub use fleet::{Fleet, OpenError, Place};
pub use http::{ConnectionLimits, ListenError, PeerAddress, listen, serve_http};
pub use intake::{Intake, IntakeError, PULL_REQUEST_ALLOWED, Push, Refusal, USER_ALLOWED};
pub use process::{host_name, install_tls};
pub use program::{Colour, ProcessOptions, run_program};
pub use review_job::ReviewJob;
pub use shutdown::{Interrupted, Shutdown};
pub use telemetry::{Telemetry, TelemetryError};

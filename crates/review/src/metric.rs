use metrics::{Unit, describe_counter, describe_histogram};

pub const STAGE_SECONDS: &str = "reviewfleet_review_stage_seconds";
pub const MODEL_CALLS: &str = "reviewfleet_model_calls_total";
pub const MODEL_TOKENS: &str = "reviewfleet_model_tokens_total";
pub const MODEL_COST: &str = "reviewfleet_model_cost_micros_total";

/// Says in `/metrics` what the pipeline's metrics mean.
pub fn describe() {
    describe_histogram!(STAGE_SECONDS, Unit::Seconds, "Time of a stage of a review, by stage.");
    describe_counter!(MODEL_CALLS, "Calls of a model, by what came of them.");
    describe_counter!(MODEL_TOKENS, "Tokens that calls of a model were charged for, by direction.");
    describe_counter!(MODEL_COST, "Price of a model's calls, in millionths of a dollar.");
}

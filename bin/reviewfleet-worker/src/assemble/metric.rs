use metrics::{Unit, describe_counter, describe_histogram};

/// Says in `/metrics` what the pipeline's metrics mean.
pub fn describe() {
    describe_histogram!("reviewfleet_review_stage_seconds", Unit::Seconds, "Time of a stage of a review, by stage.");
    describe_counter!("reviewfleet_model_calls_total", "Calls of a model, by what came of them.");
    describe_counter!("reviewfleet_model_tokens_total", "Tokens that calls of a model were charged for, by direction.");
    describe_counter!("reviewfleet_model_cost_micros_total", "Price of a model's calls, in millionths of a dollar.");
}

//! Language models behind their providers' wires, what they cost, and which one is asked.

mod breaker;
mod gemini;
mod http;
mod openai;
mod prices;
mod router;
mod setup;

#[cfg(test)]
mod testing;

pub use breaker::BreakerSettings;
pub use gemini::{Gemini, GeminiSettings, Thinking};
pub use http::{Client, ClientError, HttpSettings};
pub use openai::{OpenAi, OpenAiSettings, OutputLimitField, ResponseFormat};
pub use prices::{LongPromptPrices, ModelPrices};
pub use router::{PricedModel, RouteError, Router, Routes};
pub use setup::SetupError;

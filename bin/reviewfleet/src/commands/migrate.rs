use std::time::Duration;

use anyhow::Result;
use fleet::{Config, Fleet, Place};
use serde_json::json;

use crate::output::Output;

/// Opening the stores makes them, or brings them to this program's schema; a newer one is refused.
pub async fn run(mut config: Config, out: &mut Output) -> Result<()> {
    // Whoever has typed it would rather read at once what is wrong.
    config.store.connect_wait = Duration::ZERO;
    let fleet = Fleet::open(config).await?;
    let place = Place::of(&fleet.config.store).to_string();
    if out.is_json() {
        out.object(&json!({ "store": place, "result": "up to date" }))?;
    } else {
        out.line(format_args!("queue and ledger in {place} have this program's schema"))?;
    }
    Ok(())
}

use anyhow::Result;
use fleet::{Config, Fleet};
use serde_json::json;

use crate::output::Output;

/// Opening the stores makes them, or brings them to this program's schema; a newer one is refused.
pub async fn run(config: Config, out: &mut Output) -> Result<()> {
    let fleet = Fleet::open(config).await?;
    let data_dir = &fleet.config.store.data_dir;
    if out.is_json() {
        out.object(&json!({ "data_dir": data_dir, "result": "up to date" }))?;
    } else {
        out.line(format_args!("the databases in {} have this program's schema", data_dir.display()))?;
    }
    Ok(())
}

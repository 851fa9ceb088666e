use std::{fmt::Write, path::Path};

use super::FakeModel;

/// Writes the `workers.toml` of a folder: `acme/widgets` lies at this path, the queue is looked at often, and these lines
/// are part of `[worker]`; `more` are tables of their own.
pub fn configure(dir: &Path, repository: &Path, worker: &str, more: &str) {
    let config = format!(
        "[worker]\npoll_interval_ms = 100\n{worker}\n[forge.repositories]\n\"acme/widgets\" = {:?}\n{more}",
        repository.to_str().unwrap()
    );
    std::fs::write(dir.join("workers.toml"), config).unwrap();
}

/// The tables of models, asked in turn for every change. Each gives up a call after so many seconds, and tries it once.
pub fn asking(models: &[&FakeModel], timeout_secs: u32) -> String {
    let mut config = String::new();
    for (i, model) in models.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = write!(
            config,
            "[models.fake{i}]\nprovider = \"openai\"\nmodel = \"fake-1\"\nbase_url = {:?}\n\
             input_usd_per_million_tokens = 1.0\noutput_usd_per_million_tokens = 2.0\n\
             timeout_secs = {timeout_secs}\nretries = 0\n",
            model.base_url
        );
    }
    let fallbacks: Vec<String> = (1..models.len()).map(|i| format!("fake{i}")).collect();
    let _ = writeln!(
        config,
        "[routing]\nsimple = \"fake0\"\nmedium = \"fake0\"\ncomplex = \"fake0\"\nfallbacks = {fallbacks:?}"
    );
    config
}

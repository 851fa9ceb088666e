//! The cases, one module for each group of promises. Each is named as the fact that it proves.

#![expect(missing_docs, reason = "a case's name is the fact that it proves")]

pub mod batches;
pub mod checkpoints;
pub mod counts;
pub mod cron;
pub mod dead_letters;
pub mod durable;
pub mod fenced;
pub mod groups;
pub mod limits;
pub mod operator;
pub mod order;
pub mod prompt;
pub mod races;
pub mod retries;
pub mod scheduled;
pub mod settings;
pub mod text;
pub mod throttles;
pub mod unique;
pub mod versions;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    /// Names behind a mark, up to what cannot be part of a name.
    fn names(text: &str, mark: &str) -> BTreeSet<String> {
        let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        text.split(mark).skip(1).map(name).collect()
    }

    #[test]
    fn every_case_is_in_the_list_that_backends_run() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let list = fs::read_to_string(source.join("lib.rs")).unwrap();
        for file in fs::read_dir(source.join("cases")).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            for case in names(&text, "\npub async fn ") {
                assert!(list.contains(&format!("                {case},\n")), "{case} is in no list");
            }
        }
    }
}

use std::{fmt, path::PathBuf, time::Duration};

use postgres::Address;
use serde::{Deserialize, Deserializer, de::Error};

use super::{
    Config, ConfigError,
    value::{secs, whole},
};
use crate::Environment;

/// The database of queue and ledger, and the server's own address beside a pooler's.
const URL: &str = "DATABASE_URL";
const LISTEN_URL: &str = "DATABASE_LISTEN_URL";
/// The command line's name for the first.
const URL_OPTION: &str = "--database-url";

/// `[store]`: where queue and ledger are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct StoreConfig {
    /// The Postgres database of both; without one, they are files in `data_dir`.
    #[serde(deserialize_with = "without_password")]
    pub url: Option<Address>,
    /// Who has named the database.
    #[serde(skip)]
    pub url_from: UrlFrom,
    /// The server's own address where `url` is that of a pooler: wake-ups do not come through one in transaction mode.
    #[serde(deserialize_with = "without_password")]
    pub listen_url: Option<Address>,
    /// Whether `url` is that of a pooler in transaction mode.
    pub transaction_pooler: bool,
    /// Most connections of an API process, the listener's among them.
    #[serde(deserialize_with = "whole::<2, 1_000, _, _>")]
    pub api_connections: u32,
    /// Most connections of a worker process, the listener's among them.
    #[serde(deserialize_with = "whole::<2, 1_000, _, _>")]
    pub worker_connections: u32,
    /// How long a process that starts waits for the database to be there.
    #[serde(rename = "connect_wait_secs", deserialize_with = "secs::<0, 3_600, _>")]
    pub connect_wait: Duration,
    /// Folder of the embedded databases; made when it is not there. Relative to the file that names it.
    pub data_dir: PathBuf,
}

/// Who has named a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UrlFrom {
    /// `store.url`
    #[default]
    File,
    /// `DATABASE_URL`, or the file that `DATABASE_URL_FILE` names.
    Environment,
    /// `--database-url`
    CommandLine,
}

impl fmt::Display for UrlFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "store.url",
            Self::Environment => URL,
            Self::CommandLine => URL_OPTION,
        })
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: None,
            url_from: UrlFrom::File,
            listen_url: None,
            transaction_pooler: false,
            api_connections: 20,
            worker_connections: 2,
            connect_wait: Duration::from_secs(30),
            data_dir: "reviewfleet-data".into(),
        }
    }
}

impl StoreConfig {
    /// Takes the addresses from the environment, which goes before the file.
    pub(super) fn take_environment(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        if let Some(address) = address_in(environment, URL)? {
            self.url = Some(address);
            self.url_from = UrlFrom::Environment;
        }
        if let Some(address) = address_in(environment, LISTEN_URL)? {
            self.listen_url = Some(address);
        }
        Ok(())
    }
}

impl Config {
    /// Puts the database that the command line names, if it names one, before the environment's and the file's.
    pub fn with_database(mut self, url: Option<&str>) -> Result<Self, ConfigError> {
        if let Some(url) = url {
            let what = |e: postgres::AddressError| ConfigError::Option { option: URL_OPTION, what: e.to_string() };
            self.store.url = Some(url.parse().map_err(what)?);
            self.store.url_from = UrlFrom::CommandLine;
        }
        Ok(self)
    }

    /// Keeps queue and ledger in files of this folder, whatever database was named.
    pub fn embed_in(&mut self, data_dir: impl Into<PathBuf>) {
        self.store.url = None;
        self.store.data_dir = data_dir.into();
    }

    /// Lets a database count only that the caller of the process has named, for what is to run out of the box: the file may
    /// be the shipped one, and nobody has set its database up. Answers the one that does not count.
    pub fn pass_over_database_of_file(&mut self) -> Option<Address> {
        self.store.url.take_if(|_| self.store.url_from == UrlFrom::File)
    }
}

fn address_in(environment: &Environment, variable: &str) -> Result<Option<Address>, ConfigError> {
    use secrecy::ExposeSecret;
    let Some(url) = environment.secret(variable)? else { return Ok(None) };
    url.expose_secret()
        .parse()
        .map(Some)
        .map_err(|e: postgres::AddressError| ConfigError::environment(variable, e.to_string()))
}

/// An address in the file, which others may read.
fn without_password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    let address: Address = String::deserialize(deserializer)?.parse().map_err(D::Error::custom)?;
    if address.has_password() {
        return Err(D::Error::custom(
            "a password does not belong in this file: name the whole address in DATABASE_URL (DATABASE_LISTEN_URL for \
             listen_url), or the password alone in PGPASSWORD or ~/.pgpass",
        ));
    }
    Ok(Some(address))
}

use std::{fmt, str::FromStr};

use sqlx::postgres::PgConnectOptions;

/// Statements that a connection keeps prepared: more than any part of this workspace has.
const STATEMENTS_MAX: usize = 64;
/// Most bytes of an address: a longer one was given by mistake.
const BYTES_MAX: usize = 2_000;

/// Where a database is, as `postgres://user:password@host:port/name?parameter=value`. What is left out comes from libpq's
/// own variables (`PGHOST`, `PGUSER`, `PGPASSWORD`, …), the password from `~/.pgpass` too. Shown without its password.
#[derive(Clone)]
pub struct Address {
    text: String,
    // On the heap, since it is large and an address is part of much.
    options: Box<PgConnectOptions>,
    has_password: bool,
}

/// Why a text is no address. Never repeats the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected postgres://user@host:port/database, with special characters of user and password as %XX")]
pub struct AddressError;

impl Address {
    /// The address as it was given, with its password: for a library that connects by itself.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether the text holds a password.
    pub const fn has_password(&self) -> bool {
        self.has_password
    }

    /// Another database of the same server.
    pub(crate) fn with_database(&self, name: &str) -> Self {
        let (place, parameters) = self.text.split_once('?').unwrap_or((&self.text, ""));
        let (scheme, rest) = place.split_once("://").unwrap_or(("postgres", place));
        let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
        // A parameter stands over the path.
        let others = parameters.split('&').filter(|p| !p.is_empty() && !p.starts_with("dbname="));
        let others: Vec<_> = others.collect();
        let separator = if others.is_empty() { "" } else { "?" };
        Self {
            text: format!("{scheme}://{authority}/{name}{separator}{}", others.join("&")),
            options: Box::new((*self.options).clone().database(name)),
            has_password: self.has_password,
        }
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let rest =
            rest.filter(|_| text.len() <= BYTES_MAX && !text.contains(char::is_whitespace)).ok_or(AddressError)?;
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, _) = place.split_once('/').unwrap_or((place, ""));
        let has_password = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
            || parameters.split('&').any(|p| p.starts_with("password="));
        // The parser logs parameters that it does not know, with their values, and goes on: here they are refused.
        if !parameters.split('&').all(is_known) {
            return Err(AddressError);
        }
        let options = text.parse::<PgConnectOptions>().map_err(|_| AddressError)?;
        let options = options.application_name("reviewfleet").statement_cache_capacity(STATEMENTS_MAX);
        Ok(Self { text: text.to_owned(), options: Box::new(options), has_password })
    }
}

fn is_known(parameter: &str) -> bool {
    const KNOWN: [&str; 19] = [
        "",
        "sslmode",
        "ssl-mode",
        "sslrootcert",
        "ssl-root-cert",
        "ssl-ca",
        "sslcert",
        "ssl-cert",
        "sslkey",
        "ssl-key",
        "statement-cache-capacity",
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "password",
        "application_name",
        "options",
    ];
    let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
    KNOWN.contains(&name) || name.starts_with("options[")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let database = options.get_database().unwrap_or(options.get_username());
        let user = options.get_username();
        if let Some(socket) = options.get_socket() {
            return write!(f, "postgres://{user}@/{database}?host={}", socket.display());
        }
        write!(f, "postgres://{user}@{}:{}/{database}", options.get_host(), options.get_port())
    }
}

// Derived, it would show the password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Address {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for text in [
            "postgres://ann:s3cret-word@db.example.com:5433/fleet",
            "postgresql://ann@db.example.com:5433/fleet?password=s3cret-word",
            "postgres://ann:s3cret-word@db.example.com:5433/fleet?sslmode=require",
        ] {
            let address: Address = text.parse().unwrap();
            assert!(address.has_password(), "{text}");
            assert_eq!(address.to_string(), "postgres://ann@db.example.com:5433/fleet");
            assert_eq!(format!("{address:?}"), "\"postgres://ann@db.example.com:5433/fleet\"");
            assert_eq!(address.expose(), text);
        }
        assert!(!"postgres://ann@h/fleet".parse::<Address>().unwrap().has_password());
        assert!(!"postgres://h:5432/fleet".parse::<Address>().unwrap().has_password());
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in [
            "",
            "h:5432/fleet",
            "mysql://ann:s3cret-word@h/fleet",
            "postgres://ann:s3cret-word@h:port/fleet",
            "postgres://ann:s3cret word@h/fleet",
            "postgres://ann:s3cret-word@h/fleet?sslmode=perhaps",
            "postgres://ann@h/fleet?passwort=s3cret-word",
            &format!("postgres://ann@h/{}", "x".repeat(BYTES_MAX)),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}

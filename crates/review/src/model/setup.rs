use std::fmt;

use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};

/// A model whose settings cannot work. The value is left out: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("model {model}: its {field} {problem}")]
pub struct SetupError {
    /// The model's name in the configuration.
    pub model: String,
    /// Which setting.
    pub field: &'static str,
    /// What is wrong with it, and what is allowed.
    pub problem: &'static str,
}

/// A key as it goes out: a header that is marked sensitive, so that neither this program nor its HTTP library shows it.
#[derive(Clone)]
pub(super) struct Credential {
    pub(super) header: HeaderName,
    pub(super) value: HeaderValue,
    key: SecretString,
}

impl Credential {
    pub(super) fn new(model: &str, header: HeaderName, scheme: &str, key: &SecretString) -> Result<Self, SetupError> {
        let error = |problem| SetupError { model: model.to_owned(), field: "key", problem };
        let key_text = key.expose_secret();
        let unusable = || error("cannot stand in a header: expected are visible ASCII characters, at least one");
        if key_text.is_empty() || !key_text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(unusable());
        }
        let mut value = HeaderValue::from_str(&format!("{scheme}{key_text}")).map_err(|_| unusable())?;
        value.set_sensitive(true);
        Ok(Self { header, value, key: key.clone() })
    }

    /// Takes the key out of a text that a provider wrote.
    pub(super) fn scrub(&self, text: &str) -> String {
        text.replace(self.key.expose_secret(), "[key]")
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.header)
    }
}

/// The address of an endpoint. A base without a path gets the provider's usual one; a base with a path keeps it, so that
/// gateways and other API versions can be named.
pub(super) fn endpoint(model: &str, base_url: &str, usual_path: &str, rest: &str) -> Result<Url, SetupError> {
    let error = |problem| SetupError { model: model.to_owned(), field: "base_url", problem };
    let mut url = Url::parse(base_url).map_err(|_| error("is no URL: expected such as https://host/v1"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(error("has no usable scheme: allowed are http and https, with a host"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(error("has credentials, a query or a fragment: a key belongs into the key setting"));
    }
    let path = url.path().trim_end_matches('/');
    let path = format!("{}/{rest}", if path.is_empty() { usual_path } else { path });
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use reqwest::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn a_base_without_a_path_gets_the_usual_one_and_any_other_keeps_its_own() {
        let of = |base: &str| endpoint("m", base, "/v1", "chat/completions").unwrap().to_string();
        assert_eq!(of("http://localhost:8000"), "http://localhost:8000/v1/chat/completions");
        assert_eq!(of("http://localhost:8000/"), "http://localhost:8000/v1/chat/completions");
        assert_eq!(of("https://gateway/v1/"), "https://gateway/v1/chat/completions");
        assert_eq!(of("https://gateway/team/a/v2"), "https://gateway/team/a/v2/chat/completions");
    }

    #[test]
    fn a_base_url_that_cannot_work_or_holds_a_secret_is_refused_without_showing_it() {
        for base in
            ["", "localhost:8000", "ftp://host", "https://user:hunter2@host", "https://host/?key=hunter2", "/v1"]
        {
            let error = endpoint("m", base, "/v1", "x").unwrap_err();
            assert_eq!(error.field, "base_url", "{base}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_key_is_shown_nowhere() {
        let credential = Credential::new("m", AUTHORIZATION, "Bearer ", &"hunter2".into()).unwrap();
        assert!(!format!("{credential:?} {:?}", credential.value).contains("hunter2"));
        assert_eq!(credential.scrub("key hunter2 is wrong"), "key [key] is wrong");
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused() {
        for key in ["", "two\nlines", "two words", "sn\u{f6}"] {
            let refused = Credential::new("m", AUTHORIZATION, "Bearer ", &key.into());
            assert_eq!(refused.map(|_| ()).unwrap_err().field, "key", "{key:?}");
        }
    }
}

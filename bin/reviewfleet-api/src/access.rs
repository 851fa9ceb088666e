use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header, uri::Authority},
    middleware::Next,
    response::Response,
};
use fleet::ApiAccess;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::problem::{Problem, ProblemKind};

/// Who is let in.
pub(crate) enum Gate {
    /// Keys as digests: of equal length whatever the keys are, so that the time of a comparison says nothing about them.
    Keys(Vec<[u8; 32]>),
    Loopback,
}

impl Gate {
    pub(crate) fn new(access: &ApiAccess) -> Self {
        match access {
            ApiAccess::Keys(keys) => Self::Keys(keys.iter().map(|key| digest(key.expose_secret())).collect()),
            ApiAccess::AnonymousLoopback => Self::Loopback,
        }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self {
            Self::Keys(known) => match bearer(headers) {
                Some(key) if holds(known, key) => Ok(()),
                Some(_) => {
                    Err(Problem::new(ProblemKind::WrongKey, "The bearer key is not one that this service knows."))
                }
                None => Err(Problem::new(
                    ProblemKind::MissingKey,
                    "The request needs a header of the form 'Authorization: Bearer KEY'.",
                )),
            },
            Self::Loopback if names_loopback(headers) => Ok(()),
            Self::Loopback => Err(Problem::new(
                ProblemKind::ForeignHost,
                "Without a key the service answers only to localhost, 127.0.0.1 and [::1] as its host.",
            )),
        }
    }
}

/// Lets requests through that may use the service.
pub(crate) async fn require_access(
    State(gate): State<Arc<Gate>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    gate.check(request.headers())?;
    Ok(next.run(request).await)
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn holds(known: &[[u8; 32]], key: &str) -> bool {
    let key = digest(key);
    // Every key is compared, whichever fits.
    known.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&key)).into()
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// A web page of another host, whose name someone has pointed at this machine, would be a program of this machine as
/// well: its browser gives it away by the host that it names.
fn names_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    host.is_some_and(|host| {
        let name = host.host().trim_matches(['[', ']']);
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

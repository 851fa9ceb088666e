//! How often a caller may ask: by address before the key is looked at, by key once it is known to be one, by user once the post
//! is read.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use fleet::PeerAddress;
use limits::{Limiter, NotLet, Scope};

use crate::{
    access::bearer,
    problem::{Problem, ProblemKind},
};

/// Of an address of IPv6, the part that names a network: within it, one machine may have as many as it likes.
const NETWORK: u128 = u128::MAX << 64;

/// Keeps addresses to their rate.
pub(crate) async fn limit_address(
    State(limiter): State<Arc<Limiter>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(PeerAddress(peer)) = request.extensions().get().copied() {
        take(&limiter, Scope::Address, &network(peer.ip()).to_string()).await?;
    }
    Ok(next.run(request).await)
}

/// Keeps API keys to their rate.
pub(crate) async fn limit_key(
    State(limiter): State<Arc<Limiter>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(key) = bearer(request.headers()) {
        take(&limiter, Scope::ApiKey, key).await?;
    }
    Ok(next.run(request).await)
}

/// Takes one request of a caller's rate.
pub(crate) async fn take(limiter: &Limiter, scope: Scope, name: &str) -> Result<(), Problem> {
    let (rate, wait) = match limiter.take(scope, name).await {
        Ok(()) => return Ok(()),
        Err(NotLet::TooOften { rate, wait, .. }) => (rate, wait),
        Err(NotLet::Away) => {
            let detail =
                "The service's limits cannot be looked at, and it does not go on without them. Repeat the request.";
            return Err(Problem::new(ProblemKind::LimitsUnavailable, detail));
        }
    };
    let secs = whole_secs(wait);
    let (requests, period_secs) = (rate.requests(), rate.period_secs());
    let who = match scope {
        Scope::User => "The user",
        Scope::ApiKey => "The key",
        Scope::Address => "The address",
    };
    let detail = format!("{who} may make {requests} requests in {period_secs} s. Repeat the request in {secs} s.");
    Err(Problem::new(ProblemKind::TooManyRequests { scope: scope.as_str(), secs, requests, period_secs }, detail))
}

/// Rounded up, so that who waits for it is not early.
pub(crate) fn whole_secs(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
        address @ IpAddr::V4(_) => address,
    }
}

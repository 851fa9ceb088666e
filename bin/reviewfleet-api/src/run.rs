use std::time::Duration;

use anyhow::Context;
use axum::Router;
use fleet::{ApiConfig, ConnectionLimits, Shutdown};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Api, router};

/// How often `/metrics` learns the queues' depth: more often than Prometheus asks, which is every 15 s by custom.
const DEPTH_INTERVAL: Duration = Duration::from_secs(5);

/// Serves the API at the configured address until the shutdown is requested. Publishes the queues' depth meanwhile: by
/// it a fleet is scaled up that has no worker running.
pub async fn run(api: Api, config: &ApiConfig, shutdown: &Shutdown) -> anyhow::Result<()> {
    let listener = fleet::listen(config.listen, "api.listen").await?;
    run_on(listener, api, config, shutdown.token().clone()).await
}

/// As [`run`], on a listener that is bound already.
pub async fn run_on(
    listener: TcpListener,
    api: Api,
    config: &ApiConfig,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    // For a Redis that is spoken to by TLS.
    fleet::install_tls();
    let depth = fleet::watch_depth(api.queue.clone(), DEPTH_INTERVAL, stop.clone());
    serve_within(listener, router(api), connection_limits(config), stop).await?;
    depth.await.context("the watch over the queues' depth has failed")
}

/// Serves a router until `stop`; see [`fleet::serve_http`].
pub async fn serve_within(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let service = TowerToHyperService::new(router);
    fleet::serve_http(listener, service, limits, stop).await.context("the listener has no address")
}

/// The default limits, widened so that no connection is cut off within what its request may take.
fn connection_limits(config: &ApiConfig) -> ConnectionLimits {
    let default = ConnectionLimits::default();
    ConnectionLimits {
        // As many again may wait between two requests, so that one request too many is still refused and not left waiting.
        connections_max: default.connections_max.max(config.in_flight_max.saturating_mul(2)),
        // A body may take the timeout, and its answer again.
        drain: default.drain.max(config.request_timeout * 3),
        ..default
    }
}

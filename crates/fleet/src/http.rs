//! The server below every process that answers HTTP: the API, and a worker that is scraped.

use std::{error::Error, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long accepting rests after a fault such as too many open files, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Bounds of the server's connections. What happens within a request has bounds of its own.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Most connections at once; further ones wait in the listener's backlog.
    pub connections_max: usize,
    /// How long a request's head may take, the wait between two requests included.
    pub head_timeout: Duration,
    /// How long a connection is used before it is closed at the end of the request in hand.
    pub lifetime: Duration,
    /// How long the request in hand may take when the connection is to be closed, at a stop too.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            // Beside the stores' own files it stays below the usual limit of 1,024 open ones.
            connections_max: 512,
            // Longer than the 15 s between two scrapes, so that Prometheus keeps its connection.
            head_timeout: Duration::from_secs(20),
            lifetime: Duration::from_mins(5),
            // Longer than a body and an answer may take, shorter than the 30 s that orchestrators give a stop.
            drain: Duration::from_secs(15),
        }
    }
}

/// An address that cannot be listened on: it is in use, or none of this machine's.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({key})")]
pub struct ListenError {
    address: SocketAddr,
    key: &'static str,
    source: io::Error,
}

/// Binds an address that the configuration names under a key.
pub async fn listen(address: SocketAddr, key: &'static str) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { address, key, source })
}

/// Where a request comes from, among its extensions: the other end of its connection, which may be a proxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// Serves a service until `stop`. Then no connection is accepted any more, requests in hand are answered within
/// [`ConnectionLimits::drain`], and the function returns. Fails at once where the listener has no address.
pub async fn serve_http<S, B>(
    listener: TcpListener,
    service: S,
    limits: ConnectionLimits,
    stop: CancellationToken,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let address = listener.local_addr()?;
    tracing::info!(%address, "serving HTTP");
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    // The permit comes before the connection, so that what cannot be served waits in the listener's backlog.
    while let Some(Ok(permit)) = stop.run_until_cancelled(permits.clone().acquire_owned()).await {
        match stop.run_until_cancelled(listener.accept()).await {
            Some(Ok((stream, peer))) => {
                let (service, stop) = (service.clone(), stop.clone());
                let service = service_fn(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(PeerAddress(peer));
                    service.call(request)
                });
                connections.spawn(async move {
                    connection(stream, service, limits, stop).await;
                    drop(permit);
                });
            }
            Some(Err(error)) => rest_after(&error, &stop).await,
            None => break,
        }
    }
    // Closed at once, so that callers go elsewhere while the last requests are answered.
    drop(listener);
    connections.close();
    tracing::info!(connections = connections.len(), "no longer accepting; answering what is in hand");
    connections.wait().await;
    Ok(())
}

async fn rest_after(error: &io::Error, stop: &CancellationToken) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset};
    // These are the caller's affair alone.
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset) {
        tracing::warn!(%error, "a connection could not be accepted");
        stop.run_until_cancelled(sleep(ACCEPT_PAUSE)).await;
    }
}

async fn connection<S, B>(stream: TcpStream, service: S, limits: ConnectionLimits, stop: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Answers are written whole: there is nothing to wait for more of.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone before it was served");
        return;
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout);
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = serving.as_mut() => Some(served),
        () = stop.cancelled() => None,
        () = sleep(limits.lifetime) => None,
    };
    let served = if let Some(served) = served {
        Ok(served)
    } else {
        serving.as_mut().graceful_shutdown();
        timeout(limits.drain, serving).await
    };
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_) => tracing::debug!(limit = ?limits.drain, "a connection was cut off with a request in hand"),
    }
}

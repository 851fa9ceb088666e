//! What happens to a body that nobody has read to its end, because the request was refused before.
//!
//! Where a server closes a connection that still has something to be read, the system resets it: the caller may lose the
//! answer, or send its next request into a connection that is gone. So the answer says that the connection ends with it,
//! and what is still coming is read and thrown away, within bounds, while the answer is on its way.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Error,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use hyper::body::{Frame, SizeHint};
use tokio::{
    sync::oneshot::{self, Sender},
    time::timeout,
};

/// Most bytes of a refused body that are thrown away. A caller that sends more is cut off, with the answer perhaps unread.
const THROWN_AWAY_MAX_BYTES: usize = 16 * 1024 * 1024;
/// How long a refused body is waited for: some megabytes over a slow line, and no burden where a caller sends nothing.
const THROWN_AWAY_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers a request, and sees to what is left of its body.
pub(crate) async fn see_to_unread_body(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let awaits_leave = request.headers().contains_key(header::EXPECT);
    let (give_back, mut rest) = oneshot::channel();
    let lend = |body| Body::new(Lent { body, has_begun: false, give_back: Some(give_back) });
    let mut response = next.run(request.map(lend)).await;
    // Nothing comes back of a body that was read to its end.
    if let Ok(rest) = rest.try_recv() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        // A caller that has asked whether to send its body sends none: reading on would ask it to.
        if rest.has_begun || !awaits_leave {
            tokio::spawn(timeout(THROWN_AWAY_TIMEOUT, throw_away(rest.body)));
        }
    }
    response
}

async fn throw_away(mut body: Body) {
    let mut bytes = 0;
    while bytes <= THROWN_AWAY_MAX_BYTES
        && let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Body,
    has_begun: bool,
    give_back: Option<Sender<Rest>>,
}

struct Rest {
    body: Body,
    has_begun: bool,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.has_begun = true;
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        // After a fault there is no rest that could come.
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.give_back = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(give_back) = self.give_back.take()
            && !self.body.is_end_stream()
        {
            let body = std::mem::take(&mut self.body);
            // Nobody waits for it where the request itself was dropped.
            let _ = give_back.send(Rest { body, has_begun: self.has_begun });
        }
    }
}

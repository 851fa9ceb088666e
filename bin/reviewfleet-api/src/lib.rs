//! The enqueue API: takes a review job over HTTP, answers once it is durable, and shows what became of it.
//!
//! | route | answer |
//! | --- | --- |
//! | `POST /v1/reviews` | 202 with the job's id; the same change posted twice is one job |
//! | `GET /v1/jobs/{id}` | where the job stands |
//! | `DELETE /v1/jobs/{id}` | 202 once the job is cancelled or told to stop; 409 when it has ended |
//! | `GET /v1/reviews/{id}` | the review as JSON, or as Markdown where `Accept` names `text/markdown` first |
//! | `GET /healthz` | 200 while the process lives |
//! | `GET /readyz` | 200 while a job would be stored durably and the ledger answers |
//! | `GET /metrics` | Prometheus' text format |
//!
//! A post has `repository`, `head` and `user`, and may have `base`, `tier`, and, both or neither, `pull_request` (its number,
//! from 1 to 2147483647) and `pushed_at` (when the head was pushed, RFC 3339). With these two, only the newest push of a pull
//! request is reviewed: the job of an older one is cancelled while it waits and told to stop while it runs
//! (`cancelled_because` says `superseded`), and an older push that is posted late is answered 202 with `superseded` and the
//! newer one's job. The time is compared with those of other posts alone: of the same push it must always be the same.
//!
//! Everything under `/v1/` needs a bearer key, unless the service is open to all programs of its machine. A W3C `traceparent` is carried to the job; one that is malformed is
//! ignored, as its specification asks. Every answer has an `X-Request-Id`: the caller's, where it is 1 to 128 characters
//! `a-z A-Z 0-9 . _ -`, else a new one.
//!
//! A request that is refused before its body was read to the end is answered with `Connection: close`. Up to 16 MiB of the
//! body are still taken in and thrown away, so that a caller which sends first and reads then finds the answer.
//!
//! # Problems
//!
//! Every error is a problem document of RFC 9457 (`application/problem+json`), whose `type` is one of these. The names
//! are stable. A request that is no HTTP at all is refused by the HTTP library below, with a bare 400 or 431.
//!
//! | type | status | meaning |
//! | --- | --- | --- |
//! | `/problems/invalid-json` | 400 | the body is no JSON; `detail` has line and column |
//! | `/problems/unreadable-body` | 400 | the body's transfer broke off |
//! | `/problems/missing-key` | 401 | no bearer key was sent |
//! | `/problems/wrong-key` | 401 | the bearer key is none of the configured ones |
//! | `/problems/no-such-route` | 404 | nothing is served under the path |
//! | `/problems/no-such-job` | 404 | there is no such job, or it is forgotten |
//! | `/problems/no-such-review` | 404 | there is no such review |
//! | `/problems/method-not-allowed` | 405 | `Allow` names the methods that the path takes |
//! | `/problems/slow-body` | 408 | the body did not arrive in time |
//! | `/problems/already-ended` | 409 | the job has ended and cannot be cancelled |
//! | `/problems/body-too-large` | 413 | the body is over the limit |
//! | `/problems/unsupported-media-type` | 415 | the body is not `application/json` |
//! | `/problems/foreign-host` | 421 | without keys, the service answers only under its machine's own names |
//! | `/problems/not-an-object` | 422 | the body is JSON, but no object |
//! | `/problems/missing-field` | 422 | `field` is needed, perhaps only beside another |
//! | `/problems/unknown-field` | 422 | `field` is none of the allowed ones, or stands twice |
//! | `/problems/invalid-field` | 422 | `field` has a `value` that is not allowed; `allowed` says what is |
//! | `/problems/unknown-repository` | 422 | the repository is none of this service's |
//! | `/problems/throttled` | 429 | the user has had all starts of this period; `Retry-After` says when to repeat the post |
//! | `/problems/quota-used-up` | 429 | the user has had all reviews that the tier has a day (UTC); `Retry-After` says when the next begins |
//! | `/problems/too-many-requests` | 429 | the user, key or address asks more often than it may; `Retry-After`, `RateLimit` and `RateLimit-Policy` say how often that is |
//! | `/problems/internal` | 500 | a fault of the service |
//! | `/problems/busy` | 503 | too many requests are in flight |
//! | `/problems/store-unavailable` | 503 | the queue's store is away or full |
//! | `/problems/ledger-unavailable` | 503 | the ledger is away or full |
//! | `/problems/limits-unavailable` | 503 | the Redis of the limits is away, and nothing goes on without it |
//! | `/problems/timeout` | 504 | the answer took too long |
//!
//! After a 503 or 504, which say when in `Retry-After`, a post can simply be repeated: should the first have been stored
//! after all, the second is answered with its job.

mod access;
mod bounds;
mod fields;
mod health;
mod id;
mod jobs;
mod limit;
mod observe;
mod post;
mod probes;
mod problem;
mod quota;
mod reviews;
mod router;
mod run;
mod settings;
mod trace_parent;
mod unread;

pub use router::{Api, router};
pub use run::{run, run_on, serve_within};
pub use settings::ApiSettings;

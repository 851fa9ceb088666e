use std::{fmt::Write, time::Duration};

use redis_link::{Link, LinkError, Value, cmd};

use crate::{Rate, Scope, memory::Caller};

const SCRIPT: &str = include_str!("../lua/gcra.lua");

/// Takes one request of a caller's rate in Redis: `Ok(Err(wait))` where there is none.
pub(crate) async fn take(
    link: &Link,
    scope: Scope,
    caller: Caller,
    rate: Rate,
) -> Result<Result<(), Duration>, LinkError> {
    let mut key = format!("reviewfleet:limit:{}:", scope.as_str());
    for byte in caller {
        // Writing to a string does not fail.
        let _ = write!(key, "{byte:02x}");
    }
    // The script goes with every call: it is shorter than a request, and nothing has to be loaded again after a restart.
    let mut call = cmd("EVAL");
    call.arg(SCRIPT).arg(1).arg(key).arg(rate.interval_us()).arg(rate.burst());
    match link.call(&call).await? {
        Value::Array(answer) => match answer[..] {
            [Value::Int(1), ..] => Ok(Ok(())),
            [_, Value::Int(wait_us), ..] => Ok(Err(Duration::from_micros(wait_us.max(1).unsigned_abs()))),
            _ => Err(LinkError::Away),
        },
        _ => Err(LinkError::Away),
    }
}

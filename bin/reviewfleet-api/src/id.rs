use std::str::FromStr;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use crate::problem::Problem;

/// The id that a path ends in.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr, S: Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // A path whose escapes are no UTF-8 has no text to show.
        let text = Path::<String>::from_request_parts(parts, &()).await.map_or(String::new(), |Path(text)| text);
        let allowed = "a UUID such as 0198c0de-0000-7000-8000-000000000000";
        text.parse().map(Self).map_err(|_| Problem::invalid("id", &text, allowed))
    }
}

use axum::http::HeaderMap;

/// The request's W3C trace context, where it is well formed: version 00, lower-case hexadecimal digits, ids that are not
/// all zero.
pub(crate) fn trace_parent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let is_hex = |p: &&str| p.len() == digits && p.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        parts.next().filter(is_hex)
    };
    let (version, trace, span, _flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let is_set = |id: &str| id.bytes().any(|b| b != b'0');
    (version == "00" && is_set(trace) && is_set(span) && parts.next().is_none()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(text: &'static str) -> Option<String> {
        trace_parent(&HeaderMap::from_iter([("traceparent".parse().unwrap(), HeaderValue::from_static(text))]))
    }

    #[test]
    fn a_well_formed_trace_parent_is_kept_as_it_is() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(read(text).as_deref(), Some(text));
    }

    #[test]
    fn a_malformed_trace_parent_is_ignored() {
        for text in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033310-01",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

/// Reads a path that git put in quotes, C style. Gives the path and what stands behind the closing quote.
pub(super) fn unquote(text: &[u8]) -> Result<(Vec<u8>, &[u8]), &'static str> {
    let mut rest = text.strip_prefix(b"\"").ok_or("a path without its opening quote")?;
    let mut path = Vec::with_capacity(rest.len());
    loop {
        match rest {
            [b'"', behind @ ..] => return Ok((path, behind)),
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..] => {
                path.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = behind;
            }
            [b'\\', letter, behind @ ..] => {
                path.push(escaped(*letter).ok_or("an unknown escape in a quoted path")?);
                rest = behind;
            }
            [byte, behind @ ..] => {
                path.push(*byte);
                rest = behind;
            }
            [] => return Err("a quoted path without its closing quote"),
        }
    }
}

const fn escaped(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 0x0b,
        b'f' => 0x0c,
        b'r' => b'\r',
        b'"' | b'\\' => letter,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_paths_are_decoded_to_git_s_own_bytes() {
        let (path, rest) = unquote(br#""a/\303\244\t\"q\"\\x.rs" "b/y""#).unwrap();
        assert_eq!(path, "a/ä\t\"q\"\\x.rs".as_bytes());
        assert_eq!(rest, b" \"b/y\"");
    }

    #[test]
    fn a_broken_quote_is_an_error() {
        for text in [&b"\"a/x"[..], b"\"a\\", b"\"a\\q\"", b"\"a\\9\"", b"\"a\\400\"", b"\"a\\07\"", b"a", b""] {
            assert!(unquote(text).is_err(), "{text:?}");
        }
    }
}

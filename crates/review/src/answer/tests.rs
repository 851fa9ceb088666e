use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Answer, AnswerError> {
    parse_answer(text, &Finish::Stop, "fast")
}

const ONE: &str =
    r#"{"path": "src/a.rs", "line": 12, "severity": "major", "title": "Index unchecked", "body": "It panics."}"#;

fn whole() -> String {
    let second = r#"{"path":"src/\u00fc \"b\" {}.rs","start_line":3,"line":9,"severity":"note","title":"a ] } [ { b","body":"x\\","suggestion":"let a = [1];\n```"}"#;
    format!(r#"{{"findings": [{ONE}, {second}], "summary": "Ümlaut, two [things] {{}}"}}"#)
}

#[test]
fn an_answer_of_the_schema_is_read() {
    let answer = read(&whole()).unwrap();
    assert_eq!(answer.summary, "Ümlaut, two [things] {}");
    assert!(!answer.cut_off);
    let [first, second] = &answer.findings[..] else { panic!("{answer:?}") };
    assert_eq!(first.source, Source::Model("fast".to_owned()));
    assert_eq!((first.severity, first.start_line, first.line), (Severity::Major, None, Some(12)));
    assert_eq!((first.title.as_str(), first.body.as_str()), ("Index unchecked", "It panics."));
    assert_eq!(second.path, RepoPath::from("src/ü \"b\" {}.rs"));
    assert_eq!((second.start_line, second.line), (Some(3), Some(9)));
    assert_eq!(second.suggestion.as_deref(), Some("let a = [1];\n```"));
}

#[test]
fn wrapping_does_not_matter() {
    let (plain, text) = (read(&whole()).unwrap(), whole());
    for wrapped in [
        format!("```json\n{text}\n```"),
        format!("  \n```\n{text}```"),
        format!(
            "Here is my review [1] of `fn f() {{ g() }}`, see {{braces}} and {{}}:\n\n{text}\n\nI hope [it] helps."
        ),
        format!("A vector `[]` first. {text}"),
        format!("{text} The vector was `[]`."),
    ] {
        assert_eq!(read(&wrapped).unwrap(), plain, "{wrapped}");
    }
}

#[test]
fn a_bare_array_is_an_array_of_findings() {
    assert_eq!(read(&format!("[{ONE}]")).unwrap().findings, read(&whole()).unwrap().findings[..1]);
    assert_eq!(read("```json\n[]\n```").unwrap(), Answer { summary: String::new(), findings: vec![], cut_off: false });
}

#[test]
fn only_an_answer_that_says_so_has_no_findings() {
    assert_eq!(read(r#"{"findings": [], "summary": "Good."}"#).unwrap().findings, []);
    let empty = r#"{"findings": [], "summary": ""}"#;
    let cases = [
        ("", AnswerError::Empty),
        (" \n\t", AnswerError::Empty),
        ("I found no issues.", AnswerError::NoDocument),
        ("null", AnswerError::NoDocument),
        ("{}", AnswerError::NoDocument),
        ("[1, 2]", AnswerError::NoDocument),
        ("<<<<{{{{[[[", AnswerError::CutOff),
        (&format!("One: {empty}\nTwo: {empty}"), AnswerError::SeveralDocuments),
        (&format!("{empty}{empty}"), AnswerError::SeveralDocuments),
        (&format!("[{ONE}] or rather {empty}"), AnswerError::SeveralDocuments),
        (&format!("{empty} and {{\"findings\": [{ONE}"), AnswerError::SeveralDocuments),
    ];
    for (text, error) in cases {
        assert_eq!(read(text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn broken_json_is_an_error_even_if_a_part_of_it_is_whole() {
    for text in [
        format!(r#"{{"summary": oops, "findings": [{ONE}]}}"#),
        format!(r#"{{"findings": [{ONE}, {{"path": }}]}}"#),
        format!(r#"{{"findings": [{ONE} {ONE}]}}"#),
        format!(r#"{{"findings": [{ONE}]]"#),
        format!("[{{'path': 'a'}}, {ONE}]"),
        "{\"findings\": [\u{1}]}".to_owned(),
        format!("{}{}", r#"{"a":"#.repeat(5000), "}".repeat(5000)),
    ] {
        assert!(matches!(read(&text), Err(AnswerError::Malformed(_))), "{text}: {:?}", read(&text));
    }
}

#[test]
fn wrong_types_are_an_error() {
    let with = |field: &str, value: &str| {
        let mut finding: Value = serde_json::from_str(ONE).unwrap();
        finding[field] = serde_json::from_str(value).unwrap();
        read(&json!({"findings": [finding], "summary": ""}).to_string())
    };
    for (field, value) in [
        ("path", "7"),
        ("path", "null"),
        ("path", "\" \""),
        ("line", "\"12\""),
        ("line", "[12]"),
        ("start_line", "true"),
        ("severity", "3"),
        ("title", "null"),
        ("title", "\"\\n\""),
        ("body", "{}"),
        ("suggestion", "[\"x\"]"),
    ] {
        assert!(matches!(with(field, value), Err(AnswerError::WrongShape(_))), "{field} {value}");
    }
    for text in [
        r#"{"issues": []}"#,
        r#"{"findings": {}}"#,
        r#"{"findings": null}"#,
        r#"{"findings": "none"}"#,
        r#"{"findings": ["none"]}"#,
        r#"{"findings": [], "summary": []}"#,
        ONE,
    ] {
        assert!(matches!(read(text), Err(AnswerError::WrongShape(_))), "{text}");
    }
}

#[test]
fn a_number_that_is_no_line_is_none() {
    for line in ["0", "-3", "12.5", "4294967296", "1e300", "null"] {
        let text = format!(r#"[{{"path": "a", "line": {line}, "start_line": 4, "title": "t"}}]"#);
        let finding = &read(&text).unwrap().findings[0];
        assert_eq!((finding.line, finding.start_line), (None, None), "{line}");
    }
}

#[test]
fn a_range_that_does_not_grow_is_one_line() {
    for start in [9, 10] {
        let text = format!(r#"[{{"path": "a", "line": 9, "start_line": {start}, "title": "t"}}]"#);
        assert_eq!(read(&text).unwrap().findings[0].start_line, None);
    }
}

#[test]
fn an_unknown_severity_is_minor_and_case_does_not_matter() {
    for (severity, expected) in [
        ("blocker", Severity::Minor),
        ("", Severity::Minor),
        ("CRITICAL", Severity::Critical),
        (" note ", Severity::Note),
    ] {
        let text = json!([{"path": "a", "line": 1, "title": "t", "severity": severity}]).to_string();
        assert_eq!(read(&text).unwrap().findings[0].severity, expected, "{severity}");
    }
}

#[test]
fn a_suggestion_is_the_lines_alone() {
    let of = |suggestion: &str| {
        let text = json!([{"path": "a", "line": 1, "title": "t", "suggestion": suggestion}]).to_string();
        read(&text).unwrap().findings[0].suggestion.clone()
    };
    assert_eq!(of("```rust\n  let a = 1;\n```").as_deref(), Some("  let a = 1;"));
    assert_eq!(of("    indented();\n").as_deref(), Some("    indented();"));
    assert_eq!(of(""), None);
    assert_eq!(of("```\n```"), None);
    assert_eq!(of(&"x".repeat(BODY_CHARS_MAX + 1)), None);
}

#[test]
fn much_is_bounded_and_said_to_be() {
    let long = "ä".repeat(BODY_CHARS_MAX + 1);
    let finding = json!({"path": "a", "line": 1, "title": format!("two\nlines {long}"), "body": long});
    let text = json!({"findings": vec![finding; FINDINGS_MAX], "summary": long}).to_string();
    assert!(matches!(read(&text), Err(AnswerError::TooLong { .. })), "{}", text.len());

    let finding = json!({"path": "a", "line": 1, "title": format!("two\nlines {}", "ä".repeat(300)), "body": long});
    let answer = read(&json!({"findings": [finding], "summary": long}).to_string()).unwrap();
    assert_eq!(answer.findings[0].title.chars().count(), TITLE_CHARS_MAX);
    assert!(answer.findings[0].title.starts_with("two lines ä"));
    assert_eq!(answer.findings[0].body.chars().count(), BODY_CHARS_MAX);
    assert!(answer.findings[0].body.ends_with('…'));
    assert_eq!(answer.summary.chars().count(), BODY_CHARS_MAX);

    let many = format!("[{}]", vec![ONE; FINDINGS_MAX + 1].join(","));
    let answer = read(&many).unwrap();
    assert_eq!((answer.findings.len(), answer.cut_off), (FINDINGS_MAX, true));
}

#[test]
fn a_cut_off_answer_keeps_what_is_whole_and_says_so() {
    for cut in [
        format!(r#"{{"findings": [{ONE}, {{"path": "src/b.rs", "li"#),
        format!(r#"{{"findings": [{ONE},"#),
        format!(r#"{{"findings": [{ONE}], "summary": "I"#),
        format!("[{ONE}, "),
        format!("```json\n{{\"findings\": [{ONE}"),
    ] {
        for finish in [Finish::OutputLimit, Finish::Stop] {
            let answer = parse_answer(&cut, &finish, "fast").unwrap();
            assert_eq!((answer.findings.len(), answer.cut_off), (1, true), "{cut}");
        }
    }
    let nothing_found = parse_answer(r#"{"findings": [], "summary": "I"#, &Finish::OutputLimit, "fast").unwrap();
    assert_eq!((nothing_found.findings.len(), nothing_found.cut_off), (0, true));
}

#[test]
fn an_answer_cut_off_before_its_first_finding_is_an_error() {
    for cut in ["", "{", "[", r#"{"findings": ["#, r#"{"findings": [{"path": "a"#, r#"{"summary": "no issues"#] {
        assert_eq!(parse_answer(cut, &Finish::OutputLimit, "fast").unwrap_err(), AnswerError::CutOff, "{cut}");
    }
    assert_eq!(parse_answer("I think", &Finish::OutputLimit, "fast").unwrap_err(), AnswerError::NoDocument);
}

#[test]
fn a_withheld_answer_is_an_error_whatever_it_says() {
    let error = parse_answer(&whole(), &Finish::Blocked("SAFETY".to_owned()), "fast").unwrap_err();
    assert!(matches!(ModelErrorKind::from(error), ModelErrorKind::Blocked(reason) if reason == "SAFETY"));
}

#[test]
fn the_schema_stays_within_what_every_provider_takes() {
    fn depth(schema: &Value) -> usize {
        let inner = schema["properties"].as_object().into_iter().flatten().map(|(_, s)| s);
        1 + inner.chain(schema.get("items")).map(depth).max().unwrap_or_default()
    }
    let schema = answer_schema();
    assert!(depth(&schema) <= 4, "{}", depth(&schema));
    let text = schema.to_string();
    for word in ["$ref", "maxItems", "additionalProperties"] {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn no_truncation_yields_a_finding_that_is_not_in_the_whole() {
    let text = format!("Here it is:\n{}", whole());
    let all = read(&text).unwrap();
    for end in 0..=text.len() {
        let cut = String::from_utf8_lossy(&text.as_bytes()[..end]);
        let Ok(answer) = read(&cut) else { continue };
        assert!(all.findings.starts_with(&answer.findings), "{cut}");
        assert!(answer.cut_off || end == text.len(), "{cut}");
    }
}

proptest! {
    #[test]
    fn random_text_never_panics(text in any::<String>()) {
        let _ = parse_answer_text(&text);
    }

    #[test]
    fn random_json_like_text_never_panics(text in r#"([\[\]{}",:\\ 0a\n]|findings|"path"|"title":"t"){0,60}"#) {
        let _ = parse_answer_text(&text);
    }
}

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Url, header::HeaderName};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Client,
    http::{Call, Limit},
    setup::{Credential, SetupError, endpoint},
};
use crate::{Finish, LanguageModel, ModelAnswer, ModelError, ModelErrorKind, ModelRequest, TokenUsage};

/// Calls for one question: the second one because Gemini at times stops without having written anything.
const CALLS_MAX: usize = 2;

/// Most characters of a reason that the provider gave and this program does not know.
const REASON_CHARS_MAX: usize = 64;

/// Reasons for which Gemini withholds an answer.
const WITHHELD: [&str; 5] = ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"];

/// Where a Gemini model is and how it is asked.
#[derive(Debug, Clone)]
pub struct GeminiSettings {
    /// The model's name in the configuration.
    pub name: String,
    /// `https://generativelanguage.googleapis.com`, or a gateway's URL up to and with the API's version.
    pub base_url: String,
    /// The provider's name of the model.
    pub model: String,
    /// The API key.
    pub key: SecretString,
    /// How much it thinks before it writes. Thoughts are paid as output and count into its limit.
    pub thinking: Thinking,
}

/// How much a model thinks. Its generations take either a budget or a level, and refuse the other, so that this is one
/// setting and not two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Thinking {
    /// As the model does by itself.
    #[default]
    ModelDefault,
    /// Tokens; 0 for none, -1 for as many as the model likes (generation 2.5).
    Budget(i32),
    /// A level's name (generation 3 and later).
    Level(String),
}

/// Google's Gemini, by `generateContent`.
#[derive(Debug)]
pub struct Gemini {
    name: String,
    url: Url,
    credential: Credential,
    thinking: Thinking,
    client: Client,
}

impl Gemini {
    /// Checks the settings; nothing is sent.
    pub fn new(settings: GeminiSettings, client: Client) -> Result<Self, SetupError> {
        let GeminiSettings { name, base_url, model, key, thinking } = settings;
        if model.is_empty() || !model.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
            let problem = "is no model's name: allowed are a-z, A-Z, 0-9, '.', '_' and '-'";
            return Err(SetupError { model: name, field: "model", problem });
        }
        let url = endpoint(&name, &base_url, "/v1beta", &format!("models/{model}:generateContent"))?;
        let credential = Credential::new(&name, HeaderName::from_static("x-goog-api-key"), "", &key)?;
        Ok(Self { name, url, credential, thinking, client })
    }

    fn body(&self, request: &ModelRequest) -> Bytes {
        let mut config = json!({
            "responseMimeType": "application/json",
            "responseSchema": openapi(&request.schema),
            "maxOutputTokens": request.output_tokens_max,
        });
        match &self.thinking {
            Thinking::ModelDefault => {}
            Thinking::Budget(tokens) => config["thinkingConfig"] = json!({"thinkingBudget": tokens}),
            Thinking::Level(level) => config["thinkingConfig"] = json!({"thinkingLevel": level}),
        }
        let body = json!({
            "systemInstruction": {"parts": [{"text": request.system}]},
            "contents": [{"role": "user", "parts": [{"text": request.prompt}]}],
            "generationConfig": config,
        });
        Bytes::from(body.to_string())
    }
}

#[async_trait]
impl LanguageModel for Gemini {
    fn name(&self) -> &str {
        &self.name
    }

    async fn generate(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelError> {
        let mut usage = TokenUsage::default();
        let error = |kind, usage| ModelError { model: self.name.clone(), kind, usage };
        let call = Call {
            model: &self.name,
            url: &self.url,
            credential: Some(&self.credential),
            body: Some(self.body(request)),
            limit_of,
        };
        for _ in 0..CALLS_MAX {
            let body = self.client.send(&call).await.map_err(|kind| error(kind, usage))?;
            let response: Response = serde_json::from_slice(&body)
                .map_err(|e| error(ModelErrorKind::Unreadable(format!("no generateContent response: {e}")), usage))?;
            usage = usage + response.usage();
            if let Some((text, finish)) = response.written() {
                return Ok(ModelAnswer { text, finish, usage, model_version: response.model_version });
            }
        }
        Err(error(ModelErrorKind::Unreadable("it stopped without writing anything".to_owned()), usage))
    }
}

/// A JSON schema in Gemini's dialect, which spells types in capitals.
fn openapi(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let translated = fields.iter().map(|(key, value)| {
        let value = match (key.as_str(), value) {
            ("type", Value::String(name)) => Value::String(name.to_ascii_uppercase()),
            ("items", _) => openapi(value),
            ("properties", Value::Object(of)) => of.iter().map(|(name, of)| (name.clone(), openapi(of))).collect(),
            _ => value.clone(),
        };
        (key.clone(), value)
    });
    translated.collect()
}

/// What Gemini's error details say of a 429: `RetryInfo` when to come back, `QuotaFailure` which quota is used up.
fn limit_of(body: &Value) -> Limit {
    let mut limit = Limit::default();
    for detail in body["error"]["details"].as_array().into_iter().flatten() {
        if let Some(delay) = detail["retryDelay"].as_str() {
            // A protobuf duration: seconds, with a fraction, and an `s`.
            let seconds = delay.strip_suffix('s').and_then(|s| s.parse().ok());
            limit.retry_after = seconds.and_then(|s| std::time::Duration::try_from_secs_f64(s).ok());
        }
        let mut violations = detail["violations"].as_array().into_iter().flatten();
        limit.sticky |= violations.any(|v| v["quotaId"].as_str().is_some_and(|id| id.contains("PerDay")));
    }
    limit
}

// Every field may be missing: which ones depends on why the model stopped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    candidates: Option<Vec<Candidate>>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<UsageMetadata>,
    model_version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    parts: Option<Vec<Part>>,
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    thought: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
struct UsageMetadata {
    /// Cached ones included.
    #[serde(rename = "promptTokenCount")]
    prompt: Option<u64>,
    #[serde(rename = "cachedContentTokenCount")]
    cached: Option<u64>,
    /// Thoughts not included.
    #[serde(rename = "candidatesTokenCount")]
    candidates: Option<u64>,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts: Option<u64>,
}

impl Response {
    fn usage(&self) -> TokenUsage {
        let Some(usage) = &self.usage_metadata else { return TokenUsage::default() };
        let output = usage.candidates.unwrap_or_default();
        TokenUsage {
            input: usage.prompt.unwrap_or_default(),
            cached: usage.cached.unwrap_or_default(),
            output: output.saturating_add(usage.thoughts.unwrap_or_default()),
        }
    }

    /// What the model wrote and why it stopped; `None` when it says that it is done, or nothing at all, and wrote nothing.
    fn written(&self) -> Option<(String, Finish)> {
        let reason = |text: &str| text.chars().take(REASON_CHARS_MAX).collect::<String>();
        let candidate = self.candidates.iter().flatten().next();
        let Some(candidate) = candidate else {
            let block = self.prompt_feedback.as_ref()?.block_reason.as_deref()?;
            return Some((String::new(), Finish::Blocked(reason(block))));
        };
        let finish = match candidate.finish_reason.as_deref() {
            Some("STOP") => Finish::Stop,
            Some("MAX_TOKENS") => Finish::OutputLimit,
            Some(withheld) if WITHHELD.contains(&withheld) => Finish::Blocked(withheld.to_owned()),
            Some(unknown) => Finish::Other(reason(unknown)),
            None => Finish::Other("none given".to_owned()),
        };
        let text = candidate.text();
        let empty = text.is_empty() && (finish == Finish::Stop || candidate.finish_reason.is_none());
        (!empty).then_some((text, finish))
    }
}

impl Candidate {
    fn text(&self) -> String {
        let parts = self.content.iter().flat_map(|c| c.parts.iter().flatten());
        parts.filter(|p| p.thought != Some(true)).filter_map(|p| p.text.as_deref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use wiremock::ResponseTemplate;

    use super::*;
    use crate::model::testing::{self, Script};

    const KEY: &str = "hunter2-hunter2";

    fn gemini(base_url: &str, thinking: Thinking) -> Gemini {
        let settings = GeminiSettings {
            name: "fast".to_owned(),
            base_url: base_url.to_owned(),
            model: "gemini-2.5-flash".to_owned(),
            key: KEY.into(),
            thinking,
        };
        Gemini::new(settings, testing::client(testing::quick())).unwrap()
    }

    async fn ask(server: &Script) -> Result<ModelAnswer, ModelError> {
        gemini(&server.uri(), Thinking::ModelDefault).generate(&testing::request()).await
    }

    fn stopped(reason: &str, parts: &Value) -> Value {
        json!({
            "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": reason, "index": 0}],
            "usageMetadata": {"promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 7,
                              "thoughtsTokenCount": 20, "totalTokenCount": 127},
            "modelVersion": "gemini-3-flash-001",
        })
    }

    const USAGE: TokenUsage = TokenUsage { input: 100, cached: 40, output: 27 };

    #[tokio::test]
    async fn the_question_has_the_wires_shape() {
        let server = Script::json([stopped("STOP", &json!([{"text": "{}"}]))]).await;
        ask(&server).await.unwrap();
        let requests = server.requests().await;
        assert_eq!(requests[0].url.path(), "/v1beta/models/gemini-2.5-flash:generateContent");
        assert_eq!(requests[0].url.query(), None);
        assert_eq!(requests[0].headers["x-goog-api-key"], KEY);
        let body: Value = requests[0].body_json().unwrap();
        assert_eq!(body["systemInstruction"]["parts"][0]["text"], "You review.");
        assert_eq!(body["contents"], json!([{"role": "user", "parts": [{"text": "a change"}]}]));
        let config = &body["generationConfig"];
        assert_eq!(config["responseMimeType"], "application/json");
        assert_eq!(config["maxOutputTokens"], 512);
        assert_eq!(config["responseSchema"]["type"], "OBJECT");
        let finding = &config["responseSchema"]["properties"]["findings"]["items"];
        assert_eq!(finding["properties"]["line"]["type"], "INTEGER");
        assert_eq!(finding["required"][0], "path");
        assert!(config.get("thinkingConfig").is_none());
    }

    #[test]
    fn thinking_goes_out_as_a_budget_or_as_a_level() {
        let config = |thinking| {
            let body = gemini("https://host", thinking).body(&testing::request());
            serde_json::from_slice::<Value>(&body).unwrap()["generationConfig"]["thinkingConfig"].take()
        };
        assert_eq!(config(Thinking::Budget(0)), json!({"thinkingBudget": 0}));
        assert_eq!(config(Thinking::Level("low".to_owned())), json!({"thinkingLevel": "low"}));
    }

    #[tokio::test]
    async fn an_answer_is_its_parts_without_the_thoughts() {
        let parts = json!([{"text": "hm", "thought": true}, {"text": "{\"a\""}, {"inlineData": {}}, {"text": ":1}"}]);
        let answer = ask(&Script::json([stopped("STOP", &parts)]).await).await.unwrap();
        assert_eq!(answer.text, "{\"a\":1}");
        assert_eq!(answer.finish, Finish::Stop);
        assert_eq!(answer.usage, USAGE);
        assert_eq!(answer.model_version.as_deref(), Some("gemini-3-flash-001"));
    }

    #[tokio::test]
    async fn every_reason_to_stop_has_its_own_meaning() {
        let cases = [
            ("MAX_TOKENS", Finish::OutputLimit),
            ("SAFETY", Finish::Blocked("SAFETY".to_owned())),
            ("RECITATION", Finish::Blocked("RECITATION".to_owned())),
            ("BLOCKLIST", Finish::Blocked("BLOCKLIST".to_owned())),
            ("PROHIBITED_CONTENT", Finish::Blocked("PROHIBITED_CONTENT".to_owned())),
            ("SPII", Finish::Blocked("SPII".to_owned())),
            ("LANGUAGE", Finish::Other("LANGUAGE".to_owned())),
            ("A_REASON_OF_NEXT_YEAR", Finish::Other("A_REASON_OF_NEXT_YEAR".to_owned())),
        ];
        for (reason, finish) in cases {
            let mut without_content = stopped(reason, &json!([]));
            without_content["candidates"][0].as_object_mut().unwrap().remove("content");
            for (body, text) in [(stopped(reason, &json!([{"text": "part"}])), "part"), (without_content, "")] {
                let server = Script::json([body]).await;
                let answer = ask(&server).await.unwrap();
                assert_eq!((answer.text.as_str(), &answer.finish, answer.usage), (text, &finish, USAGE), "{reason}");
                assert_eq!(server.calls().await, 1, "{reason}");
            }
        }
    }

    #[tokio::test]
    async fn a_blocked_prompt_is_a_withheld_answer() {
        let body =
            json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}});
        let answer = ask(&Script::json([body]).await).await.unwrap();
        assert_eq!(answer.finish, Finish::Blocked("PROHIBITED_CONTENT".to_owned()));
        assert_eq!(answer.usage.input, 9);
    }

    #[tokio::test]
    async fn an_empty_answer_is_asked_for_once_more_and_both_calls_are_counted() {
        for empty in
            [stopped("STOP", &json!([])), stopped("STOP", &json!([{"text": ""}])), stopped("STOP", &Value::Null)]
        {
            let server = Script::json([empty, stopped("STOP", &json!([{"text": "{}"}]))]).await;
            let answer = ask(&server).await.unwrap();
            assert_eq!(answer.usage, USAGE + USAGE);
            assert_eq!(server.calls().await, 2);
        }
    }

    #[tokio::test]
    async fn an_answer_that_stays_empty_is_an_error_that_was_paid_for() {
        let server = Script::json([stopped("STOP", &json!([]))]).await;
        let error = ask(&server).await.unwrap_err();
        assert!(matches!(error.kind, ModelErrorKind::Unreadable(_)), "{error}");
        assert_eq!(error.usage, USAGE + USAGE);
        assert_eq!(server.calls().await, CALLS_MAX);
        let nothing = Script::json([json!({})]).await;
        assert!(matches!(ask(&nothing).await.unwrap_err().kind, ModelErrorKind::Unreadable(_)));
    }

    #[tokio::test]
    async fn a_failure_after_a_paid_call_still_tells_what_was_paid() {
        let empty = ResponseTemplate::new(200).set_body_json(stopped("STOP", &json!([])));
        let server = Script::new([empty, ResponseTemplate::new(400)]).await;
        let error = ask(&server).await.unwrap_err();
        assert!(matches!(error.kind, ModelErrorKind::Refused(_)), "{error}");
        assert_eq!(error.usage, USAGE);
    }

    #[tokio::test]
    async fn what_is_no_response_is_unreadable() {
        for body in ["", "<html>busy</html>", "[]", "{\"candidates\": 7}", "{\"candidates\": [{\"content\": []}"] {
            let server = Script::new([ResponseTemplate::new(200).set_body_string(body)]).await;
            let error = ask(&server).await.unwrap_err();
            assert!(matches!(error.kind, ModelErrorKind::Unreadable(_)), "{body}: {error}");
        }
    }

    fn limited(details: &Value) -> ResponseTemplate {
        let error = json!({"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details});
        ResponseTemplate::new(429).set_body_json(json!({"error": error}))
    }

    #[tokio::test]
    async fn a_short_retry_delay_is_waited_for() {
        let info = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.3s"}]);
        let answer = ResponseTemplate::new(200).set_body_json(stopped("STOP", &json!([{"text": "{}"}])));
        let server = Script::new([limited(&info), answer]).await;
        let start = Instant::now();
        ask(&server).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(300));
    }

    #[tokio::test]
    async fn a_long_retry_delay_is_handed_on() {
        let info = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26s"}]);
        let server = Script::new([limited(&info)]).await;
        let error = ask(&server).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(26)));
        assert!(matches!(error.kind, ModelErrorKind::RateLimited { sticky: false, .. }), "{error}");
        assert_eq!(server.calls().await, 1);
    }

    #[tokio::test]
    async fn a_daily_quota_is_sticky_and_not_asked_again() {
        let id = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
        let failure = json!([
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"},
        ]);
        let server = Script::new([limited(&failure)]).await;
        let error = ask(&server).await.unwrap_err();
        assert!(matches!(error.kind, ModelErrorKind::RateLimited { sticky: true, .. }), "{error}");
        assert_eq!(server.calls().await, 1);
    }

    #[test]
    fn a_limit_that_says_nothing_usable_is_no_hint() {
        for details in
            [json!(null), json!(7), json!([{"retryDelay": "soon"}]), json!([{"retryDelay": "-3s"}]), json!(["x"])]
        {
            assert_eq!(limit_of(&json!({"error": {"details": details}})), Limit::default(), "{details}");
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        assert!(!format!("{:?}", gemini("https://host", Thinking::ModelDefault)).contains(KEY));
    }

    #[test]
    fn a_model_name_cannot_leave_its_place_in_the_path() {
        for model in ["", "../x", "a/b", "a:b", "a?key=b", "a b"] {
            let settings = GeminiSettings {
                name: "fast".to_owned(),
                base_url: "https://host".to_owned(),
                model: model.to_owned(),
                key: KEY.into(),
                thinking: Thinking::ModelDefault,
            };
            let error = Gemini::new(settings, testing::client(testing::quick())).unwrap_err();
            assert_eq!(error.field, "model", "{model}");
        }
    }
}

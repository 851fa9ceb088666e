use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Url, header::AUTHORIZATION};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{
    Client,
    http::{Call, Limit},
    setup::{Credential, SetupError, endpoint},
};
use crate::{Finish, LanguageModel, ModelAnswer, ModelError, ModelErrorKind, ModelRequest, TokenUsage};

/// Most characters of a reason or a refusal that is handed on.
const REASON_CHARS_MAX: usize = 200;
/// Most bytes of a model's name that a server lists.
const MODEL_BYTES_MAX: usize = 200;

/// Where an OpenAI-compatible server is and how it is asked.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// The model's name in the configuration.
    pub name: String,
    /// The server's root (`http://localhost:8000`), or its URL up to and with the API's version
    /// (`https://gateway/team/v1`).
    pub base_url: String,
    /// The server's name of the model. `None`: the first one that the server lists, asked for at the first call and kept
    /// from then on.
    pub model: Option<String>,
    /// A bearer token; servers of one's own often have none.
    pub key: Option<SecretString>,
    /// How it is told to write JSON.
    pub response_format: ResponseFormat,
    /// How it is told when to stop.
    pub output_limit: OutputLimitField,
}

/// How a server is told to write JSON; they differ in what they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResponseFormat {
    /// By the schema: `OpenAI`, vLLM, llama.cpp, Ollama.
    #[default]
    JsonSchema,
    /// Any JSON; the schema stands in the prompt alone.
    JsonObject,
    /// Not at all; the prompt asks for it.
    None,
}

/// The field that bounds an answer's tokens; servers refuse the one that they do not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputLimitField {
    /// `max_tokens`: most servers.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`: `OpenAI`'s models that reason.
    MaxCompletionTokens,
}

/// A server that speaks `OpenAI`'s chat completions.
#[derive(Debug)]
pub struct OpenAi {
    name: String,
    model: OnceCell<String>,
    url: Url,
    list_url: Url,
    credential: Option<Credential>,
    response_format: ResponseFormat,
    output_limit: OutputLimitField,
    client: Client,
}

impl OpenAi {
    /// Checks the settings; nothing is sent.
    pub fn new(settings: OpenAiSettings, client: Client) -> Result<Self, SetupError> {
        let OpenAiSettings { name, base_url, model, key, response_format, output_limit } = settings;
        let url = endpoint(&name, &base_url, "/v1", "chat/completions")?;
        let list_url = endpoint(&name, &base_url, "/v1", "models")?;
        let model = OnceCell::new_with(model);
        let credential = key.map(|k| Credential::new(&name, AUTHORIZATION, "Bearer ", &k)).transpose()?;
        Ok(Self { name, model, url, list_url, credential, response_format, output_limit, client })
    }

    /// The model to ask. A server of one's own often has but one; those that make vectors of text are passed over.
    async fn model(&self) -> Result<&str, ModelErrorKind> {
        let first = async || {
            let call = self.call(&self.list_url, None);
            let listed: ModelList = serde_json::from_slice(&self.client.send(&call).await?)
                .map_err(|e| ModelErrorKind::Unreadable(format!("no list of models: {e}")))?;
            let usable = |name: &String| (1..=MODEL_BYTES_MAX).contains(&name.len()) && !name.contains("embed");
            let first = listed.data.into_iter().map(|model| model.id).find(usable);
            let first = first.ok_or_else(|| {
                ModelErrorKind::Refused(
                    "it lists no model that writes text, and the configuration names none".to_owned(),
                )
            })?;
            tracing::info!(model = %self.name, first, "the server's first model is asked");
            Ok(first)
        };
        self.model.get_or_try_init(first).await.map(String::as_str)
    }

    fn call<'a>(&'a self, url: &'a Url, body: Option<Bytes>) -> Call<'a> {
        Call { model: &self.name, url, credential: self.credential.as_ref(), body, limit_of }
    }

    fn body(&self, model: &str, request: &ModelRequest) -> Bytes {
        let limit = match self.output_limit {
            OutputLimitField::MaxTokens => "max_tokens",
            OutputLimitField::MaxCompletionTokens => "max_completion_tokens",
        };
        let mut body = json!({
            "model": model,
            "messages": [
                {"role": "system", "content": request.system},
                {"role": "user", "content": request.prompt},
            ],
        });
        body[limit] = request.output_tokens_max.into();
        match self.response_format {
            ResponseFormat::JsonSchema => {
                // Not `strict`: its dialect has no optional fields.
                let schema = json!({"name": "review", "schema": request.schema});
                body["response_format"] = json!({"type": "json_schema", "json_schema": schema});
            }
            ResponseFormat::JsonObject => body["response_format"] = json!({"type": "json_object"}),
            ResponseFormat::None => {}
        }
        Bytes::from(body.to_string())
    }
}

#[async_trait]
impl LanguageModel for OpenAi {
    fn name(&self) -> &str {
        &self.name
    }

    async fn generate(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelError> {
        let error = |kind, usage| ModelError { model: self.name.clone(), kind, usage };
        let unreadable = |what: String, usage| error(ModelErrorKind::Unreadable(what), usage);
        let free = |kind| error(kind, TokenUsage::default());
        let model = self.model().await.map_err(free)?;
        let call = self.call(&self.url, Some(self.body(model, request)));
        let body = self.client.send(&call).await.map_err(free)?;
        let response: Completion = serde_json::from_slice(&body)
            .map_err(|e| unreadable(format!("no chat completion: {e}"), TokenUsage::default()))?;
        let usage = response.usage();
        let Some(choice) = response.choices.into_iter().flatten().next() else {
            return Err(unreadable("a chat completion without choices".to_owned(), usage));
        };
        let (text, finish) = choice.written();
        if text.is_empty() && finish == Finish::Stop {
            return Err(unreadable("it stopped without writing anything".to_owned(), usage));
        }
        Ok(ModelAnswer { text, finish, usage, model_version: response.model })
    }
}

/// What the body says of a 429: used-up credit is no rate, and no short wait mends it.
fn limit_of(body: &Value) -> Limit {
    let used_up = |field: &str| body["error"][field].as_str() == Some("insufficient_quota");
    Limit { retry_after: None, sticky: used_up("code") || used_up("type") }
}

/// What `GET /models` answers.
#[derive(Deserialize)]
struct ModelList {
    data: Vec<ListedModel>,
}

#[derive(Deserialize)]
struct ListedModel {
    id: String,
}

#[derive(Deserialize)]
struct Completion {
    choices: Option<Vec<Choice>>,
    usage: Option<Usage>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    /// Reasoning included.
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptTokensDetails>,
}

#[derive(Deserialize)]
struct PromptTokensDetails {
    cached_tokens: Option<u64>,
}

impl Completion {
    fn usage(&self) -> TokenUsage {
        let Some(usage) = &self.usage else { return TokenUsage::default() };
        TokenUsage {
            input: usage.prompt_tokens.unwrap_or_default(),
            cached: usage.prompt_tokens_details.as_ref().and_then(|d| d.cached_tokens).unwrap_or_default(),
            output: usage.completion_tokens.unwrap_or_default(),
        }
    }
}

impl Choice {
    fn written(self) -> (String, Finish) {
        let reason = |text: &str| text.chars().take(REASON_CHARS_MAX).collect::<String>();
        let Message { content, refusal } = self.message.unwrap_or(Message { content: None, refusal: None });
        let finish = match (refusal.filter(|r| !r.is_empty()), self.finish_reason.as_deref()) {
            (Some(refusal), _) => Finish::Blocked(reason(&refusal)),
            (None, Some("stop")) => Finish::Stop,
            (None, Some("length")) => Finish::OutputLimit,
            (None, Some("content_filter")) => Finish::Blocked("content_filter".to_owned()),
            (None, Some(unknown)) => Finish::Other(reason(unknown)),
            (None, None) => Finish::Other("none given".to_owned()),
        };
        (content.unwrap_or_default(), finish)
    }
}

#[cfg(test)]
mod tests {
    use wiremock::ResponseTemplate;

    use super::*;
    use crate::model::testing::{self, Script};

    const KEY: &str = "hunter2-hunter2";

    fn settings(base_url: &str) -> OpenAiSettings {
        OpenAiSettings {
            name: "local".to_owned(),
            base_url: base_url.to_owned(),
            model: Some("qwen/qwen3-coder".to_owned()),
            key: Some(KEY.into()),
            response_format: ResponseFormat::JsonSchema,
            output_limit: OutputLimitField::MaxTokens,
        }
    }

    async fn ask_with(settings: OpenAiSettings) -> Result<ModelAnswer, ModelError> {
        let model = OpenAi::new(settings, testing::client(testing::quick())).unwrap();
        model.generate(&testing::request()).await
    }

    async fn ask(server: &Script) -> Result<ModelAnswer, ModelError> {
        ask_with(settings(&server.uri())).await
    }

    fn completion(reason: &Value, message: &Value) -> Value {
        json!({
            "id": "c-1", "object": "chat.completion", "model": "qwen3-coder-q4",
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 27, "total_tokens": 127,
                      "prompt_tokens_details": {"cached_tokens": 40}},
        })
    }

    fn said(text: &str) -> Value {
        json!({"role": "assistant", "content": text})
    }

    const USAGE: TokenUsage = TokenUsage { input: 100, cached: 40, output: 27 };

    #[tokio::test]
    async fn the_question_has_the_wires_shape() {
        let server = Script::json([completion(&json!("stop"), &said("{}"))]).await;
        let answer = ask(&server).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.finish, answer.usage), ("{}", Finish::Stop, USAGE));
        assert_eq!(answer.model_version.as_deref(), Some("qwen3-coder-q4"));
        let requests = server.requests().await;
        assert_eq!(requests[0].url.path(), "/v1/chat/completions");
        assert_eq!(requests[0].headers["authorization"], format!("Bearer {KEY}"));
        let body: Value = requests[0].body_json().unwrap();
        assert_eq!(body["model"], "qwen/qwen3-coder");
        assert_eq!(body["messages"][0], json!({"role": "system", "content": "You review."}));
        assert_eq!(body["messages"][1], json!({"role": "user", "content": "a change"}));
        assert_eq!(body["max_tokens"], 512);
        assert_eq!(body["response_format"]["json_schema"]["schema"], crate::answer_schema());
    }

    #[tokio::test]
    async fn without_a_name_the_first_model_that_is_listed_is_asked() {
        let list = json!({"object": "list", "data": [{"id": "nomic-embed-text"}, {"id": "qwen3"}, {"id": "phi"}]});
        let server = Script::json([list, completion(&json!("stop"), &said("{}"))]).await;
        let unnamed = OpenAiSettings { model: None, ..settings(&server.uri()) };
        let model = OpenAi::new(unnamed, testing::client(testing::quick())).unwrap();
        for _ in 0..2 {
            model.generate(&testing::request()).await.unwrap();
        }
        let requests = server.requests().await;
        let asked: Vec<_> = requests.iter().map(|r| (r.method.as_str(), r.url.path())).collect();
        let completion = ("POST", "/v1/chat/completions");
        assert_eq!(asked, [("GET", "/v1/models"), completion, completion]);
        assert_eq!(requests[0].headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(requests[1].body_json::<Value>().unwrap()["model"], "qwen3");
    }

    #[tokio::test]
    async fn a_server_without_a_model_is_asked_for_none_and_again_at_the_next_call() {
        let lists = ["{}", "[]", r#"{"data": []}"#, r#"{"data": [{"id": ""}, {"id": "embed"}]}"#, "<html>"];
        for list in lists {
            let found = r#"{"data": [{"id": "late"}]}"#;
            let completion = completion(&json!("stop"), &said("{}")).to_string();
            let answers = [list, found, &completion].map(|body| ResponseTemplate::new(200).set_body_string(body));
            let server = Script::new(answers).await;
            let unnamed = OpenAiSettings { model: None, ..settings(&server.uri()) };
            let model = OpenAi::new(unnamed, testing::client(testing::quick())).unwrap();
            let error = model.generate(&testing::request()).await.unwrap_err();
            assert!(
                matches!(error.kind, ModelErrorKind::Refused(_) | ModelErrorKind::Unreadable(_)),
                "{list}: {error}"
            );
            assert!(model.generate(&testing::request()).await.is_ok(), "{list}");
            assert_eq!(server.requests().await[2].body_json::<Value>().unwrap()["model"], "late", "{list}");
        }
    }

    #[tokio::test]
    async fn servers_that_differ_are_asked_as_they_want_it() {
        let server = Script::json([completion(&json!("stop"), &said("{}"))]).await;
        let plain = OpenAiSettings {
            key: None,
            response_format: ResponseFormat::None,
            output_limit: OutputLimitField::MaxCompletionTokens,
            ..settings(&server.uri())
        };
        ask_with(plain.clone()).await.unwrap();
        ask_with(OpenAiSettings { response_format: ResponseFormat::JsonObject, ..plain }).await.unwrap();
        let requests = server.requests().await;
        assert!(!requests[0].headers.contains_key("authorization"));
        let bodies: Vec<Value> = requests.iter().map(|r| r.body_json().unwrap()).collect();
        assert_eq!(bodies[0]["max_completion_tokens"], 512);
        assert!(bodies[0].get("max_tokens").is_none() && bodies[0].get("response_format").is_none());
        assert_eq!(bodies[1]["response_format"], json!({"type": "json_object"}));
    }

    #[tokio::test]
    async fn every_reason_to_stop_has_its_own_meaning() {
        let cases = [
            (json!("length"), Finish::OutputLimit),
            (json!("content_filter"), Finish::Blocked("content_filter".to_owned())),
            (json!("tool_calls"), Finish::Other("tool_calls".to_owned())),
            (json!(null), Finish::Other("none given".to_owned())),
        ];
        for (reason, finish) in cases {
            let bodies =
                [(said("part"), "part"), (json!({"role": "assistant", "content": null}), ""), (json!(null), "")];
            for (message, text) in bodies {
                let answer = ask(&Script::json([completion(&reason, &message)]).await).await.unwrap();
                assert_eq!((answer.text.as_str(), &answer.finish), (text, &finish), "{reason} {message}");
            }
        }
    }

    #[tokio::test]
    async fn a_refusal_is_a_withheld_answer() {
        let message = json!({"role": "assistant", "content": null, "refusal": "I cannot help with that."});
        let answer = ask(&Script::json([completion(&json!("stop"), &message)]).await).await.unwrap();
        assert_eq!(answer.finish, Finish::Blocked("I cannot help with that.".to_owned()));
    }

    #[tokio::test]
    async fn an_empty_answer_is_an_error_that_was_paid_for() {
        let error = ask(&Script::json([completion(&json!("stop"), &said(""))]).await).await.unwrap_err();
        assert!(matches!(error.kind, ModelErrorKind::Unreadable(_)), "{error}");
        assert_eq!(error.usage, USAGE);
    }

    #[tokio::test]
    async fn usage_that_a_server_leaves_out_is_none() {
        let mut body = completion(&json!("stop"), &said("{}"));
        body.as_object_mut().unwrap().remove("usage");
        assert_eq!(ask(&Script::json([body]).await).await.unwrap().usage, TokenUsage::default());
    }

    #[tokio::test]
    async fn what_is_no_completion_is_unreadable() {
        for body in [
            "",
            "<html>busy</html>",
            "{}",
            "{\"choices\": []}",
            "{\"choices\": \"x\"}",
            "{\"error\": {\"message\": \"x\"}}",
        ] {
            let server = Script::new([ResponseTemplate::new(200).set_body_string(body)]).await;
            let error = ask(&server).await.unwrap_err();
            assert!(matches!(error.kind, ModelErrorKind::Unreadable(_)), "{body}: {error}");
        }
    }

    #[tokio::test]
    async fn used_up_credit_is_sticky_and_a_rate_is_not() {
        let limited =
            |code: &str| ResponseTemplate::new(429).set_body_json(json!({"error": {"message": "x", "code": code}}));
        for (code, is_sticky, calls) in [("insufficient_quota", true, 1), ("rate_limit_exceeded", false, 3)] {
            let server = Script::new([limited(code)]).await;
            let error = ask(&server).await.unwrap_err();
            assert!(matches!(error.kind, ModelErrorKind::RateLimited { sticky, .. } if sticky == is_sticky), "{error}");
            assert_eq!(server.calls().await, calls, "{code}");
        }
    }

    #[tokio::test]
    async fn the_key_is_not_shown() {
        let echo = json!({"error": {"message": format!("no model for {KEY}")}});
        let server = Script::new([ResponseTemplate::new(404).set_body_json(echo)]).await;
        let model = OpenAi::new(settings(&server.uri()), testing::client(testing::quick())).unwrap();
        let error = model.generate(&testing::request()).await.unwrap_err();
        assert!(!format!("{error} {error:?} {model:?}").contains(KEY));
    }
}

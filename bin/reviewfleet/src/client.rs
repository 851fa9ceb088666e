use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use review::{CommitId, RepositoryName, Review};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

/// The service's API as a caller uses it.
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: SecretString,
}

/// What `GET /v1/jobs/{id}` answers, as far as the demo reads it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobAnswer {
    pub job_id: String,
    pub state: String,
    pub attempt: u32,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub errors: Vec<Fault>,
    pub links: Links,
}

/// What went wrong in an attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    pub attempt: u32,
    pub message: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Links {
    pub review: Option<String>,
}

pub type ReviewAnswer = Review;

impl JobAnswer {
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "completed" | "dead" | "cancelled")
    }
}

impl Client {
    pub fn new(url: &str, key: SecretString) -> Result<Self> {
        let http = reqwest::Client::builder().build().context("no HTTP client")?;
        Ok(Self { http, url: url.to_owned(), key })
    }

    /// Posts a review job; the job's id.
    pub async fn post_review(&self, repository: &RepositoryName, head: &CommitId, user: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Answer {
            job_id: String,
        }
        let body = json!({ "repository": repository, "head": head, "user": user, "tier": "PRO" });
        let request = self.http.post(format!("{}/v1/reviews", self.url)).json(&body);
        Ok(self.answer::<Answer>(request).await?.job_id)
    }

    pub async fn job(&self, id: &str) -> Result<JobAnswer> {
        self.answer(self.http.get(format!("{}/v1/jobs/{id}", self.url))).await
    }

    pub async fn review(&self, path: &str) -> Result<ReviewAnswer> {
        self.answer(self.http.get(format!("{}{path}", self.url))).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T> {
        let answer = request.bearer_auth(self.key.expose_secret()).send().await.context("the API did not answer")?;
        let status = answer.status();
        let body = answer.bytes().await.context("the API's answer broke off")?;
        if !status.is_success() {
            bail!("the API answered {status}: {}", String::from_utf8_lossy(&body));
        }
        serde_json::from_slice(&body).context("the API's answer is unreadable")
    }
}

use super::{ApiAccess, Config, ConfigError, ModelConfig, ModelName, RoutingConfig};

impl Config {
    /// Who may use the API: only for a process that serves it, since the others need no key.
    pub fn api_access(&self) -> Result<ApiAccess, ConfigError> {
        match self.secrets.api_keys.as_slice() {
            [] if self.api.allow_anonymous_loopback => Ok(ApiAccess::AnonymousLoopback),
            keys @ [_, ..] => Ok(ApiAccess::Keys(keys.to_vec())),
            [] => Err(ConfigError::environment(
                "REVIEWFLEET_API_KEY",
                "the API needs a key of at least 16 characters: set this variable, or REVIEWFLEET_API_KEY_FILE to a \
                 file with it, or api.allow_anonymous_loopback = true to let every program of this machine in",
            )),
        }
    }

    /// Whether a model can be asked: its key is there, or it needs none.
    pub fn is_available(&self, name: &ModelName) -> bool {
        self.models
            .get(name)
            .is_some_and(|model| model.key_variable().is_none() || self.secrets.model_keys.contains_key(name))
    }

    /// The models to ask, in order, when `first` (a model of `[routing]`) is the one for a change: those that are
    /// available, each once. None: the rule reviewer is alone.
    pub fn models_after<'a>(&'a self, first: &'a ModelName) -> Vec<&'a ModelName> {
        let mut order: Vec<&ModelName> = Vec::new();
        for name in std::iter::once(first).chain(&self.routing.fallbacks) {
            if self.is_available(name) && !order.contains(&name) {
                order.push(name);
            }
        }
        order
    }

    /// Who writes the reviews, in a line for people.
    pub fn reviewer_line(&self) -> String {
        let routing = &self.routing;
        let first = |name| self.models_after(name).first().copied();
        let by_kind = [("simple", &routing.simple), ("medium", &routing.medium), ("complex", &routing.complex)];
        let mut writers: Vec<(&ModelName, Vec<&str>)> = Vec::new();
        let mut alone = Vec::new();
        for (kind, name) in by_kind {
            match first(name) {
                None => alone.push(kind),
                Some(writer) => match writers.iter_mut().find(|(name, _)| *name == writer) {
                    Some((_, kinds)) => kinds.push(kind),
                    None => writers.push((writer, vec![kind])),
                },
            }
        }
        if writers.is_empty() {
            return format!("the built-in rule reviewer alone, since no model has a key: set {}", self.missing_keys());
        }
        let mut parts: Vec<String> = writers
            .iter()
            .map(|(name, kinds)| format!("{} for {} changes", self.described(name), listed(kinds)))
            .collect();
        if !alone.is_empty() {
            parts.push(format!("the built-in rule reviewer alone for {} changes", listed(&alone)));
        }
        parts.join(", ")
    }

    fn described(&self, name: &ModelName) -> String {
        match self.models.get(name) {
            Some(ModelConfig { model: Some(model), provider, .. }) => {
                format!("{name} ({model} at {})", provider.as_str())
            }
            Some(unnamed) => format!("{name} (the first model that {} lists)", unnamed.url()),
            None => name.to_string(),
        }
    }

    fn missing_keys(&self) -> String {
        let mut missing: Vec<&str> = Vec::new();
        for (name, model) in self.models.iter().filter(|(name, _)| self.routing.names(name)) {
            if let Some(variable) = model.key_variable()
                && !self.is_available(name)
                && !missing.contains(&variable)
            {
                missing.push(variable);
            }
        }
        missing.push("OPENAI_BASE_URL");
        missing.join(", or ")
    }
}

impl RoutingConfig {
    /// Whether a model may be asked at all.
    pub fn names(&self, name: &ModelName) -> bool {
        [&self.simple, &self.medium, &self.complex].contains(&name) || self.fallbacks.contains(name)
    }
}

fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [start @ .., last] => format!("{} and {last}", start.join(", ")),
    }
}

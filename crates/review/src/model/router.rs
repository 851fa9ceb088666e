use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    ModelPrices,
    breaker::{BreakerSettings, Guarded},
};
use crate::{Complexity, LanguageModel, ModelAnswer, ModelError, ModelRequest};

/// Which models are asked for which change, by their names in the configuration and in the order of asking. An empty route
/// leaves the change to the built-in rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// For simple changes.
    pub simple: Vec<String>,
    /// For medium ones.
    pub medium: Vec<String>,
    /// For complex ones.
    pub complex: Vec<String>,
}

/// Routes that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// A route to a model that there is not.
    #[error("the route for {route} changes names the model {model:?}, which is not there: there are [{known}]")]
    UnknownModel {
        /// Which route.
        route: &'static str,
        /// What it names.
        model: String,
        /// The names that there are.
        known: String,
    },
    /// Two models of one name.
    #[error("two models are named {0:?}")]
    NamedTwice(String),
}

/// A model and what its answers cost. Clones are the same model.
#[derive(Clone)]
pub struct PricedModel {
    model: Arc<dyn LanguageModel>,
    prices: ModelPrices,
}

impl PricedModel {
    /// A model at these prices.
    pub fn new(model: Arc<dyn LanguageModel>, prices: ModelPrices) -> Self {
        Self { model, prices }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        self.model.name()
    }

    /// What its answers cost.
    pub const fn prices(&self) -> &ModelPrices {
        &self.prices
    }

    /// Asks it, as [`LanguageModel::generate`].
    pub async fn generate(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelError> {
        self.model.generate(request).await
    }

    fn guarded(self, breaker: BreakerSettings) -> Self {
        Self { model: Arc::new(Guarded::new(self.model, breaker)), prices: self.prices }
    }
}

impl fmt::Debug for PricedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PricedModel").field("name", &self.name()).field("prices", &self.prices).finish_non_exhaustive()
    }
}

/// Finds the models for a change, each behind a breaker that all its routes share.
#[derive(Debug, Default)]
pub struct Router {
    simple: Vec<PricedModel>,
    medium: Vec<PricedModel>,
    complex: Vec<PricedModel>,
}

impl Router {
    /// Resolves every name once, so that no job meets an unknown one.
    pub fn new(models: Vec<PricedModel>, routes: &Routes, breaker: BreakerSettings) -> Result<Self, RouteError> {
        let mut by_name: BTreeMap<String, PricedModel> = BTreeMap::new();
        for model in models {
            let name = model.name().to_owned();
            if by_name.insert(name.clone(), model.guarded(breaker)).is_some() {
                return Err(RouteError::NamedTwice(name));
            }
        }
        let route = |route, names: &[String]| {
            let find = |name: &String| {
                by_name.get(name).cloned().ok_or_else(|| RouteError::UnknownModel {
                    route,
                    model: name.clone(),
                    known: by_name.keys().cloned().collect::<Vec<_>>().join(", "),
                })
            };
            names.iter().map(find).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            simple: route("simple", &routes.simple)?,
            medium: route("medium", &routes.medium)?,
            complex: route("complex", &routes.complex)?,
        })
    }

    /// The models to ask for a change, in order. One that is left alone for now answers at once with an error that says
    /// so.
    pub fn for_complexity(&self, complexity: Complexity) -> &[PricedModel] {
        match complexity {
            Complexity::Simple => &self.simple,
            Complexity::Medium => &self.medium,
            Complexity::Complex => &self.complex,
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::{Micros, ModelErrorKind, TokenUsage, model::testing};

    struct Away(&'static str);

    #[async_trait]
    impl LanguageModel for Away {
        fn name(&self) -> &str {
            self.0
        }

        async fn generate(&self, _: &ModelRequest) -> Result<ModelAnswer, ModelError> {
            let kind = ModelErrorKind::RateLimited { retry_after: None, sticky: true };
            Err(ModelError { model: self.0.to_owned(), kind, usage: TokenUsage::default() })
        }
    }

    fn router(names: &[&'static str], complex: &[&str]) -> Result<Router, RouteError> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let routes = Routes { simple: owned(&["fast"]), medium: Vec::new(), complex: owned(complex) };
        let free = ModelPrices {
            input_per_million: Micros(0),
            cached_per_million: Micros(0),
            output_per_million: Micros(0),
            long_prompt: None,
        };
        let models = names.iter().map(|name| PricedModel::new(Arc::new(Away(name)), free)).collect();
        Router::new(models, &routes, BreakerSettings::default())
    }

    #[test]
    fn each_complexity_has_its_models_in_their_order_or_none() {
        let router = router(&["fast", "strong"], &["strong", "fast"]).unwrap();
        let names = |c| router.for_complexity(c).iter().map(PricedModel::name).collect::<Vec<_>>();
        assert_eq!(names(Complexity::Simple), ["fast"]);
        assert!(names(Complexity::Medium).is_empty());
        assert_eq!(names(Complexity::Complex), ["strong", "fast"]);
    }

    #[test]
    fn a_route_to_nowhere_is_refused_by_name() {
        assert_eq!(
            router(&["fast", "local"], &["strong"]).unwrap_err().to_string(),
            "the route for complex changes names the model \"strong\", which is not there: there are [fast, local]"
        );
        assert_eq!(router(&["fast", "fast"], &[]).unwrap_err(), RouteError::NamedTwice("fast".to_owned()));
    }

    #[tokio::test]
    async fn what_one_route_learned_of_a_model_holds_for_all_routes() {
        let router = router(&["fast", "strong"], &["strong", "fast"]).unwrap();
        let request = testing::request();
        let first = router.for_complexity(Complexity::Simple)[0].generate(&request).await.unwrap_err();
        assert_eq!(first.retry_after(), None);
        let second = router.for_complexity(Complexity::Complex)[1].generate(&request).await.unwrap_err();
        assert!(second.retry_after().is_some(), "the breaker tells how long it stays open");
    }
}

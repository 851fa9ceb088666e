use serde::{Deserialize, Serialize};

use crate::{Micros, TokenUsage};

/// Tokens that a price is for.
const TOKENS_PER_PRICE: u128 = 1_000_000;

/// What a model costs per million tokens. Prices are configuration: they change, and with them the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPrices {
    /// Tokens in that did not come from the provider's cache.
    pub input_per_million: Micros,
    /// Tokens in from the provider's cache.
    pub cached_per_million: Micros,
    /// Tokens out, thoughts included.
    pub output_per_million: Micros,
    /// Other prices for long prompts, if the provider has such.
    pub long_prompt: Option<LongPromptPrices>,
}

/// What a call costs whose prompt is long: all its tokens, not only those above the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPromptPrices {
    /// A prompt of more tokens than this is long.
    pub over_tokens: u64,
    /// As [`ModelPrices::input_per_million`].
    pub input_per_million: Micros,
    /// As [`ModelPrices::cached_per_million`].
    pub cached_per_million: Micros,
    /// As [`ModelPrices::output_per_million`].
    pub output_per_million: Micros,
}

impl ModelPrices {
    /// What was charged, rounded up to a whole micro. Of the usage of several calls together it is an upper bound, since
    /// their prompts count as one.
    pub fn cost(&self, usage: &TokenUsage) -> Micros {
        let (input, cached, output) = match self.long_prompt {
            Some(long) if usage.input > long.over_tokens => {
                (long.input_per_million, long.cached_per_million, long.output_per_million)
            }
            _ => (self.input_per_million, self.cached_per_million, self.output_per_million),
        };
        let from_cache = usage.cached.min(usage.input);
        // Each product of two u64 fits; their sum may not.
        let of = |tokens: u64, price: Micros| u128::from(tokens) * u128::from(price.0);
        let sum = of(usage.input - from_cache, input)
            .saturating_add(of(from_cache, cached))
            .saturating_add(of(usage.output, output));
        Micros(u64::try_from(sum.div_ceil(TOKENS_PER_PRICE)).unwrap_or(u64::MAX))
    }

    /// The most that one call can cost: nothing comes from the cache, and the answer is as long as it may be.
    pub fn cost_max(&self, input_tokens: u32, output_tokens_max: u32) -> Micros {
        self.cost(&TokenUsage { input: input_tokens.into(), cached: 0, output: output_tokens_max.into() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FLASH: ModelPrices = ModelPrices {
        input_per_million: Micros(300_000),
        cached_per_million: Micros(75_000),
        output_per_million: Micros(2_500_000),
        long_prompt: None,
    };

    const PRO: ModelPrices = ModelPrices {
        input_per_million: Micros(1_250_000),
        cached_per_million: Micros(312_500),
        output_per_million: Micros(10_000_000),
        long_prompt: Some(LongPromptPrices {
            over_tokens: 200_000,
            input_per_million: Micros(2_500_000),
            cached_per_million: Micros(625_000),
            output_per_million: Micros(15_000_000),
        }),
    };

    #[test]
    fn a_usual_review_costs_what_the_price_list_says() {
        assert_eq!(FLASH.cost_max(30_000, 4_000), Micros(19_000));
        assert_eq!(PRO.cost_max(30_000, 4_000), Micros(77_500));
    }

    #[test]
    fn tokens_from_the_cache_are_not_charged_twice() {
        let usage = TokenUsage { input: 1_000_000, cached: 400_000, output: 0 };
        assert_eq!(FLASH.cost(&usage), Micros(180_000 + 30_000));
        let more_cached_than_sent = TokenUsage { input: 1_000_000, cached: u64::MAX, output: 0 };
        assert_eq!(FLASH.cost(&more_cached_than_sent), Micros(75_000));
    }

    #[test]
    fn a_long_prompt_makes_the_whole_call_dearer() {
        assert_eq!(PRO.cost_max(200_000, 0), Micros(250_000));
        assert_eq!(PRO.cost_max(200_001, 0), Micros(500_003));
        assert_eq!(PRO.cost_max(400_000, 1_000_000), Micros(1_000_000 + 15_000_000));
    }

    #[test]
    fn a_part_of_a_micro_is_charged_as_a_whole_one() {
        assert_eq!(FLASH.cost_max(1, 0), Micros(1));
        assert_eq!(FLASH.cost_max(0, 0), Micros(0));
    }

    proptest! {
        #[test]
        fn the_bound_before_the_call_is_never_less_than_the_bill(
            input in any::<u32>(), cached in any::<u32>(), output in any::<u32>(), room in any::<u32>(),
        ) {
            let usage = TokenUsage { input: input.into(), cached: cached.into(), output: output.into() };
            for prices in [FLASH, PRO] {
                let bound = prices.cost_max(input.saturating_add(room), output.saturating_add(room));
                prop_assert!(prices.cost(&usage) <= bound);
            }
        }

        #[test]
        fn no_usage_overflows(input in any::<u64>(), cached in any::<u64>(), output in any::<u64>()) {
            PRO.cost(&TokenUsage { input, cached, output });
        }
    }
}

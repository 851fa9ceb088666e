/// What a worker asks of its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Claim,
    Renew,
    Settle,
    Reap,
    Maintain,
}

impl Op {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Settle => "settle",
            Self::Reap => "reap",
            Self::Maintain => "maintain",
        }
    }
}

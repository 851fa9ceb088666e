-- tune: plans of this transaction do not depend on statistics. See queue.tune.
SELECT queue.tune()

-- classes: all limit classes, and whether a job that would wait for its throttle is refused. There are few, all from the
-- configuration.
SELECT queue, class, throttle_starts IS NOT NULL AND throttle_refuses FROM limit_class

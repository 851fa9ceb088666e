-- body_insert: stores what is never rewritten; ?1 is a JSON array of [id as hex, payload, trace parent].
INSERT INTO job_body (id, payload, trace_parent)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2 FROM jsonb_each(?1)

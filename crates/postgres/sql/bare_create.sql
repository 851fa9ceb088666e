CREATE TABLE bare (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue       smallint    NOT NULL DEFAULT 1,
    state       smallint    NOT NULL DEFAULT 0,
    priority    smallint    NOT NULL DEFAULT 0,
    run_at      timestamptz NOT NULL DEFAULT now(),
    key         text,
    payload     jsonb       NOT NULL,
    attempt     smallint    NOT NULL DEFAULT 0,
    lease       uuid,
    lease_until timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX ON bare (queue, priority DESC, id) WHERE state = 0;
CREATE INDEX ON bare (lease_until) WHERE state = 1;

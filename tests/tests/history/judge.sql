-- Keeps what the queue's transactions do to jobs, in those transactions themselves: what is read here was committed.
CREATE SCHEMA judge;
CREATE TABLE judge.event (
    seq           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction   xid8 NOT NULL DEFAULT pg_current_xact_id(),
    began         timestamptz NOT NULL DEFAULT transaction_timestamp(),
    job           uuid NOT NULL,
    key           text NOT NULL,
    priority      smallint NOT NULL,
    arrival       bigint NOT NULL,
    pass          bigint NOT NULL,
    was           smallint,
    state         smallint,
    changes_hands boolean NOT NULL
);
CREATE TABLE judge.finished (job uuid NOT NULL, state smallint NOT NULL, attempt bigint NOT NULL, crashes bigint NOT NULL,
                             settled uuid);

CREATE FUNCTION judge.job_changes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_lease CONSTANT smallint := 1;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO judge.event (job, key, priority, arrival, pass, was, state, changes_hands)
        VALUES (NEW.id, NEW.key, NEW.priority, NEW.arrival, NEW.pass, NULL, NEW.state, false);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO judge.event (job, key, priority, arrival, pass, was, state, changes_hands)
        VALUES (OLD.id, OLD.key, OLD.priority, OLD.arrival, OLD.pass, OLD.state, NULL, false);
    ELSIF (OLD.state, OLD.token) IS DISTINCT FROM (NEW.state, NEW.token) THEN
        INSERT INTO judge.event (job, key, priority, arrival, pass, was, state, changes_hands)
        VALUES (NEW.id, NEW.key, NEW.priority, NEW.arrival, NEW.pass, OLD.state, NEW.state,
                OLD.state = is_lease AND NEW.state = is_lease);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER judge AFTER INSERT OR UPDATE OR DELETE ON queue.job FOR EACH ROW EXECUTE FUNCTION judge.job_changes();

CREATE FUNCTION judge.job_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO judge.finished VALUES (NEW.id, NEW.state, NEW.attempt, NEW.crashes, NEW.settled);
    RETURN NULL;
END $$;
CREATE TRIGGER judge AFTER INSERT ON queue.history FOR EACH ROW EXECUTE FUNCTION judge.job_ends();

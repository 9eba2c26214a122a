"""The tables of the service in PostgreSQL, and how older ones are brought up to date.

They lie in a schema of their own, so that other things may live in the same database.
"""

from __future__ import annotations

__all__ = ["CHANNEL", "MIGRATIONS", "SCHEMA", "SCHEMA_VERSION"]

#: The schema that all of it lies in, and the channel on which changes of jobs are notified.
SCHEMA = "reference_app"
CHANNEL = "reference_app"

_FIRST = """
-- The one clock of the service. A function, for every statement has to mean the same by "now".
CREATE FUNCTION now_seconds() RETURNS double precision LANGUAGE sql VOLATILE AS
    'SELECT extract(epoch FROM clock_timestamp())::double precision';

CREATE TABLE jobs (
    -- The order of arrival, and so the order of the queue.
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL UNIQUE,
    filename text NOT NULL,
    size_bytes bigint NOT NULL,
    created_at double precision NOT NULL,
    state_changed_at double precision NOT NULL,
    status text NOT NULL,
    version integer NOT NULL,
    attempt integer NOT NULL,
    owner text,
    lease_until double precision,
    cancel_requested boolean NOT NULL,
    progress double precision NOT NULL,
    message text NOT NULL,
    error text,
    started_at double precision,
    finished_at double precision,
    expires_at double precision,
    first_progress_at double precision,
    first_progress double precision NOT NULL,
    summary text NOT NULL,
    files text NOT NULL,
    memory_before_bytes bigint,
    memory_after_bytes bigint
);
CREATE INDEX jobs_by_status ON jobs (status, seq);
CREATE INDEX jobs_by_expiry ON jobs (expires_at) WHERE expires_at IS NOT NULL;

-- Uploads under way. The process that takes one in renews its lease; one that died does not.
CREATE TABLE uploads (
    job_id text PRIMARY KEY,
    owner text NOT NULL,
    lease_until double precision NOT NULL
);

-- The processes of the service, each for as long as it renews its lease.
CREATE TABLE instances (
    owner text PRIMARY KEY,
    lease_until double precision NOT NULL,
    report text NOT NULL
);

-- What only one process does at a time ("sweep"), and who does it until when.
CREATE TABLE turns (
    name text PRIMARY KEY,
    owner text NOT NULL,
    lease_until double precision NOT NULL
);

-- A change is notified in the commit that makes it. A renewed lease is no news to anybody.
CREATE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('reference_app', OLD.job_id || ' removed f');
    ELSE
        PERFORM pg_notify('reference_app', NEW.job_id || ' ' || NEW.status || ' '
            || CASE WHEN NEW.cancel_requested THEN 't' ELSE 'f' END);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_told AFTER INSERT OR DELETE ON jobs
    FOR EACH ROW EXECUTE FUNCTION tell_change();
CREATE TRIGGER jobs_changed_told AFTER UPDATE ON jobs FOR EACH ROW
    WHEN ((OLD.status, OLD.progress, OLD.message, OLD.cancel_requested)
        IS DISTINCT FROM (NEW.status, NEW.progress, NEW.message, NEW.cancel_requested))
    EXECUTE FUNCTION tell_change();
"""

#: The steps from an empty schema to the present one; a step that was released never changes.
MIGRATIONS = (_FIRST,)
SCHEMA_VERSION = len(MIGRATIONS)

-- The policy that was last in force, whole, so that a replica whose file is broken can start with it.
CREATE TABLE last_policy (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    text TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    -- Shows that a process with the API key for Close wrote the text.
    seal TEXT NOT NULL,
    -- When it came into force.
    at BIGINT NOT NULL
);

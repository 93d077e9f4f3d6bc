-- Clocks that are wrong, and a database that is older than reality.

-- The earliest time by Close's clock at which the last send of the order can have rented a number.
ALTER TABLE orders ADD COLUMN close_sent_after BIGINT;

-- The API keys that were ever the service's own, by the ids that Close's event log shows. An id is no secret.
CREATE TABLE own_keys (
    id TEXT NOT NULL PRIMARY KEY,
    known_since BIGINT NOT NULL
);

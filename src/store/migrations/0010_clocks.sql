-- Clocks that are wrong, and a database that is older than reality.

-- The earliest time by Close's clock at which the last send of the order can have rented a number.
ALTER TABLE orders ADD COLUMN close_sent_after BIGINT;

-- The API keys that were ever the service's own, by the ids that Close's event log shows. An id is no secret.
CREATE TABLE own_keys (
    id TEXT NOT NULL PRIMARY KEY,
    known_since BIGINT NOT NULL
);

-- The holds that are in force. While there is one, nothing that costs or destroys is sent to Close.
CREATE TABLE holds (
    cause TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    since BIGINT NOT NULL
);

-- Calls with the service's own API key that Close has logged and this database does not know.
CREATE TABLE unknown_calls (
    kind TEXT NOT NULL,
    number_id TEXT NOT NULL,
    -- When, by Close's clock.
    at BIGINT NOT NULL,
    -- The number as it was rented; NULL where the log does not have it.
    facts TEXT,
    -- The order that the number was probably rented for.
    order_id TEXT,
    found_at BIGINT NOT NULL,
    -- When a person confirmed the call; NULL until then.
    confirmed_at BIGINT,
    PRIMARY KEY (kind, number_id)
);

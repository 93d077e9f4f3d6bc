-- Who changes a number at the moment. Changes of one number happen one after another, on any replica.
CREATE TABLE number_claims (
    number_id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    -- When others may take the holder for dead.
    until BIGINT NOT NULL
);

-- Whether the last attempt at the endpoint failed. Such an endpoint gets one delivery at a time, until one succeeds.
ALTER TABLE webhook_endpoints ADD COLUMN failing BIGINT NOT NULL DEFAULT 0;

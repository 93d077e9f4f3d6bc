-- What Close tells of, taken in before it is answered, and what is asked of Close because of it.

-- Every notice that was taken in, so that a repeated one wakes nothing.
CREATE TABLE inbox (
    event_id TEXT NOT NULL,
    -- When the event was last changed, by Close's clock; 0 where Close does not say.
    version BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (event_id, version)
);
CREATE INDEX inbox_by_age ON inbox (received_at);

-- What is to be read back from Close: one row an object, however many notices there were of it.
CREATE TABLE errands (
    object_id TEXT NOT NULL PRIMARY KEY,
    notices BIGINT NOT NULL,
    -- When Close last told of it.
    told_at BIGINT NOT NULL,
    -- When Close is to be asked.
    due_at BIGINT NOT NULL,
    -- How often Close has shown less than it had told.
    tries BIGINT NOT NULL,
    -- What the notices say: that it is gone, or how new it is by Close's own clock.
    gone BIGINT NOT NULL,
    version_at BIGINT,
    lease_until BIGINT
);
CREATE INDEX errands_due ON errands (due_at);

-- When a step that one replica does for all is to be done next.
CREATE TABLE turns (
    name TEXT NOT NULL PRIMARY KEY,
    due_at BIGINT NOT NULL
);

-- Where a number that no order accounts for comes from, as JSON; NULL until Close was asked.
ALTER TABLE numbers ADD COLUMN origin TEXT;
CREATE INDEX numbers_of_unknown_origin ON numbers (id)
    WHERE origin IS NULL AND team IS NULL AND order_id IS NULL AND gone_at IS NULL;

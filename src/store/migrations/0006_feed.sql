-- The feed: what changed, written with the change and given its place in the feed soon afterwards.

CREATE TABLE events (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    -- In which order one process wrote what it wrote at the same time.
    nth BIGINT NOT NULL,
    -- NULL: what belongs to no team.
    team TEXT,
    kind TEXT NOT NULL,
    order_id TEXT,
    phone_number_id TEXT,
    data TEXT NOT NULL,
    -- The place in the feed; NULL until it has one.
    seq BIGINT
);
CREATE UNIQUE INDEX events_in_the_feed ON events (seq) WHERE seq IS NOT NULL;
CREATE INDEX events_of_a_team_in_the_feed ON events (team, seq) WHERE seq IS NOT NULL;
CREATE INDEX events_without_a_place ON events (at, nth) WHERE seq IS NULL;

-- The last place that was given, in one row; locked by whoever gives places.
CREATE TABLE feed_head (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    seq BIGINT NOT NULL
);
INSERT INTO feed_head (one, seq) VALUES (1, 0);

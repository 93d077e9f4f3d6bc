-- Turns: the claims of a lane, counted. A lane is the countries that share a calling code, under their main country.
ALTER TABLE lanes ADD COLUMN turn BIGINT NOT NULL DEFAULT 0;

-- The turn of the order's last claim; NULL: it was not claimed, or by an earlier version.
ALTER TABLE orders ADD COLUMN turn BIGINT;
-- Until when no overlapping call begins, so that the next look at an order in doubt can prove something.
ALTER TABLE orders ADD COLUMN quiet_until BIGINT;

-- The refused orders of a team within the last hour.
CREATE INDEX orders_refused_of_a_team ON orders (team, finished_at) WHERE state = 'refused';

-- The turn of the lane when the number was first seen: an order with a later turn did not rent it. NULL: unknown.
ALTER TABLE numbers ADD COLUMN seen_turn BIGINT;

-- The last turn of each team in each country of its orders. The team with the lowest one is sent next.
CREATE TABLE team_turns (
    country TEXT NOT NULL,
    team TEXT NOT NULL,
    turn BIGINT NOT NULL,
    PRIMARY KEY (country, team)
);

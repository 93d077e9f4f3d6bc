-- What finding out about an unknown outcome needs.

-- Orders of one shape are interchangeable; those from before are like no other.
ALTER TABLE orders ADD COLUMN shape TEXT NOT NULL DEFAULT '';
UPDATE orders SET shape = id;
-- When Close is next asked about an order in doubt; NULL when there is nothing to ask.
ALTER TABLE orders ADD COLUMN look_at BIGINT;
UPDATE orders SET look_at = 0 WHERE state = 'unverified';
-- Since when Close, asked, has shown nothing that fits.
ALTER TABLE orders ADD COLUMN absent_since BIGINT;
CREATE INDEX orders_to_look_at ON orders (look_at) WHERE look_at IS NOT NULL;

-- When the desk first saw the number.
ALTER TABLE numbers ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX numbers_of_no_order ON numbers (seen_at) WHERE order_id IS NULL;
CREATE INDEX numbers_of_an_order ON numbers (order_id) WHERE order_id IS NOT NULL;

-- Locked by whoever begins a send in the country, so that two begun at the same moment see each other.
CREATE TABLE lanes (
    country TEXT NOT NULL PRIMARY KEY
);

-- What a second person said about an order, as JSON; NULL when it needs none.
ALTER TABLE orders ADD COLUMN approval TEXT;
-- Until when somebody may approve it.
ALTER TABLE orders ADD COLUMN approve_by BIGINT;
CREATE INDEX orders_to_approve ON orders (approve_by) WHERE state = 'awaiting_approval';

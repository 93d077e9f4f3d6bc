-- What a long history costs: reads by time and by action, and the sums of each month.

CREATE INDEX audit_by_time ON audit (at, seq);
CREATE INDEX audit_of_an_action ON audit (action, id);
CREATE INDEX audit_denied ON audit (id) WHERE allowed = 0;

-- What is deleted at the end of its retention, and what a late number is compared with.
CREATE INDEX events_by_time ON events (at) WHERE seq IS NOT NULL;
CREATE INDEX orders_given_up ON orders (sent_at)
    WHERE state = 'refused' AND evidence IN ('absent-after-reconciliation', 'settled-by-person');

-- Whether the entry is part of `spend_shares`; NULL: not yet. Replicas of earlier versions write NULL.
ALTER TABLE ledger ADD COLUMN counted BIGINT;
CREATE INDEX ledger_to_be_counted ON ledger (phone_number_id)
    WHERE counted IS NULL AND phone_number_id IS NOT NULL;

-- What each number costs whom, for a range of months, both included. A month is counted from the year 0; the last one
-- of a number that is still held is 1000000. The rows of a number are calculated from all its entries of the ledger.
CREATE TABLE spend_shares (
    phone_number_id TEXT NOT NULL,
    from_month BIGINT NOT NULL,
    until_month BIGINT NOT NULL,
    team TEXT NOT NULL,
    monthly BIGINT NOT NULL,
    PRIMARY KEY (phone_number_id, from_month)
);
CREATE INDEX spend_shares_of_a_month ON spend_shares (until_month, from_month);
CREATE INDEX spend_shares_of_a_team ON spend_shares (team, until_month);

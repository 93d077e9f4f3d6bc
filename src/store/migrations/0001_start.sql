-- One text for SQLite and PostgreSQL. Ids and words are TEXT, points in time are microseconds since 1970, money is
-- whole cents, JSON is TEXT, flags are 0 or 1. On PostgreSQL every TEXT compares byte by byte, as on SQLite.

-- What all replicas share and nobody configures.
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE orders (
    id TEXT NOT NULL PRIMARY KEY,
    team TEXT NOT NULL,
    issuer TEXT NOT NULL,
    created_by TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    country TEXT NOT NULL,
    request TEXT NOT NULL,
    terms TEXT NOT NULL,
    -- What the order reserves of the budget: the monthly price of its terms. Never changes.
    monthly BIGINT NOT NULL,
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    holder TEXT,
    lease_until BIGINT,
    sent_at BIGINT,
    not_before BIGINT,
    phone_number_id TEXT,
    close_status TEXT,
    reason TEXT,
    close_errors TEXT,
    evidence TEXT,
    -- When the label is to be set on the number; NULL when there is nothing to set any more.
    label_due_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    finished_at BIGINT,
    UNIQUE (team, idempotency_key)
);
CREATE INDEX orders_of_a_team ON orders (team, id);
CREATE INDEX orders_of_a_day ON orders (team, created_at);
CREATE INDEX orders_in_a_state ON orders (state, id);
CREATE INDEX orders_of_a_country ON orders (country, state);
CREATE INDEX orders_with_a_label_due ON orders (label_due_at) WHERE label_due_at IS NOT NULL;
-- A number is rented for one order at most.
CREATE UNIQUE INDEX orders_of_a_number ON orders (phone_number_id) WHERE phone_number_id IS NOT NULL;

-- The inventory. A row with `gone_at` is a tombstone: Close has the number no more.
CREATE TABLE numbers (
    id TEXT NOT NULL PRIMARY KEY,
    number TEXT NOT NULL,
    country TEXT,
    kind TEXT NOT NULL,
    -- The label in lower case, for searching; SQL's own LOWER knows ASCII only.
    label_folded TEXT NOT NULL,
    facts TEXT NOT NULL,
    team TEXT,
    order_id TEXT,
    monthly BIGINT NOT NULL CHECK (monthly >= 0),
    as_of BIGINT NOT NULL,
    -- When Close was last asked, or about to be asked, to release it; NULL when nobody asked.
    releasing_at BIGINT,
    gone_at BIGINT
);
CREATE INDEX numbers_of_a_team ON numbers (team, id);
CREATE INDEX numbers_by_number ON numbers (number);
CREATE INDEX numbers_being_released ON numbers (releasing_at) WHERE releasing_at IS NOT NULL;

-- Who has a number: its participants, and the user of a personal one.
CREATE TABLE number_participants (
    user_id TEXT NOT NULL,
    number_id TEXT NOT NULL REFERENCES numbers (id),
    PRIMARY KEY (user_id, number_id)
);
CREATE INDEX participants_of_a_number ON number_participants (number_id);

-- What each team holds and reserves: at all times the sum of its ledger. The caps are enforced on this row.
CREATE TABLE usage (
    team TEXT NOT NULL PRIMARY KEY,
    numbers_held BIGINT NOT NULL CHECK (numbers_held >= 0),
    numbers_reserved BIGINT NOT NULL CHECK (numbers_reserved >= 0),
    monthly_held BIGINT NOT NULL CHECK (monthly_held >= 0),
    monthly_reserved BIGINT NOT NULL CHECK (monthly_reserved >= 0)
);

-- Every change of a usage row, as differences.
CREATE TABLE ledger (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    team TEXT NOT NULL,
    order_id TEXT,
    phone_number_id TEXT,
    kind TEXT NOT NULL,
    numbers_held BIGINT NOT NULL,
    numbers_reserved BIGINT NOT NULL,
    monthly_held BIGINT NOT NULL,
    monthly_reserved BIGINT NOT NULL
);
CREATE INDEX ledger_of_a_team ON ledger (team, id);

CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    team TEXT,
    action TEXT NOT NULL,
    allowed BIGINT,
    rule TEXT,
    order_id TEXT,
    phone_number_id TEXT,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    request_id TEXT
);
CREATE INDEX audit_of_a_team ON audit (team, id);
CREATE INDEX audit_of_a_subject ON audit (subject, id);
CREATE INDEX audit_of_an_order ON audit (order_id, id);
CREATE INDEX audit_of_a_number ON audit (phone_number_id, id);

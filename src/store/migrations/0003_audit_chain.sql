-- Where an audit row stands in the chain, and its hash; NULL until it is sealed. How the hash is made says
-- `domain/chain.rs`.
ALTER TABLE audit ADD COLUMN seq BIGINT;
ALTER TABLE audit ADD COLUMN hash TEXT;
CREATE UNIQUE INDEX audit_in_the_chain ON audit (seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_of_a_team_in_the_chain ON audit (team, seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_unsealed ON audit (id) WHERE seq IS NULL;

-- The end of the chain, in its one row, so that a tail that was cut off is missed.
CREATE TABLE audit_head (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (one, seq, hash) VALUES (1, 0, 'numberdesk-audit-1');

-- What became of each number, for who adds up months.
CREATE INDEX ledger_of_a_number ON ledger (phone_number_id, id) WHERE phone_number_id IS NOT NULL;

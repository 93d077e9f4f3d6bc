-- Lists of a long history: each filter has an index that gives its rows in the order of the list, for all teams and for
-- one.

CREATE INDEX orders_of_a_team_in_a_state ON orders (team, state, id);
CREATE INDEX orders_of_a_key ON orders (idempotency_key, id);
CREATE INDEX audit_of_an_action_in_a_team ON audit (team, action, id);
CREATE INDEX audit_denied_of_a_team ON audit (team, id) WHERE allowed = 0;
CREATE INDEX events_of_a_kind ON events (kind, seq) WHERE seq IS NOT NULL;
CREATE INDEX events_of_a_kind_in_a_team ON events (team, kind, seq) WHERE seq IS NOT NULL;
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (endpoint_id, id) WHERE state = 'dead';

-- Ranges of months that go beyond the end of a year. Only earlier versions write them: ranges of this version end in the
-- year in which they begin, so that a report reads those of one year.
CREATE INDEX spend_shares_across_years ON spend_shares (from_month)
    WHERE until_month / 12 <> from_month / 12 AND until_month < 1000000;

-- Webhooks to apps: endpoints that teams have registered, and events on their way there. No secret is among them.

CREATE TABLE webhook_endpoints (
    id TEXT NOT NULL PRIMARY KEY,
    team TEXT NOT NULL,
    url TEXT NOT NULL,
    description TEXT,
    -- A JSON array of types of events, or null for all.
    types TEXT NOT NULL,
    -- Why it is disabled; NULL: it is active.
    disabled TEXT,
    -- Which secret signs: it is derived from this, the id and a master secret.
    generation BIGINT NOT NULL,
    rotated_at BIGINT,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX webhook_endpoints_of_a_team ON webhook_endpoints (team, id);

-- One row for each event and endpoint. An endpoint that is removed takes its rows along; one that is written meanwhile
-- stays unsent, and is forgotten like the others.
CREATE TABLE webhook_deliveries (
    id TEXT NOT NULL PRIMARY KEY,
    endpoint_id TEXT NOT NULL,
    team TEXT NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    queued_at BIGINT NOT NULL,
    began_at BIGINT,
    -- When it is next tried: while somebody is at it, when others may take it for dead.
    due_at BIGINT NOT NULL,
    holder TEXT,
    attempted_at BIGINT,
    outcome TEXT,
    finished_at BIGINT
);
CREATE UNIQUE INDEX webhook_deliveries_once ON webhook_deliveries (endpoint_id, event_id);
CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_under_way ON webhook_deliveries (endpoint_id) WHERE holder IS NOT NULL;
CREATE INDEX webhook_deliveries_done ON webhook_deliveries (endpoint_id, finished_at) WHERE state = 'delivered';
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (queued_at);

-- What a replay reads.
CREATE INDEX events_of_a_team_by_time ON events (team, at);

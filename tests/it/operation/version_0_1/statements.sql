-- The statements of version 0.1, as its store executed them, one on each line. Do not change them: this version's schema
-- must keep them working, so that replicas of both versions run at the same time.

-- src/store/accept.rs
INSERT INTO orders (id, team, issuer, created_by, idempotency_key, fingerprint, shape, country, request, terms, monthly, approval, approve_by, state, attempt, not_before, reason, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) ON CONFLICT (team, idempotency_key) DO NOTHING;
-- src/store/approval.rs
SELECT id, team, issuer, created_by, idempotency_key, fingerprint, request, terms, approval, approve_by, state, attempt, sent_at, absent_since, not_before, phone_number_id, close_status, reason, close_errors, evidence, created_at, updated_at, finished_at FROM orders WHERE state = 'awaiting_approval' AND approve_by <= $1 ORDER BY approve_by, id LIMIT $2;
UPDATE orders SET state = $2, approval = $3, reason = $4, evidence = $5, updated_at = $6, finished_at = $7 WHERE id = $1 AND state = 'awaiting_approval' RETURNING team, monthly;
-- src/store/audit.rs
INSERT INTO audit (id, at, issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome, detail, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);
SELECT id, at, issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome, detail, request_id FROM audit WHERE 1 = 1;
-- src/store/chain.rs
SELECT COUNT(*) AS rows FROM audit WHERE seq IS NULL;
SELECT seq, hash, (SELECT MIN(before.hash) FROM audit AS before WHERE before.seq = audit.seq - 1) AS prev, id, at, issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome, detail, request_id FROM audit WHERE 1 = 1;
SELECT seq, id FROM audit WHERE seq > $1 ORDER BY seq LIMIT 1;
-- src/store/copy.rs
SELECT id FROM numbers WHERE as_of >= $1 AND gone_at IS NULL;
-- src/store/delivery.rs
INSERT INTO webhook_deliveries (id, endpoint_id, team, event_id, kind, body, queued_at, due_at, state, attempts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', 0) ON CONFLICT (endpoint_id, event_id) DO UPDATE SET state = 'pending', attempts = 0, queued_at = excluded.queued_at, began_at = NULL, due_at = excluded.due_at, finished_at = NULL WHERE webhook_deliveries.state <> 'pending';
SELECT COUNT(*) AS n FROM webhook_deliveries WHERE endpoint_id = $1 AND holder IS NOT NULL AND due_at > $2;
SELECT id FROM (SELECT e.id, (SELECT MIN(d.due_at) FROM webhook_deliveries d WHERE d.endpoint_id = e.id AND d.state = 'pending') AS since FROM webhook_endpoints e WHERE e.disabled IS NULL) AS waiting WHERE since <= $1 ORDER BY since, id LIMIT $2;
SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 AND state = 'delivered' AND finished_at >= $2 LIMIT 1;
SELECT id, team, url, description, types, disabled, generation, rotated_at, created_by, created_at, updated_at FROM webhook_endpoints WHERE id = $1 AND disabled IS NULL;
UPDATE webhook_deliveries SET holder = $3, due_at = $4, attempts = attempts + 1, attempted_at = $2, began_at = COALESCE(began_at, $2) WHERE id IN (SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 AND state = 'pending' AND due_at <= $2 ORDER BY due_at, id LIMIT $5) AND state = 'pending' AND due_at <= $2 RETURNING id, endpoint_id, team, event_id, kind, body, state, attempts, queued_at, began_at, due_at, attempted_at, outcome, finished_at;
UPDATE webhook_deliveries SET state = $3, due_at = $4, finished_at = $5, outcome = $6, holder = NULL WHERE id = $1 AND holder = $2 AND state = 'pending';
-- src/store/doubt.rs
SELECT id FROM orders WHERE phone_number_id = $1 AND evidence = 'close-201';
SELECT id, facts, team, order_id, monthly, as_of, releasing_at, release_at, release_issuer, release_subject, origin FROM numbers WHERE origin IS NULL AND team IS NULL AND order_id IS NULL AND gone_at IS NULL ORDER BY id LIMIT $1;
SELECT id, facts, team, order_id, monthly, as_of, releasing_at, release_at, release_issuer, release_subject, origin, seen_at FROM numbers WHERE order_id IS NULL AND kind = 'internal' AND (country = $1 OR country IS NULL) AND seen_at >= $2 ORDER BY id;
SELECT id, team, issuer, created_by, idempotency_key, fingerprint, request, terms, approval, approve_by, state, attempt, sent_at, absent_since, not_before, phone_number_id, close_status, reason, close_errors, evidence, created_at, updated_at, finished_at FROM orders WHERE country = $1 AND state = 'unverified' ORDER BY id;
SELECT id, team, issuer, created_by, idempotency_key, fingerprint, request, terms, approval, approve_by, state, attempt, sent_at, absent_since, not_before, phone_number_id, close_status, reason, close_errors, evidence, created_at, updated_at, finished_at FROM orders WHERE state = 'refused' AND evidence IN ('absent-after-reconciliation', 'settled-by-person') AND sent_at >= $1 AND NOT EXISTS (SELECT 1 FROM numbers n WHERE n.order_id = orders.id) ORDER BY sent_at DESC;
SELECT id, team, issuer, created_by, idempotency_key, fingerprint, request, terms, approval, approve_by, state, attempt, sent_at, absent_since, not_before, phone_number_id, close_status, reason, close_errors, evidence, created_at, updated_at, finished_at FROM orders WHERE state = 'unverified' AND look_at <= $1 AND NOT EXISTS (SELECT 1 FROM orders r WHERE r.country = orders.country AND r.state = 'renting') ORDER BY id LIMIT $2;
UPDATE numbers SET order_id = $2 WHERE id = $1 AND team IS NULL AND order_id IS NULL AND NOT EXISTS (SELECT 1 FROM orders WHERE country = $3 AND state IN ('renting', 'unverified', 'needs_review')) RETURNING facts;
UPDATE numbers SET origin = $2 WHERE id = $1 AND origin IS NULL AND team IS NULL AND gone_at IS NULL RETURNING facts;
UPDATE orders SET absent_since = $3 WHERE id = $1 AND attempt = $2 AND state = 'unverified' AND ($3 IS NULL OR absent_since IS NULL);
UPDATE orders SET look_at = $2 WHERE id = $1 AND state = 'unverified' AND look_at <= $3;
UPDATE orders SET look_at = $2 WHERE state = 'unverified' AND look_at > $2 AND country = COALESCE($1, country);
-- src/store/endpoint.rs
DELETE FROM webhook_deliveries WHERE endpoint_id = $1;
DELETE FROM webhook_endpoints WHERE id = $1 AND team = $2;
INSERT INTO webhook_endpoints (id, team, url, description, types, disabled, generation, rotated_at, created_by, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);
SELECT COUNT(*) AS n FROM webhook_endpoints WHERE team = $1;
SELECT id, team, url, description, types, disabled, generation, rotated_at, created_by, created_at, updated_at FROM webhook_endpoints WHERE 1 = 1;
UPDATE webhook_deliveries SET attempts = 0, began_at = NULL, due_at = $2 WHERE endpoint_id = $1 AND state = 'pending' AND holder IS NULL;
UPDATE webhook_endpoints SET disabled = $3, updated_at = $4 WHERE id = $1 AND url = $2 AND disabled IS NULL;
UPDATE webhook_endpoints SET url = $3, description = $4, types = $5, disabled = $6, generation = $7, rotated_at = $8, updated_at = $9 WHERE id = $1 AND team = $2 AND updated_at = $10 AND generation = $11;
-- src/store/errand.rs
DELETE FROM errands WHERE object_id = $1 AND notices = $2 AND told_at = $3;
SELECT COUNT(CASE WHEN due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) THEN 1 END) AS n, MIN(CASE WHEN tries = 0 THEN told_at WHEN due_at <= $1 THEN due_at END) AS since FROM errands;
UPDATE errands SET lease_until = $2 WHERE object_id IN (SELECT object_id FROM errands WHERE due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) ORDER BY due_at, object_id LIMIT $3) RETURNING object_id, notices, told_at, tries, gone, version_at;
UPDATE errands SET lease_until = NULL WHERE object_id = $1;
UPDATE errands SET lease_until = NULL, due_at = CASE WHEN notices = $2 AND told_at = $3 THEN $4 ELSE due_at END, tries = CASE WHEN notices = $2 AND told_at = $3 THEN tries + $5 ELSE tries END WHERE object_id = $1;
-- src/store/feed.rs
DELETE FROM events WHERE id IN (SELECT id FROM events WHERE seq IS NOT NULL AND at < $1 ORDER BY seq LIMIT $2);
INSERT INTO events (id, at, nth, team, kind, order_id, phone_number_id, data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8);
SELECT id FROM events WHERE seq IS NULL LIMIT 1;
SELECT id, at, team, kind, order_id, phone_number_id, data, seq FROM events WHERE 1 = 1;
SELECT id, at, team, kind, order_id, phone_number_id, data, seq FROM events WHERE seq > $1 ORDER BY seq LIMIT $2;
SELECT id, at, team, kind, order_id, phone_number_id, data, seq FROM events WHERE seq IS NULL ORDER BY at, nth, id LIMIT $1;
SELECT seq FROM feed_head WHERE one = 1;
UPDATE events SET seq = placed.column2 FROM (VALUES ($1, $2)) AS placed WHERE events.id = placed.column1 AND events.seq IS NULL;
UPDATE feed_head SET seq = $1 WHERE one = 1;
-- src/store/inbox.rs
DELETE FROM inbox WHERE (event_id, version) IN (SELECT event_id, version FROM inbox WHERE received_at < $1 ORDER BY received_at LIMIT $2);
INSERT INTO errands (object_id, notices, told_at, due_at, tries, gone, version_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (object_id) DO UPDATE SET notices = errands.notices + excluded.notices, told_at = excluded.told_at, due_at = excluded.due_at, tries = 0, gone = CASE WHEN errands.gone > excluded.gone THEN errands.gone ELSE excluded.gone END, version_at = CASE WHEN errands.version_at > COALESCE(excluded.version_at, 0) THEN errands.version_at ELSE excluded.version_at END;
INSERT INTO inbox (event_id, version, received_at) VALUES ($1, $2, $3) ON CONFLICT (event_id, version) DO NOTHING RETURNING event_id, version;
-- src/store/inventory.rs
DELETE FROM number_participants WHERE number_id = $1;
INSERT INTO number_participants (user_id, number_id) VALUES ($1, $2);
INSERT INTO numbers (id, number, country, kind, label_folded, facts, monthly, as_of, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT (id) DO NOTHING;
SELECT facts, team, monthly, as_of, gone_at, release_at FROM numbers WHERE id = $1;
SELECT id FROM numbers WHERE gone_at IS NULL AND NOT EXISTS (SELECT 1 FROM orders WHERE orders.id = numbers.order_id AND orders.finished_at > $1) ORDER BY id;
SELECT id FROM orders WHERE phone_number_id = $1 AND id <> $2;
UPDATE numbers SET as_of = $2 WHERE id = $1;
UPDATE numbers SET number = $2, country = $3, kind = $4, label_folded = $5, facts = $6, monthly = $7, as_of = $8, gone_at = NULL WHERE id = $1;
UPDATE numbers SET team = $2, order_id = COALESCE($3, order_id) WHERE id = $1;
-- src/store/ledger.rs
INSERT INTO ledger (id, at, team, order_id, phone_number_id, kind, numbers_held, numbers_reserved, monthly_held, monthly_reserved) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
INSERT INTO usage (team, numbers_held, numbers_reserved, monthly_held, monthly_reserved) VALUES ($1, 0, 0, 0, 0) ON CONFLICT (team) DO NOTHING;
SELECT COUNT(*) AS orders FROM orders WHERE team = $1 AND created_at > $2 AND state NOT IN ('refused', 'cancelled') AND id <> $3;
SELECT numbers_held, numbers_reserved, monthly_held, monthly_reserved FROM usage WHERE team = $1;
UPDATE usage SET numbers_held = numbers_held + $2, numbers_reserved = numbers_reserved + $3, monthly_held = monthly_held + $4, monthly_reserved = monthly_reserved + $5 WHERE team = $1;
UPDATE usage SET numbers_held = numbers_held + $2, numbers_reserved = numbers_reserved + $3, monthly_held = monthly_held + $4, monthly_reserved = monthly_reserved + $5 WHERE team = $1 AND numbers_held + numbers_reserved + $2 + $3 <= $6 AND monthly_held + monthly_reserved + $4 + $5 <= $7;
-- src/store/measure.rs
SELECT state, country, COUNT(*) AS orders, MIN(created_at) AS oldest FROM orders WHERE state IN ('awaiting_approval', 'queued', 'renting', 'unverified', 'needs_review') GROUP BY state, country;
SELECT team, numbers_held, numbers_reserved, monthly_held, monthly_reserved FROM usage;
-- src/store/migration.rs
INSERT INTO migrations (name, checksum) VALUES ($1, $2);
SELECT checksum FROM migrations WHERE name = $1;
SELECT name, checksum FROM migrations;
-- src/store/mod.rs
SELECT 1 AS n;
-- src/store/number.rs
SELECT id, facts, team, order_id, monthly, as_of, releasing_at, release_at, release_issuer, release_subject, origin FROM numbers WHERE 1 = 1;
SELECT id, facts, team, order_id, monthly, as_of, releasing_at, release_at, release_issuer, release_subject, origin FROM numbers WHERE id = $1;
-- src/store/order.rs
SELECT id, team, issuer, created_by, idempotency_key, fingerprint, request, terms, approval, approve_by, state, attempt, sent_at, absent_since, not_before, phone_number_id, close_status, reason, close_errors, evidence, created_at, updated_at, finished_at FROM orders WHERE 1 = 1;
SELECT id, team, issuer, created_by, idempotency_key, fingerprint, request, terms, approval, approve_by, state, attempt, sent_at, absent_since, not_before, phone_number_id, close_status, reason, close_errors, evidence, created_at, updated_at, finished_at FROM orders WHERE team = $1 AND idempotency_key = $2;
SELECT o.id, o.phone_number_id, o.request FROM orders o JOIN numbers n ON n.id = o.phone_number_id AND n.gone_at IS NULL AND n.team = o.team WHERE o.label_due_at IS NOT NULL AND o.label_due_at <= $1 ORDER BY o.label_due_at, o.id LIMIT $2;
UPDATE orders SET label_due_at = $2 WHERE id = $1 AND label_due_at IS NOT NULL;
UPDATE orders SET label_due_at = NULL WHERE id = $1;
UPDATE orders SET state = 'cancelled', reason = $4, updated_at = $2, finished_at = $3 WHERE id = $1 AND state IN ('queued', 'awaiting_approval') RETURNING team, monthly;
-- src/store/policy.rs
DELETE FROM settings WHERE name = $1 AND value = $2;
INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE settings.value <> excluded.value;
UPDATE settings SET value = $1 WHERE name = $2 AND value <> $1;
-- src/store/release.rs
SELECT id FROM numbers WHERE id = $1 AND gone_at IS NOT NULL;
SELECT id, facts, team, order_id, monthly, as_of, releasing_at, release_at, release_issuer, release_subject, origin FROM numbers WHERE id = $1 AND gone_at IS NULL;
SELECT id, facts, team, order_id, monthly, as_of, releasing_at, release_at, release_issuer, release_subject, origin FROM numbers WHERE release_try_at <= $1 AND releasing_at IS NULL AND gone_at IS NULL ORDER BY release_try_at, id LIMIT $2;
SELECT id, facts, team, order_id, monthly, as_of, releasing_at, release_at, release_issuer, release_subject, origin FROM numbers WHERE releasing_at <= $1 AND gone_at IS NULL ORDER BY releasing_at, id LIMIT $2;
UPDATE numbers SET gone_at = $2, releasing_at = NULL, release_at = NULL, release_try_at = NULL, release_issuer = NULL, release_subject = NULL WHERE id = $1;
UPDATE numbers SET release_at = $2, release_try_at = $2, release_issuer = $3, release_subject = $4 WHERE id = $1;
UPDATE numbers SET release_at = NULL, release_try_at = NULL WHERE id = $1;
UPDATE numbers SET releasing_at = $2, release_issuer = $3, release_subject = $4 WHERE id = $1;
UPDATE numbers SET releasing_at = NULL, release_at = NULL, release_try_at = NULL, release_issuer = NULL, release_subject = NULL WHERE id = $1;
UPDATE numbers SET releasing_at = NULL, release_at = NULL, release_try_at = NULL, release_issuer = NULL, release_subject = NULL WHERE id = $1 AND releasing_at = $2 RETURNING team, facts, release_at;
UPDATE numbers SET releasing_at = NULL, release_try_at = CASE WHEN release_at IS NULL THEN NULL ELSE $3 END WHERE id = $1 AND releasing_at = $2 RETURNING team, facts, release_at;
-- src/store/replay.rs
DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE queued_at < $1 ORDER BY queued_at LIMIT $2);
SELECT COUNT(*) AS n, MIN(d.queued_at) AS oldest FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id WHERE d.state = 'pending' AND e.disabled IS NULL;
SELECT id FROM webhook_endpoints WHERE id = $1;
SELECT id, at, team, kind, order_id, phone_number_id, data, seq FROM events WHERE team = $1 AND at >= $2 AND at < $3 AND seq IS NOT NULL ORDER BY at, id LIMIT $4;
SELECT id, endpoint_id, team, event_id, kind, body, state, attempts, queued_at, began_at, due_at, attempted_at, outcome, finished_at FROM webhook_deliveries WHERE 1 = 1;
-- src/store/seal.rs
SELECT at FROM audit WHERE seq IS NULL ORDER BY id LIMIT 1;
SELECT id, at, issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome, detail, request_id FROM audit WHERE seq IS NULL ORDER BY id LIMIT $1;
SELECT seq, hash FROM audit_head WHERE one = 1;
UPDATE audit SET seq = sealed.column2, hash = sealed.column3 FROM (VALUES ($1, $2, $3)) AS sealed WHERE audit.id = sealed.column1 AND audit.seq IS NULL;
UPDATE audit_head SET seq = $1, hash = $2 WHERE one = 1 AND seq = $3;
-- src/store/send.rs
INSERT INTO lanes (country) VALUES ($1) ON CONFLICT (country) DO NOTHING;
SELECT CAST(CASE WHEN state = 'unverified' OR lease_until <= $2 THEN 1 ELSE 0 END AS BIGINT) AS doubtful FROM orders WHERE country = $1 AND state IN ('renting', 'unverified') AND (state = 'unverified' OR lease_until <= $2 OR shape <> (SELECT o.shape FROM orders o WHERE o.id = $3)) ORDER BY doubtful DESC LIMIT 1;
SELECT country FROM lanes WHERE country = $1;
SELECT id, team, country, shape FROM orders o WHERE o.state = 'queued' AND (o.not_before IS NULL OR o.not_before <= $1) AND NOT EXISTS (SELECT 1 FROM orders d WHERE d.country = o.country AND d.state IN ('renting', 'unverified') AND (d.state = 'unverified' OR d.lease_until <= $1 OR d.shape <> o.shape)) ORDER BY ROW_NUMBER() OVER (PARTITION BY team ORDER BY id), id LIMIT $2;
SELECT id, team, issuer, created_by, idempotency_key, fingerprint, request, terms, approval, approve_by, state, attempt, sent_at, absent_since, not_before, phone_number_id, close_status, reason, close_errors, evidence, created_at, updated_at, finished_at FROM orders WHERE id = $1 AND state = 'queued' AND (not_before IS NULL OR not_before <= $2);
SELECT id, team, issuer, created_by, idempotency_key, fingerprint, request, terms, approval, approve_by, state, attempt, sent_at, absent_since, not_before, phone_number_id, close_status, reason, close_errors, evidence, created_at, updated_at, finished_at FROM orders WHERE state = 'renting' AND lease_until <= $1 ORDER BY id LIMIT $2;
UPDATE orders SET phone_number_id = $2 WHERE id = $1;
UPDATE orders SET state = $3, holder = NULL, lease_until = NULL, not_before = $4, close_status = $5, reason = $6, close_errors = $7, evidence = $8, label_due_at = $9, updated_at = $10, finished_at = $11, look_at = $12, absent_since = NULL WHERE id = $1 AND attempt = $2 AND ((state = 'renting' AND $3 <> 'needs_review') OR (state = 'unverified' AND $3 <> 'unverified') OR (state = 'needs_review' AND $3 IN ('fulfilled', 'refused'))) RETURNING team, monthly;
UPDATE orders SET state = 'queued', holder = NULL, lease_until = NULL, updated_at = $3 WHERE id = $1 AND state = 'renting' AND holder = $2 RETURNING team;
UPDATE orders SET state = 'renting', attempt = $2, sent_at = $3, not_before = NULL, reason = NULL, updated_at = $3, holder = $4, lease_until = $5 WHERE id = $1 AND state = 'queued' AND attempt = $2 - 1;
-- src/store/setting.rs
INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING;
INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = CASE WHEN settings.value > excluded.value THEN settings.value ELSE excluded.value END;
SELECT value FROM settings WHERE name = $1;
-- src/store/spend.rs
SELECT ledger.id, ledger.phone_number_id, ledger.at, ledger.team, ledger.numbers_held, ledger.monthly_held, (SELECT country FROM numbers WHERE numbers.id = ledger.phone_number_id) AS country, (SELECT team FROM orders WHERE orders.phone_number_id = ledger.phone_number_id) AS order_team, (SELECT created_by FROM orders WHERE orders.phone_number_id = ledger.phone_number_id) AS created_by FROM ledger WHERE 1 = 1;
-- src/store/turn.rs
INSERT INTO turns (name, due_at) VALUES ($1, $3) ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at WHERE turns.due_at <= $2;

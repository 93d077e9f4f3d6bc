-- What version 0.1 writes for a number that was rented and released, and for an order that waits, by its own INSERTs.
-- NOW is the time in microseconds, N a letter that tells the rows of two runs apart.
INSERT INTO usage (team, numbers_held, numbers_reserved, monthly_held, monthly_reserved)
    VALUES ('sales', 0, 0, 0, 0) ON CONFLICT (team) DO NOTHING;
INSERT INTO orders (id, team, issuer, created_by, idempotency_key, fingerprint, shape, country, request, terms, monthly,
        approval, approve_by, state, attempt, not_before, reason, created_at, updated_at)
    VALUES ('ord_01KB9V8ZJ3E0T9C4M6N2P5QAN1', 'sales', 'https://idp.example.com/', 'alice@example.com', 'old-N-1',
        'f1', 's1', 'DE', '{"country":"DE","sharing":"personal","carrier_type":"local","label":"Berlin"}',
        '{"carrier_type":"local","assign_to":null,"monthly":"5.00"}', 500, NULL, NULL, 'queued', 0, NULL, NULL, NOW, NOW)
    ON CONFLICT (team, idempotency_key) DO NOTHING;
INSERT INTO lanes (country) VALUES ('DE') ON CONFLICT (country) DO NOTHING;
UPDATE orders SET state = 'renting', attempt = 1, sent_at = NOW, not_before = NULL, reason = NULL, updated_at = NOW,
        holder = 'h', lease_until = NOW + 60000000
    WHERE id = 'ord_01KB9V8ZJ3E0T9C4M6N2P5QAN1' AND state = 'queued' AND attempt = 1 - 1;
INSERT INTO numbers (id, number, country, kind, label_folded, facts, monthly, as_of, seen_at)
    VALUES ('phon_oldN', '+493012345', 'DE', 'internal', 'berlin',
        '{"id":"phon_oldN","organization":null,"number":"+493012345","country":"DE","kind":"internal","label":"Berlin","carrier_type":"local","participants":["user_A"],"participant_groups":[],"user":null,"group":false,"sms":null,"billed":null,"created_at":null,"object":{}}',
        500, NOW, NOW) ON CONFLICT (id) DO NOTHING;
INSERT INTO number_participants (user_id, number_id) VALUES ('user_A', 'phon_oldN');
UPDATE orders SET state = 'fulfilled', phone_number_id = 'phon_oldN', evidence = 'close-201', holder = NULL,
        lease_until = NULL, finished_at = NOW WHERE id = 'ord_01KB9V8ZJ3E0T9C4M6N2P5QAN1';
UPDATE numbers SET team = 'sales', order_id = 'ord_01KB9V8ZJ3E0T9C4M6N2P5QAN1' WHERE id = 'phon_oldN';
INSERT INTO ledger (id, at, team, order_id, phone_number_id, kind, numbers_held, numbers_reserved, monthly_held,
        monthly_reserved)
    VALUES ('led_01KB9V8ZJ3E0T9C4M6N2P5QAN1', NOW, 'sales', 'ord_01KB9V8ZJ3E0T9C4M6N2P5QAN1', 'phon_oldN', 'hold', 1, 0,
        500, 0);
INSERT INTO ledger (id, at, team, order_id, phone_number_id, kind, numbers_held, numbers_reserved, monthly_held,
        monthly_reserved)
    VALUES ('led_01KB9V8ZJ3E0T9C4M6N2P5QAN2', NOW, 'sales', NULL, 'phon_oldN', 'give_back', -1, 0, -500, 0);
UPDATE numbers SET gone_at = NOW, releasing_at = NULL, release_at = NULL, release_try_at = NULL, release_issuer = NULL,
        release_subject = NULL WHERE id = 'phon_oldN';
INSERT INTO audit (id, at, issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome, detail,
        request_id)
    VALUES ('aud_01KB9V8ZJ3E0T9C4M6N2P5QAN1', NOW, 'https://idp.example.com/', 'alice@example.com', 'sales',
        'order.create', 1, 'teams.sales.countries', 'ord_01KB9V8ZJ3E0T9C4M6N2P5QAN1', NULL, 'queued', '{}', NULL);
INSERT INTO events (id, at, nth, team, kind, order_id, phone_number_id, data)
    VALUES ('evt_01KB9V8ZJ3E0T9C4M6N2P5QAN1', NOW, 0, 'sales', 'order.fulfilled', 'ord_01KB9V8ZJ3E0T9C4M6N2P5QAN1',
        'phon_oldN', '{"order_id":"ord_01KB9V8ZJ3E0T9C4M6N2P5QAN1","state":"fulfilled"}');
INSERT INTO inbox (event_id, version, received_at) VALUES ('ev_N', 1, NOW)
    ON CONFLICT (event_id, version) DO NOTHING;
INSERT INTO turns (name, due_at) VALUES ('old-N', NOW) ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at
    WHERE turns.due_at <= NOW;
INSERT INTO orders (id, team, issuer, created_by, idempotency_key, fingerprint, shape, country, request, terms, monthly,
        approval, approve_by, state, attempt, not_before, reason, created_at, updated_at)
    VALUES ('ord_01KB9V8ZJ3E0T9C4M6N2P5QAN2', 'sales', 'https://idp.example.com/', 'alice@example.com', 'old-N-2',
        'f2', 's2', 'DE', '{"country":"DE","sharing":"personal","prefix":"30","carrier_type":"local"}',
        '{"carrier_type":"local","assign_to":null,"monthly":"5.00"}', 500, NULL, NULL, 'queued', 0, NULL, NULL, NOW, NOW)
    ON CONFLICT (team, idempotency_key) DO NOTHING;
UPDATE usage SET numbers_held = numbers_held + 0, numbers_reserved = numbers_reserved + 1,
        monthly_held = monthly_held + 0, monthly_reserved = monthly_reserved + 500
    WHERE team = 'sales' AND numbers_held + numbers_reserved + 0 + 1 <= 400
        AND monthly_held + monthly_reserved + 0 + 500 <= 500000;
INSERT INTO ledger (id, at, team, order_id, phone_number_id, kind, numbers_held, numbers_reserved, monthly_held,
        monthly_reserved)
    VALUES ('led_01KB9V8ZJ3E0T9C4M6N2P5QAN3', NOW, 'sales', 'ord_01KB9V8ZJ3E0T9C4M6N2P5QAN2', NULL, 'reserve', 0, 1, 0,
        500);
INSERT INTO audit (id, at, issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome, detail,
        request_id)
    VALUES ('aud_01KB9V8ZJ3E0T9C4M6N2P5QAN2', NOW, 'https://idp.example.com/', 'alice@example.com', 'sales',
        'order.create', 1, 'teams.sales.countries', 'ord_01KB9V8ZJ3E0T9C4M6N2P5QAN2', NULL, 'queued', '{}', NULL);
INSERT INTO events (id, at, nth, team, kind, order_id, phone_number_id, data)
    VALUES ('evt_01KB9V8ZJ3E0T9C4M6N2P5QAN2', NOW, 1, 'sales', 'order.queued', 'ord_01KB9V8ZJ3E0T9C4M6N2P5QAN2', NULL,
        '{"order_id":"ord_01KB9V8ZJ3E0T9C4M6N2P5QAN2","state":"queued"}');

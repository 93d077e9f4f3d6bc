-- The undo window of a release: it is asked for now and sent to Close later.

-- When the number is to be released; NULL when nobody scheduled that. It never moves.
ALTER TABLE numbers ADD COLUMN release_at BIGINT;
-- When Close is to be asked: `release_at`, or later when Close could not be reached then.
ALTER TABLE numbers ADD COLUMN release_try_at BIGINT;
-- Who asked for the release that is scheduled or under way.
ALTER TABLE numbers ADD COLUMN release_issuer TEXT;
ALTER TABLE numbers ADD COLUMN release_subject TEXT;
CREATE INDEX numbers_to_be_released ON numbers (release_try_at) WHERE release_try_at IS NOT NULL;

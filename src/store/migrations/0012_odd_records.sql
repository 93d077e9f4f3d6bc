-- Records at Close that can't be read as what they should be, until Close shows them as expected.
CREATE TABLE odd_records (
    -- What it should be, such as `phone_number`.
    kind TEXT NOT NULL,
    -- Its id at Close, or a digest of a record without a usable one.
    name TEXT NOT NULL,
    -- What is odd, without any value of the record.
    fault TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    -- To the hour, so that a lasting oddity is not written with every listing.
    last_seen_at BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);

-- The members of the groups that the policy names, as the replica that compares with Close read them last.
CREATE TABLE close_groups (
    id TEXT NOT NULL PRIMARY KEY,
    -- The ids of the members, as JSON.
    members TEXT NOT NULL,
    -- When Close was asked.
    as_of BIGINT NOT NULL
);

//! Every metric of the service: name, kind, labels, unit and help text, declared once.
//!
//! Code that measures uses the constants (`metrics::counter!(ORDERS_DENIED_TOTAL).increment(1)`), the recorder takes
//! the help texts and buckets of `/metrics` from [`SECTIONS`], and `metrics_guide` renders docs/metrics.md from it. Names,
//! labels and label values are a public interface: dashboards and alerts use them.

/// Upper bounds in seconds for the time of a request: from a read out of memory to the longest wait for an order.
const REQUESTS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];
/// Upper bounds in seconds for the time until a change arrives: usually seconds, hours after an outage.
const LAGS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0,
];
/// Upper bounds in seconds for the time until an order ends. The objective is 60 s.
const ORDERS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0,
];

/// The names of the calls to Close.
const CALLS: &[&str] = &[
    "rent",
    "list",
    "read",
    "update",
    "release",
    "events",
    "me",
    "group",
    "subscriptions",
    "subscribe",
    "change_subscription",
    "unsubscribe",
];

/// How a metric behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets, with their sum.
    Histogram,
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things or occurrences.
    Count,
    /// Seconds: a duration, an age, or a moment since 1970.
    Seconds,
    /// US dollars.
    Dollars,
    /// Bytes.
    Bytes,
    /// 1 for yes, 0 for no.
    Flag,
}

/// The declaration of one metric.
#[derive(Debug)]
pub struct Metric {
    /// The name on `/metrics`.
    pub name: &'static str,
    /// How it behaves over time.
    pub kind: Kind,
    /// What its value counts.
    pub unit: Unit,
    /// All its labels.
    pub labels: &'static [Label],
    /// The upper bounds of a histogram's buckets, ascending; empty for other kinds.
    pub buckets: &'static [f64],
    /// What it measures, for an operator; Markdown.
    pub help: &'static str,
}

/// A label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// All its values, if the code knows them; else empty.
    ///
    /// Counters and histograms whose labels are all known exist from the start, at 0. Otherwise `rate()` would not see
    /// the first increment.
    pub values: &'static [&'static str],
}

/// Metrics of one subject, under a heading of the guide.
#[derive(Debug)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// In the order of the guide.
    pub metrics: &'static [Metric],
}

/// Returns the first of several expressions.
macro_rules! first {
    ($first:expr $(, $others:expr)*) => {
        $first
    };
}

/// Declares a constant with each name, and the table of all of them.
macro_rules! sections {
    ($($title:literal { $(
        $constant:ident = $kind:ident $(($buckets:ident))? $unit:ident $name:literal
            [$($label:literal $(in $values:expr)?),*] $help:literal;
    )* })*) => {
        $($(
            #[doc = $help]
            pub(crate) const $constant: &str = $name;
        )*)*

        /// Every metric of the service, by subject. The process's own are [`PROCESS`].
        pub const SECTIONS: &[Section] = &[$(Section {
            title: $title,
            metrics: &[$(Metric {
                name: $name,
                kind: Kind::$kind,
                unit: Unit::$unit,
                labels: &[$(Label { name: $label, values: first!($($values,)? &[]) }),*],
                buckets: first!($($buckets,)? &[]),
                help: $help,
            }),*],
        }),*];
    };
}

sections! {
    "The business" {
        ORDERS_OPEN = Gauge Count "numberdesk_orders_open" ["state", "country"]
            "Orders that have not ended yet.";
        ORDERS_OLDEST_AGE_SECONDS = Gauge Seconds "numberdesk_orders_oldest_age_seconds" ["state"]
            "Time since the oldest order in this state was accepted; 0 if there is none.";
        ORDERS_HELD = Gauge Flag "numberdesk_orders_held" ["cause"]
            "1 while orders and releases are on hold: `unknown-calls` after Close's event log showed calls with the \
             service's API key that the database does not know, `operator` by a person; else 0.";
        ORDERS_SETTLED_TOTAL = Counter Count "numberdesk_orders_settled_total" ["state", "country"]
            "Orders whose dispatch this process settled, by the state they reached.";
        ORDER_SETTLING_SECONDS = Histogram(ORDERS) Seconds "numberdesk_order_settling_seconds" ["state" in &["fulfilled", "refused", "cancelled"]]
            "Time from the acceptance of an order, or from its approval if it needed one, to its end, by the state it \
             reached. Orders that ended without an approval are not in it.";
        ORDERS_DENIED_TOTAL = Counter Count "numberdesk_orders_denied_total" []
            "Orders refused by policy, quota or budget.";
        ORDERS_ALTERED_TOTAL = Counter Count "numberdesk_orders_altered_total" []
            "Orders that differed from what a second person had approved; nothing was sent to Close.";
        LATE_ARRIVALS_TOTAL = Counter Count "numberdesk_late_arrivals_total" []
            "Numbers that appeared in Close after their order had ended as not rented.";
        APPROVALS_TOTAL = Counter Count "numberdesk_approvals_total" ["decision" in &["approved", "rejected", "expired"]]
            "Decisions of second persons on orders that need approval.";
        TEAM_NUMBERS = Gauge Count "numberdesk_team_numbers" ["team"]
            "Numbers that the team holds.";
        TEAM_RESERVATIONS = Gauge Count "numberdesk_team_reservations" ["team"]
            "Numbers that the team's open orders reserve.";
        TEAM_MONTHLY_SPEND_DOLLARS = Gauge Dollars "numberdesk_team_monthly_spend_dollars" ["team"]
            "Monthly price of all numbers that the team holds or has reserved.";
        TEAM_MONTHLY_BUDGET_DOLLARS = Gauge Dollars "numberdesk_team_monthly_budget_dollars" ["team"]
            "The team's monthly budget in the policy; `+Inf` if it has none.";
        ORPHANS = Gauge Count "numberdesk_orphans" []
            "Numbers in Close that belong to no team.";
        POLICY_GOOD = Gauge Flag "numberdesk_policy_good" []
            "1, or 0 while the policy file is broken and the last valid policy stays in force.";
        POLICY_INFO = Gauge Flag "numberdesk_policy_info" ["fingerprint"]
            "1 for the policy in force, 0 for those before it. Replicas with different files show different fingerprints.";
    }

    "Close" {
        CLOSE_REQUESTS_TOTAL = Counter Count "numberdesk_close_requests_total" ["endpoint" in CALLS, "outcome" in &["done", "refused", "rate_limited", "unauthorized", "not_sent", "unclear"]]
            "Calls to Close: `done`, `refused`, `rate_limited`, `unauthorized`, `not_sent` or `unclear` (Close may or may not have acted).";
        CLOSE_REQUEST_SECONDS = Histogram(REQUESTS) Seconds "numberdesk_close_request_seconds" ["endpoint" in CALLS]
            "Duration of calls to Close.";
        CLOSE_RATE_LIMIT_REMAINING = Gauge Count "numberdesk_close_rate_limit_remaining" ["endpoint"]
            "Calls left in Close's rate limit, as its last response reported.";
        CLOSE_BREAKER_OPEN = Gauge Flag "numberdesk_close_breaker_open" []
            "1 while the circuit breaker is open: Close does not respond, and only probes are sent.";
        CLOSE_UP = Gauge Flag "numberdesk_close_up" []
            "1, or 0 while the last call to Close had no usable answer. A call is made at least every 20 seconds.";
        CLOSE_WAITING = Gauge Count "numberdesk_close_waiting" ["class"]
            "Work waiting for Close: `order` counts orders that wait for a free paid call; `change`, `read_back` and `listing` count calls that wait for Close's rate limit.";
        CLOSE_UNAUTHORIZED_TOTAL = Counter Count "numberdesk_close_unauthorized_total" []
            "Dispatches put off because Close rejected the API key.";
        CLOSE_KEY_GOOD = Gauge Flag "numberdesk_close_key_good" []
            "1, or 0 while the key in the file is not in use: the file is unusable, or Close rejected the key.";
        CLOSE_FORBIDDEN_TOTAL = Counter Count "numberdesk_close_forbidden_total" []
            "Orders that Close refused because the user of the API key may not rent numbers.";
        CLOSE_DRIFT_TOTAL = Counter Count "numberdesk_close_drift_total" ["kind", "operation"]
            "Answers and webhooks of Close that differ from the known API, by kind of difference and call: `unknown_field`, `missing_field`, `unknown_word`, `unknown_status`, `changed_type`, `retired_field`, `deprecation_header`, `sunset_header` or `warning_header`.";
        CLOSE_ODD_RECORDS = Gauge Count "numberdesk_close_odd_records" ["kind"]
            "Records of Close that can't be read and that the service therefore does not take in: `phone_number`, `event` (of the last day), `webhook_subscription`, `group` or `membership`.";
        CLOSE_SUBSCRIPTIONS = Gauge Count "numberdesk_close_subscriptions" []
            "Webhook subscriptions of the Close organization; Close allows 40.";
        WEBHOOK_SUBSCRIPTION_ACTIVE = Gauge Flag "numberdesk_webhook_subscription_active" []
            "1 while Close delivers webhooks; 0 if the subscription is missing or paused, or its deliveries fail.";
        WEBHOOKS_RECEIVED_TOTAL = Counter Count "numberdesk_webhooks_received_total" ["outcome" in &[
                "new", "repeated", "strange", "failed", "no_key", "no_signature", "no_timestamp", "malformed_signature",
                "malformed_timestamp", "stale", "future", "wrong_signature",
            ]]
            "Webhooks from Close: `new`, `repeated`, `strange` (signed, but not an event the service knows), `failed`, or the reason the signature was rejected.";
        WEBHOOK_LAG_SECONDS = Histogram(LAGS) Seconds "numberdesk_webhook_lag_seconds" []
            "Time from a change in Close to its webhook.";
        NOTICES_MISSED_TOTAL = Counter Count "numberdesk_notices_missed_total" []
            "Changes that no webhook announced and that were found in Close's event log.";
        READBACKS_DUE = Gauge Count "numberdesk_readbacks_due" []
            "Numbers whose refetch from Close is due.";
        READBACK_AGE_SECONDS = Gauge Seconds "numberdesk_readback_age_seconds" []
            "Time that the oldest announced change has waited for a refetch from Close.";
        READBACK_SECONDS = Histogram(LAGS) Seconds "numberdesk_readback_seconds" []
            "Time from the announcement of a change to the inventory showing it.";
        READBACKS_GIVEN_UP_TOTAL = Counter Count "numberdesk_readbacks_given_up_total" []
            "Announced changes that Close still did not show after 15 minutes.";
        INVENTORY_NUMBERS = Gauge Count "numberdesk_inventory_numbers" []
            "Numbers in the inventory in memory.";
        INVENTORY_AGE_SECONDS = Gauge Seconds "numberdesk_inventory_age_seconds" []
            "Time since any replica last completed a comparison with Close; since the process started, if it knows of none.";
    }

    "The service" {
        HTTP_REQUESTS_TOTAL = Counter Count "numberdesk_http_requests_total" ["method", "route", "status"]
            "HTTP requests answered.";
        HTTP_REQUEST_DURATION_SECONDS = Histogram(REQUESTS) Seconds "numberdesk_http_request_duration_seconds" ["method", "route"]
            "Time to answer an HTTP request.";
        HTTP_REQUESTS_IN_FLIGHT = Gauge Count "numberdesk_http_requests_in_flight" []
            "HTTP requests being answered now.";
        REQUESTS_LIMITED_TOTAL = Counter Count "numberdesk_requests_limited_total" ["team"]
            "Requests answered with 429 because the team exceeded its rate limit.";
        REQUESTS_SHED_TOTAL = Counter Count "numberdesk_requests_shed_total" []
            "Requests answered with 503 because too many were in progress, or with 408 because too many bodies arrived slowly.";
        RESPONSES_STALLED_TOTAL = Counter Count "numberdesk_responses_stalled_total" []
            "Responses given up because the client took nothing for `server.send_timeout`.";
        TLS_CERTIFICATE_GOOD = Gauge Flag "numberdesk_tls_certificate_good" []
            "1, or 0 while the files of `[server.tls]` are not in force, or their certificate is expired or not yet valid; only with TLS.";
        TLS_CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS = Gauge Seconds "numberdesk_tls_certificate_expiry_timestamp_seconds" []
            "When the certificate in force expires, in seconds since 1970; only with TLS.";
        TLS_HANDSHAKES_FAILED_TOTAL = Counter Count "numberdesk_tls_handshakes_failed_total" ["reason" in &["too_slow", "hung_up", "not_tls", "nothing_in_common", "refused_by_client"]]
            "TLS handshakes that failed: `too_slow`, `hung_up`, `not_tls`, `nothing_in_common` or `refused_by_client`.";
        TOKENS_TOTAL = Counter Count "numberdesk_tokens_total" ["outcome" in &["verified", "remembered", "invalid", "keys_unavailable"]]
            "Bearer tokens checked: `verified`, `remembered` (verified before), `invalid` or `keys_unavailable`.";
        JWKS_AGE_SECONDS = Gauge Seconds "numberdesk_jwks_age_seconds" ["issuer"]
            "Time since the issuer's keys were last read; since the process started, if they never were.";
        JWKS_GOOD = Gauge Flag "numberdesk_jwks_good" ["issuer"]
            "1, or 0 while the issuer's keys can't be read or none of them can verify tokens; the last good keys serve for 24 hours.";
        JWKS_FETCH_TOTAL = Counter Count "numberdesk_jwks_fetch_total" ["issuer", "outcome" in &["ok", "failed"]]
            "Attempts to read an issuer's keys: `ok` or `failed`.";
        JWK_REFUSED_TOTAL = Counter Count "numberdesk_jwk_refused_total" ["reason" in &[
                "malformed", "duplicate_kid", "not_for_signatures", "private_key", "shared_secret", "unsupported", "algorithm",
                "weak_rsa",
            ]]
            "Keys of issuers that are not used, by reason.";
        STORE_UP = Gauge Flag "numberdesk_store_up" []
            "1, or 0 while the database can't be read or written. It is checked every two seconds, with a write every ten.";
        AUDIT_SEALED_TOTAL = Counter Count "numberdesk_audit_sealed_total" []
            "Audit rows added to the hash chain.";
        AUDIT_UNSEALED_AGE_SECONDS = Gauge Seconds "numberdesk_audit_unsealed_age_seconds" []
            "Age of the oldest audit row that is not in the hash chain yet.";
        FEED_PLACE = Gauge Count "numberdesk_feed_place" []
            "Sequence number of the last event that this process has published to its subscribers.";
        WEBHOOK_DELIVERIES_TOTAL = Counter Count "numberdesk_webhook_deliveries_total" ["outcome" in &["delivered", "failed", "dead"]]
            "Attempts to deliver webhooks to apps: `delivered`, `failed` (retried later) or `dead` (given up).";
        WEBHOOK_DELIVERIES_PENDING = Gauge Count "numberdesk_webhook_deliveries_pending" []
            "Webhooks to apps that are not delivered yet.";
        WEBHOOK_OLDEST_PENDING_AGE_SECONDS = Gauge Seconds "numberdesk_webhook_oldest_pending_age_seconds" []
            "Time that the oldest pending webhook to an app has waited.";
        TRACE_EXPORTS_TOTAL = Counter Count "numberdesk_trace_exports_total" ["outcome" in &["done", "refused", "lost"]]
            "Batches of spans sent to the collector: `done`, `refused` (an error response) or `lost` (no response).";
        WORKER_FAILURES_TOTAL = Counter Count "numberdesk_worker_failures_total" ["worker"]
            "Failed steps of background workers. The worker retries each of them.";
        BUILD_INFO = Gauge Flag "numberdesk_build_info" ["version"]
            "Always 1; the label is the version that runs.";
    }
}

/// Metrics of the operating-system process, read at each scrape.
pub const PROCESS: Section = Section {
    title: "The process",
    metrics: &[
        process(
            "process_cpu_seconds_total",
            Kind::Counter,
            Unit::Seconds,
            "Processor time used.",
        ),
        process(
            "process_resident_memory_bytes",
            Kind::Gauge,
            Unit::Bytes,
            "Resident memory.",
        ),
        process(
            "process_virtual_memory_bytes",
            Kind::Gauge,
            Unit::Bytes,
            "Virtual memory.",
        ),
        process(
            "process_virtual_memory_max_bytes",
            Kind::Gauge,
            Unit::Bytes,
            "The limit of virtual memory.",
        ),
        process(
            "process_open_fds",
            Kind::Gauge,
            Unit::Count,
            "Open file descriptors: files and connections.",
        ),
        process(
            "process_max_fds",
            Kind::Gauge,
            Unit::Count,
            "The limit of open file descriptors.",
        ),
        process("process_threads", Kind::Gauge, Unit::Count, "Threads."),
        process(
            "process_start_time_seconds",
            Kind::Gauge,
            Unit::Seconds,
            "When the process started, in seconds since 1970.",
        ),
    ],
};

const fn process(name: &'static str, kind: Kind, unit: Unit, help: &'static str) -> Metric {
    Metric {
        name,
        kind,
        unit,
        labels: &[],
        buckets: &[],
        help,
    }
}

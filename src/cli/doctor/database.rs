//! Whether a service can work with the database, and what waits in it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use crate::cli::doctor::report::Finding::{self, Bad, Good, Note};
use crate::cli::doctor::report::Report;
use crate::cli::failure::causes;
use crate::config::{Config, StoreUrl};
use crate::domain::close_drift::Drift;
use crate::domain::database_url::DatabaseUrl;
use crate::domain::odd_record::KnownOddRecord;
use crate::domain::order::State;
use crate::store::{Inspection, Store};

/// The most odd records that are listed.
const ODD_RECORDS: usize = 5;
const GRANT_CREATE: &str = "the user may not create tables: `GRANT USAGE, CREATE ON SCHEMA public` to it, or let it own \
                            the database";

/// Checks the database. Returns the organization of the stored inventory, if known, and the stored differences of
/// Close's API.
pub(super) async fn check(
    config: &Config,
    deadline: Duration,
    report: &mut Report,
) -> Option<(Option<String>, BTreeSet<Drift>)> {
    let url = match config.store.url() {
        Ok(url) => url,
        Err(wrong) => {
            report.add("database", Bad(wrong));
            return None;
        }
    };
    if let Some(weakness) = url.weakness() {
        report.add("database", Note(weakness));
    }
    if let Some(finding) = missing_file(&url) {
        report.add("database", finding);
        return None;
    }
    let check = tokio::time::timeout(deadline, async {
        let store = Store::open_read_only(url.secret()).await?;
        let inspection = store.inspect().await?;
        let migrated = store.migrated().await?;
        let new = !migrated && store.is_new().await?;
        if let Some(finding) = unusable(&url, &inspection, migrated, new) {
            return Ok(Err(finding));
        }
        let open = store.open_orders().await?;
        let (organization, drifts) = (store.known_organization().await?, store.close_drifts().await?);
        let odd = store.known_odd_records().await?;
        let drifts = drifts.sightings.into_iter().map(|known| known.drift).collect();
        anyhow::Ok(Ok((inspection, open, odd, (organization, drifts))))
    });
    let (inspection, open, odd, facts) = match check.await {
        Ok(Ok(Ok(found))) => found,
        Ok(Ok(Err(finding))) => {
            report.add("database", finding);
            return None;
        }
        Ok(Err(error)) => {
            report.add("database", Bad(format!("{url}: {}", causes(&error))));
            return None;
        }
        Err(_) => {
            report.add(
                "database",
                Bad(format!("{url}: does not respond within {} s", deadline.as_secs())),
            );
            return None;
        }
    };
    report.add(
        "database",
        if inspection.transaction_pooling {
            Note(format!(
                "{url}, behind a pooler in transaction mode: replicas notice each other's changes by polling"
            ))
        } else {
            Good(url.to_string())
        },
    );
    let count = |state| -> i64 {
        let of_state = open.iter().filter(|orders| orders.state == state);
        of_state.map(|orders| orders.count).sum()
    };
    let (unverified, review) = (count(State::Unverified), count(State::NeedsReview));
    let queued = count(State::Queued);
    let text = format!("{queued} queued, {unverified} unverified, {review} in manual review");
    let settled = unverified == 0 && review == 0;
    report.add("orders", if settled { Good(text) } else { Note(text) });
    for record in odd.iter().take(ODD_RECORDS) {
        let KnownOddRecord {
            kind, name, fault, ..
        } = record;
        report.add("odd record", Note(format!("{kind} {name}: {fault}")));
    }
    if let Some(more) = odd.len().checked_sub(ODD_RECORDS).filter(|more| *more > 0) {
        report.add("odd record", Note(format!("and {more} more")));
    }
    Some(facts)
}

/// Reports a SQLite file that does not exist; `None` for another database.
fn missing_file(url: &StoreUrl) -> Option<Finding> {
    let Ok(DatabaseUrl::Sqlite(path)) = DatabaseUrl::parse(url.secret().expose_secret()) else {
        return None;
    };
    let path = Path::new(&path);
    if path.exists() {
        return None;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Some(match folder.filter(|folder| !folder.is_dir()) {
        Some(folder) => Bad(format!("{url}: the folder {} does not exist", folder.display())),
        None => Note(format!("{url}: the file does not exist yet; `serve` creates it")),
    })
}

/// Explains why a service could not work with this database now.
fn unusable(url: &StoreUrl, inspection: &Inspection, migrated: bool, new: bool) -> Option<Finding> {
    if new {
        return Some(if inspection.no_create {
            Bad(format!("it has no tables yet, and {GRANT_CREATE}"))
        } else {
            Note(format!(
                "{url}: it has no tables yet; `serve` and `numberdesk migrate` create them"
            ))
        });
    }
    if !migrated {
        let text = "the schema is of another version: run `numberdesk migrate`";
        return Some(Bad(if inspection.no_create {
            format!("{text}; {GRANT_CREATE}")
        } else {
            text.to_owned()
        }));
    }
    if inspection.only_reads {
        return Some(Bad(
            "accepts only reads: it is a standby, or default_transaction_read_only is on".to_owned(),
        ));
    }
    let table = inspection.denied_table.as_ref()?;
    Some(Bad(format!(
        "the user may not read and write the table {table}: `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN \
         SCHEMA public` to it"
    )))
}

//! Polls the listener's certificate and key: a changed pair takes effect once both files are complete and match.

use crate::app::files::FILE_POLL;
use crate::app::workers::Workers;
use crate::config::{Config, Identity, TlsFiles};
use crate::domain::time::Clock;
use crate::http::{ReloadStatus, Tls};
use crate::telemetry::metrics::{TLS_CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS, TLS_CERTIFICATE_GOOD};

/// The certificate in force, and the files of the next one.
pub(super) struct CertificateWatch {
    files: TlsFiles,
    tls: Tls,
    in_force: Identity,
    clock: Clock,
}

impl CertificateWatch {
    /// Reads the files; `None` if the listener serves plain HTTP.
    ///
    /// An expired certificate does not prevent the start: workers run, and a new certificate needs no restart.
    pub(super) fn start(config: &Config, clock: Clock) -> anyhow::Result<Option<Self>> {
        let Some(files) = config.server.tls.clone() else {
            return Ok(None);
        };
        let identity = files.read().map_err(anyhow::Error::msg)?;
        Ok(Some(Self {
            tls: Tls::new(identity.certified.clone()),
            in_force: identity,
            files,
            clock,
        }))
    }

    pub(super) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Puts a changed pair in force.
    ///
    /// The pair in force stays if the files are unusable. It also stays if it is valid now and the certificate in the
    /// files is not. Both are errors of every step.
    fn reload(&mut self, status: &ReloadStatus) -> Result<(), String> {
        let now = self.clock.now();
        let valid = self.in_force.out_of_time(now).is_none();
        let read = self.files.read().and_then(|found| match found.out_of_time(now) {
            Some(why) if valid => Err(format!("{}: {why}", self.files.certificate.display())),
            _ => Ok(found),
        });
        let outcome = match read {
            Ok(found) => {
                if !found.is(&self.in_force) {
                    tracing::info!(until = found.not_after.in_words(), "TLS certificate replaced");
                    self.tls.replace(found.certified.clone());
                    self.in_force = found;
                }
                let why = self.in_force.out_of_time(now);
                why.map_or(Ok(()), |why| {
                    Err(format!("clients refuse the TLS certificate: {why}"))
                })
            }
            Err(why) => Err(format!(
                "the TLS certificate or its key is broken, the last good pair stays in force: {why}"
            )),
        };
        metrics::gauge!(TLS_CERTIFICATE_GOOD).set(f64::from(u8::from(outcome.is_ok())));
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds are exact for millions of years"
        )]
        metrics::gauge!(TLS_CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS)
            .set(self.in_force.not_after.as_seconds() as f64);
        status.record("tls_certificate", now, &outcome, Some(self.in_force.not_after));
        outcome
    }
}

/// Starts the worker that polls the files.
pub(super) fn spawn(workers: &Workers, watched: Option<CertificateWatch>, status: &ReloadStatus) {
    if let Some(mut watched) = watched {
        let status = status.clone();
        workers.every("tls", FILE_POLL, FILE_POLL, move || {
            std::future::ready(watched.reload(&status))
        });
    }
}

//! The listener's certificate as its files have it now: another pair takes effect when it is there, whole.

use crate::app::files::WATCH;
use crate::app::workers::Workers;
use crate::config::{Config, Identity, TlsFiles};
use crate::domain::time::Clock;
use crate::http::{ReloadStatus, Tls};
use crate::telemetry::metrics::{TLS_CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS, TLS_CERTIFICATE_GOOD};

/// The certificate in force, and where the next one comes from.
pub(super) struct Watched {
    files: TlsFiles,
    tls: Tls,
    in_force: Identity,
    clock: Clock,
}

impl Watched {
    /// As the files are now; nothing where the listener speaks plain HTTP. A certificate that has expired is no reason not
    /// to start: what else the desk does goes on, and the next certificate needs no restart.
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

    /// Puts another pair in force. What can't be used, or is out of its time while the one in force is not, keeps that one,
    /// and is told at every look.
    fn look(&mut self, status: &ReloadStatus) -> Result<(), String> {
        let now = self.clock.now();
        let in_time = self.in_force.out_of_time(now).is_none();
        let looked = self.files.read().and_then(|found| match found.out_of_time(now) {
            Some(why) if in_time => Err(format!("{}: {why}", self.files.certificate.display())),
            _ => Ok(found),
        });
        let news = match looked {
            Ok(found) => {
                if !found.is(&self.in_force) {
                    tracing::info!(until = %found.not_after, "another TLS certificate is in force");
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
        metrics::gauge!(TLS_CERTIFICATE_GOOD).set(f64::from(u8::from(news.is_ok())));
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds are exact for millions of years"
        )]
        metrics::gauge!(TLS_CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS)
            .set(self.in_force.not_after.as_seconds() as f64);
        status.record("tls_certificate", now, &news, Some(self.in_force.not_after));
        news
    }
}

/// Looks at the files again and again.
pub(super) fn spawn(workers: &Workers, watched: Option<Watched>, status: &ReloadStatus) {
    if let Some(mut watched) = watched {
        let status = status.clone();
        workers.every("tls", WATCH, WATCH, move || {
            std::future::ready(watched.look(&status))
        });
    }
}

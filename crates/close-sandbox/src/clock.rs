//! Where the simulated Close takes its time from; the only place that may ask the machine.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// A source of time that can be replaced; cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the simulated Close meets real time"
    )]
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// Any other source; it is asked on every request.
    pub fn new(source: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}

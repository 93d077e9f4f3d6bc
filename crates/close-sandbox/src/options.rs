//! How a simulated Close starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::clock::Clock;
use crate::faults::fault::Fault;
use crate::settings::Settings;

/// How a simulated Close starts. The default: loopback, any free port, seed 1, no faults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on; port 0 lets the system choose.
    ///
    /// The control routes need no key, so expose the address only to clients that may control the simulation.
    pub listen: SocketAddr,
    /// Determines all generated data: ids, API key, users, groups and phone numbers.
    pub seed: u64,
    /// Faults that are armed from the start; see [`faults_from_json`](crate::faults_from_json).
    pub faults: Vec<Fault>,
    /// Initial settings; `POST /_control/settings` changes them at run time.
    pub settings: Settings,
    /// How many numbers the organization holds at the start, rented by a person in Close.
    pub numbers: u32,
    /// A file that keeps the organization between starts; without one, every start is from the seed.
    ///
    /// It has users, groups, numbers and the event log. Settings, faults, webhook subscriptions and the lists of
    /// requests and deliveries begin anew.
    pub state_file: Option<PathBuf>,
    /// The source of time.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            faults: Vec::new(),
            settings: Settings::default(),
            numbers: 0,
            state_file: None,
            clock: Clock::system(),
        }
    }
}

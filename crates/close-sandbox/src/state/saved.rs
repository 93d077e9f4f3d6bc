//! Keeps the organization in a file, so that the next start continues with the same numbers and events.
//!
//! The file is replaced before the response to each change is sent. A client that keeps its own database therefore
//! never knows of a number that the simulation has forgotten, even if the process is killed.

use std::borrow::Cow;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::State;
use crate::events::Event;
use crate::numbers::number::Number;
use crate::organization::{Group, User};
use crate::random::Random;

/// The version of the file's format.
const FORMAT: u32 = 1;
/// How many events the next start keeps; Close keeps those of 30 days.
const KEPT_EVENTS: usize = 1_000;

/// The content of the file: borrowed from the state to write it, and owned after it was read.
#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    format: u32,
    seed: u64,
    random: Cow<'a, Random>,
    ephemeral: Cow<'a, Random>,
    users: Cow<'a, [User]>,
    groups: Cow<'a, [Group]>,
    numbers: Cow<'a, [Number]>,
    events: Cow<'a, [Event]>,
}

impl State {
    /// Continues with the organization in the state file, if the options name one that exists.
    ///
    /// Fails if the file cannot be read, or is of another version or seed.
    pub(crate) fn restore(&mut self) -> anyhow::Result<()> {
        let Some(file) = &self.options.state_file else {
            return Ok(());
        };
        let name = file.display();
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("{name} cannot be read")),
        };
        let saved: Saved<'_> = serde_json::from_slice(&text)
            .with_context(|| format!("{name} is not a state of the simulated Close"))?;
        ensure!(
            saved.format == FORMAT,
            "{name} has format {}, this version reads format {FORMAT}",
            saved.format
        );
        ensure!(
            saved.seed == self.options.seed,
            "{name} was made with seed {}, not {}",
            saved.seed,
            self.options.seed
        );
        self.random = saved.random.into_owned();
        self.ephemeral = saved.ephemeral.into_owned();
        self.users = saved.users.into_owned();
        self.groups = saved.groups.into_owned();
        self.numbers = saved.numbers.into_owned();
        self.events = saved.events.into_owned();
        let old = self.events.len().saturating_sub(KEPT_EVENTS);
        self.events.drain(..old);
        Ok(())
    }

    /// Writes the organization to the state file, if the options name one.
    pub(crate) fn save(&self) {
        if let Some(file) = &self.options.state_file
            && let Err(error) = self.write(file)
        {
            tracing::error!(%error, file = %file.display(), "the state of the simulated Close cannot be saved");
        }
    }

    fn write(&self, file: &Path) -> io::Result<()> {
        let saved = Saved {
            format: FORMAT,
            seed: self.options.seed,
            random: Cow::Borrowed(&self.random),
            ephemeral: Cow::Borrowed(&self.ephemeral),
            users: Cow::Borrowed(self.users.as_slice()),
            groups: Cow::Borrowed(self.groups.as_slice()),
            numbers: Cow::Borrowed(self.numbers.as_slice()),
            events: Cow::Borrowed(self.events.as_slice()),
        };
        let new = file.with_extension("new");
        // A file that an interrupted process left behind could have another mode.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        opened.write_all(&serde_json::to_vec(&saved)?)?;
        fs::rename(new, file)
    }
}

//! The progress of a long command, on a terminal only: elsewhere nothing is written.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the line is drawn while nothing is reported.
const TICK: Duration = Duration::from_millis(200);

/// One line on stderr, which is removed at the end. It has no colours.
pub(super) struct ProgressLine(Option<ProgressBar>);

impl ProgressLine {
    /// Begins a line, if stderr is a terminal that can move its cursor.
    pub(super) fn start(step: &'static str) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if dumb || !stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {msg} {human_pos}"));
        bar.set_message(step);
        bar.enable_steady_tick(TICK);
        Self(Some(bar))
    }

    /// Reports how far a step is. `total` is `None` if it is unknown.
    pub(super) fn report(&self, step: &'static str, done: u64, total: Option<u64>) {
        let Some(bar) = &self.0 else { return };
        if bar.length() != total {
            match total {
                Some(total) => {
                    bar.set_length(total);
                    bar.set_style(style(
                        "{spinner} {msg:20} [{bar:30}] {human_pos} of {human_len}, {eta} left",
                    ));
                }
                None => bar.unset_length(),
            }
        }
        bar.set_message(step);
        bar.set_position(done);
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &'static str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed")
}

//! What the walk shows.

use std::fmt;
use std::io::{self, Write};
use std::process;
use std::time::{Duration, Instant};

use tidings::{Confirmation, Event, Gap, Message, MonitorEvent, PubSub};

/// How long the walk waits for something that is on its way.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// Narrow screens have so many columns.
const COLUMNS: usize = 80;

/// Before what comes of a step.
const INDENT: &str = "      ";

/// An address with its port.
const CLIENT_WIDTH: usize = 15;

/// A longer argument is cut.
const LONGEST_ARG: usize = 50;

/// Prints what happens.
pub(crate) struct Screen {
    /// What stands before each name, and is not shown.
    prefix: String,
    /// From when on the times are that are shown.
    begun: Instant,
}

impl Screen {
    pub(crate) fn new(prefix: String) -> Self {
        Self {
            prefix,
            begun: Instant::now(),
        }
    }

    /// The same, for what happens from now on.
    pub(crate) fn story(&self) -> Self {
        Self::new(self.prefix.clone())
    }

    /// The name that stands on the server for one that is shown.
    pub(crate) fn name(&self, shown: &str) -> String {
        format!("{}{shown}", self.prefix)
    }

    pub(crate) fn is_ours(&self, arg: &[u8]) -> bool {
        arg.starts_with(self.prefix.as_bytes())
    }

    pub(crate) fn is_in(&self, text: &str) -> bool {
        text.contains(&self.prefix)
    }

    pub(crate) fn part(&self, title: &str) {
        say(format_args!("\n━━━━ {title}"));
    }

    /// A step.
    pub(crate) fn title(&self, title: &str) {
        say(format_args!("\n── {title}"));
    }

    /// What is done.
    pub(crate) fn code(&self, code: &str) {
        say(format_args!("  {code}"));
    }

    /// What comes of it.
    pub(crate) fn gives(&self, value: impl fmt::Display) {
        say(format_args!(
            "{INDENT}{}",
            value.to_string().replace(&self.prefix, "")
        ));
    }

    /// The same in as many lines as it takes; `first` stands before it.
    pub(crate) fn wrapped(&self, first: &str, text: &str) {
        let indent = " ".repeat(first.len());
        let mut line = first.to_owned();
        for word in text.split(' ') {
            if INDENT.len() + line.len() + 1 + word.len() > COLUMNS && line.len() > indent.len() {
                self.gives(line.trim_end());
                line.clone_from(&indent);
            }
            line.push_str(word);
            line.push(' ');
        }
        self.gives(line.trim_end());
    }

    /// What happens now.
    pub(crate) fn now(&self, what: impl fmt::Display) {
        say(format_args!(
            "{:6.2} s  {what}",
            self.begun.elapsed().as_secs_f64()
        ));
    }

    /// More of what has just happened.
    pub(crate) fn then(&self, what: impl fmt::Display) {
        say(format_args!("          {what}"));
    }

    /// Reads one event, and shows it.
    pub(crate) async fn read(&self, pubsub: &mut PubSub) -> tidings::Result<()> {
        say("  pubsub.get_message(..).await?");
        match pubsub.get_message(SOON).await? {
            Some(event) => self.event(&event),
            None => self.gives("None"),
        }
        Ok(())
    }

    pub(crate) fn event(&self, event: &Event) {
        self.gives(match event {
            Event::Message(message) => self.message(message),
            Event::Confirmation(confirmation) => self.confirmation(confirmation),
            Event::Gap(gap) => self.gap(gap),
            other => other.kind().to_owned(),
        });
    }

    /// A command that the server ran: for whom, and which.
    pub(crate) fn command(&self, event: &MonitorEvent) {
        let client = event.client().to_string();
        let words = event.command().iter().map(|arg| shown(arg));
        let command = words.collect::<Vec<_>>().join(" ");
        self.gives(format!("{client:<CLIENT_WIDTH$}  {command}"));
    }

    fn message(&self, message: &Message) -> String {
        let kind = message.kind();
        let pattern = message
            .pattern_str()
            .map(|p| format!(" pattern {p:?},"))
            .unwrap_or_default();
        format!(
            "{kind}:{pattern} channel {:?}, payload {:?}",
            message.channel_str(),
            message.text()
        )
    }

    fn confirmation(&self, confirmation: &Confirmation) -> String {
        let count = confirmation.count();
        format!(
            "{}: {:?}, {count} subscribed now",
            confirmation.kind(),
            confirmation.name_str()
        )
    }

    fn gap(&self, gap: &Gap) -> String {
        let names: Vec<_> = gap.names().map(String::from_utf8_lossy).collect();
        let time = gap.until().duration_since(gap.since()).unwrap_or_default();
        let dropped = gap
            .dropped()
            .map(|n| format!("{n} messages, "))
            .unwrap_or_default();
        format!(
            "GAP: {:?}, {dropped}within {time:.1?}, of {names:?}",
            gap.cause()
        )
    }
}

/// Prints a line. Where nobody reads any more, as behind `| head`, the walk is over.
pub(crate) fn say(line: impl fmt::Display) {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        written => written.expect("it can be printed"),
    }
}

/// An argument as one writes it, on one line.
pub(crate) fn shown(arg: &[u8]) -> String {
    let text = String::from_utf8_lossy(arg);
    let mut words = text.split_whitespace();
    let line = words.by_ref().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_ARG) {
        Some((at, _)) => format!("{:?}…", &line[..at]),
        None if line.contains(' ') || line.is_empty() => format!("{line:?}"),
        None => line,
    }
}

//! What is published, line by line as it comes: `tail -f` for channels, without any asynchronous code.
//!
//! ```text
//! cargo run -p tidings-examples --example tail -- redis://127.0.0.1:6379 news 'user:*'
//! ```
//!
//! A name with `*`, `?` or `[` in it is a pattern. Messages go to the standard output and everything else to the standard
//! error, so that `… | grep rain` sees messages only. It goes on through losses until Ctrl-C ends it.

use std::env;
use std::io::{self, Write};

use anyhow::bail;
use tidings::Event;
use tidings::blocking::Client;

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let Some(url) = arguments.next() else {
        bail!("usage: tail URL NAME…");
    };
    let (patterns, channels): (Vec<String>, Vec<String>) =
        arguments.partition(|name| name.contains(['*', '?', '[']));
    if patterns.is_empty() && channels.is_empty() {
        bail!("no channel and no pattern was named");
    }

    let client = Client::connect(url)?;
    let pubsub = client
        .pubsub()
        .channels(channels)
        .patterns(patterns)
        .ignore_subscribe_messages(true)
        .open()?;
    eprintln!("--- listening ---");

    let mut output = io::stdout().lock();
    for event in pubsub {
        let written = match event {
            Ok(Event::Message(message)) => {
                writeln!(output, "{}: {}", message.channel_str(), message.text())
            }
            Ok(Event::Gap(gap)) => {
                let cause = gap.cause();
                writeln!(io::stderr(), "--- messages may be missing: {cause} ---")
            }
            Ok(_) => Ok(()),
            // A name that may no longer be subscribed, for instance. The others go on.
            Err(error) => writeln!(io::stderr(), "--- {:#} ---", anyhow::Error::from(error)),
        };
        match written {
            Ok(()) => {}
            // Whoever read our output, such as `head`, has had enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

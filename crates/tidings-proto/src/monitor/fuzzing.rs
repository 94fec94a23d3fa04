//! What holds for any bytes at all.

#![allow(clippy::panic, reason = "to panic is how these functions report")]

use std::sync::Arc;

use super::{Arities, MonitorError, MonitorEvent, Notation};
use crate::resp::Reply;

/// Reads `data` as a line of MONITOR.
///
/// # Panics
///
/// If what was read is written differently, or is read differently by who knows no escapes and is certain.
pub fn monitor(data: &[u8]) {
    let commands = b"*3\r\n*2\r\n+set\r\n:-3\r\n*2\r\n+get\r\n:2\r\n*2\r\n+ping\r\n:-1\r\n";
    let commands = Reply::parse(commands).map(Arities::from_reply);
    let raw = Notation::Raw(Arc::new(commands.unwrap_or_default()));
    let raw = MonitorEvent::parse(data, &raw);
    let escaped = MonitorEvent::parse(data, &Notation::Escaped);
    if let Ok(event) = &escaped {
        assert!(!event.command().is_empty());
        let shown = event.to_string();
        let again = MonitorEvent::parse(shown.as_bytes(), &Notation::Escaped);
        assert_eq!(again.as_ref(), Ok(event), "{shown}");
        assert!(
            !matches!(raw, Err(MonitorError::Unreadable(_))),
            "doubtful at most: {shown}"
        );
    }
    if let Ok(raw) = raw {
        assert_eq!(Ok(raw), escaped, "a certain line needs no escapes");
    }
}

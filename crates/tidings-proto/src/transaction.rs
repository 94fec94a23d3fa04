//! The replies to MULTI, to the commands that it queues, and to EXEC.

use std::ops::Range;

use crate::error::{ProtocolError, ServerError};
use crate::resp::{Reply, excerpt};

const OK: &[u8] = b"+OK\r\n";
const QUEUED: &[u8] = b"+QUEUED\r\n";

/// Goes along the replies to a transaction that was sent in one go.
///
/// Nothing is kept of a reply but the first error, so that a transaction of any length costs the same:
///
/// ```
/// use tidings_proto::Transaction;
///
/// let mut transaction = Transaction::new(2);
/// assert_eq!(transaction.handle_replies(b"+OK\r\n+QUEUED\r\n")?, None);
/// let rest = b"+QUEUED\r\n*2\r\n+OK\r\n:1\r\n";
/// let exec = transaction.handle_replies(rest)?.unwrap();
/// assert_eq!(rest[exec], *b"*2\r\n+OK\r\n:1\r\n");
/// assert!(transaction.refusal().is_none());
/// # Ok::<(), tidings_proto::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Transaction {
    /// The answer to an ASKING before it is yet to come.
    asking: bool,
    commands: usize,
    seen: usize,
    refusal: Option<Refusal>,
}

/// A command that was not queued.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Which one: 0 is MULTI itself, 1 the first command within it.
    pub command: usize,
    /// The server's reason.
    pub error: ServerError,
    /// Something may have run all the same: MULTI was refused, and a command behind it was not, or for another reason.
    pub ran: bool,
}

impl Transaction {
    /// A transaction of so many commands, MULTI and EXEC not counted.
    pub fn new(commands: usize) -> Self {
        Self {
            asking: false,
            commands,
            seen: 0,
            refusal: None,
        }
    }

    /// The same with an `ASKING` before MULTI, which holds for all of it and has a reply of its own.
    pub fn behind_asking(commands: usize) -> Self {
        Self {
            asking: true,
            ..Self::new(commands)
        }
    }

    /// The first command that was refused while the transaction was queued: nothing has run, unless it was MULTI.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Takes the next replies, which are whole; gives where among them that to EXEC is, if it is.
    ///
    /// # Errors
    ///
    /// The peer answers in a way that no transaction is answered.
    pub fn handle_replies(
        &mut self,
        replies: &[u8],
    ) -> Result<Option<Range<usize>>, ProtocolError> {
        let mut rest = replies;
        if self.asking {
            let Some((_, after)) = Reply::split(rest)? else {
                return Ok(None);
            };
            rest = after;
            self.asking = false;
        }
        loop {
            let expected = if self.seen == 0 { OK } else { QUEUED };
            if self.seen > self.commands {
                let start = replies.len().saturating_sub(rest.len());
                return Ok((!rest.is_empty()).then_some(start..replies.len()));
            }
            if let Some(after) = rest.strip_prefix(expected) {
                rest = after;
            } else {
                let Some((reply, after)) = Reply::split(rest)? else {
                    return Ok(None);
                };
                self.other(&reply, rest)?;
                rest = after;
            }
            self.seen = self.seen.saturating_add(1);
        }
    }

    /// What is not OK or QUEUED at first sight.
    fn other(&mut self, reply: &Reply<'_>, bytes: &[u8]) -> Result<(), ProtocolError> {
        if let Some(refusal) = &mut self.refusal
            && refusal.command == 0
        {
            // Without MULTI the commands are run one by one.
            let is_same = matches!(reply, Reply::Error(text) if ServerError::new(text).code() == refusal.error.code());
            refusal.ran |= !is_same;
            return Ok(());
        }
        match (reply, &self.refusal) {
            // There was an attribute before it.
            (Reply::Simple(b"OK"), _) if self.seen == 0 => Ok(()),
            (Reply::Simple(b"QUEUED"), _) if self.seen > 0 => Ok(()),
            (Reply::Error(error), None) => {
                self.refusal = Some(Refusal {
                    command: self.seen,
                    error: ServerError::new(error),
                    ran: false,
                });
                Ok(())
            }
            (Reply::Error(_), Some(_)) => Ok(()),
            _ => Err(ProtocolError::new(format!(
                "a reply in the place of QUEUED: {}",
                excerpt(bytes)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(commands: usize, wire: &str) -> (Option<String>, Option<usize>) {
        let mut whole = None;
        // However the replies are spread over reads, the same comes out.
        for cut in 0..=wire.len() {
            let mut transaction = Transaction::new(commands);
            let mut at = 0;
            let mut exec = None;
            for end in [cut, wire.len()] {
                // Only whole replies are given.
                let mut end_of_whole = at;
                let mut rest = &wire.as_bytes()[at..end];
                while let Ok(Some((_, after))) = Reply::split(rest) {
                    end_of_whole = end - after.len();
                    rest = after;
                }
                let part = &wire.as_bytes()[at..end_of_whole];
                if let Some(range) = transaction.handle_replies(part).unwrap() {
                    exec = Some(String::from_utf8_lossy(&part[range]).into_owned());
                }
                at = end_of_whole;
            }
            let refused = transaction.refusal().map(|refusal| refusal.command);
            let this = (exec, refused);
            assert_eq!(
                *whole.get_or_insert_with(|| this.clone()),
                this,
                "cut at {cut}"
            );
        }
        whole.unwrap()
    }

    #[test]
    fn the_answer_to_asking_is_passed_over_whatever_it_is() {
        for asking in [
            "+OK\r\n",
            "-ERR This instance has cluster support disabled\r\n",
        ] {
            let wire = format!("{asking}+OK\r\n+QUEUED\r\n*1\r\n:1\r\n");
            let mut transaction = Transaction::behind_asking(1);
            assert_eq!(transaction.handle_replies(b"").unwrap(), None);
            let exec = transaction
                .handle_replies(wire.as_bytes())
                .unwrap()
                .unwrap();
            assert_eq!(&wire[exec], "*1\r\n:1\r\n");
            assert!(transaction.refusal().is_none());
        }
    }

    #[test]
    fn the_reply_to_exec_is_what_is_left() {
        let (exec, refused) = outcome(2, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:2\r\n");
        assert_eq!(exec.as_deref(), Some("*2\r\n:1\r\n:2\r\n"));
        assert_eq!(refused, None);
        let (exec, _) = outcome(0, "+OK\r\n*0\r\n");
        assert_eq!(exec.as_deref(), Some("*0\r\n"));
    }

    #[test]
    fn the_first_refusal_is_kept() {
        let (exec, refused) = outcome(3, "+OK\r\n+QUEUED\r\n-ERR a\r\n-ERR b\r\n-EXECABORT no\r\n");
        assert_eq!(exec.as_deref(), Some("-EXECABORT no\r\n"));
        assert_eq!(refused, Some(2));
    }

    #[test]
    fn attributes_change_nothing() {
        let attribute = "|1\r\n+ttl\r\n:3600\r\n";
        let wire = ["+OK\r\n", "+QUEUED\r\n", "*1\r\n:1\r\n"]
            .map(|reply| format!("{attribute}{reply}"))
            .concat();
        let (exec, refused) = outcome(1, &wire);
        assert_eq!(exec, Some(format!("{attribute}*1\r\n:1\r\n")));
        assert_eq!(refused, None);
    }

    #[test]
    fn without_multi_the_commands_ran_by_themselves() {
        let (exec, refused) = outcome(
            2,
            "-NOPERM no\r\n:1\r\n*1\r\n:1\r\n-ERR EXEC without MULTI\r\n",
        );
        assert_eq!(exec.as_deref(), Some("-ERR EXEC without MULTI\r\n"));
        assert_eq!(refused, Some(0));
    }

    #[test]
    fn without_multi_nothing_ran_only_if_all_was_refused_for_the_same_reason() {
        let ran = |wire: &str| {
            let mut transaction = Transaction::new(2);
            transaction.handle_replies(wire.as_bytes()).unwrap();
            transaction.refusal().unwrap().ran
        };
        assert!(!ran(
            "-LOADING a\r\n-LOADING b\r\n-LOADING c\r\n-LOADING d\r\n"
        ));
        assert!(ran(
            "-LOADING a\r\n-LOADING b\r\n:1\r\n-ERR EXEC without MULTI\r\n"
        ));
        assert!(ran(
            "-LOADING a\r\n-LOADING b\r\n-WRONGTYPE c\r\n-ERR EXEC\r\n"
        ));
        assert!(!ran("+OK\r\n-ERR a\r\n+QUEUED\r\n-EXECABORT b\r\n"));
    }

    #[test]
    fn a_reply_that_is_not_queued_breaks_the_protocol() {
        let mut transaction = Transaction::new(1);
        let error = transaction.handle_replies(b"+OK\r\n:1\r\n").unwrap_err();
        assert!(
            error.to_string().contains("in the place of QUEUED"),
            "{error}"
        );
    }
}

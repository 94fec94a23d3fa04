//! Scripts: run by their digest, and loaded where a server does not know them yet.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tidings_proto::{Command, FromReply, Reply, ServerError, ToArgs, cmd};

use crate::commands::Commands;
use crate::commands::args::Counted;
use crate::error::Result;

/// A Lua script that runs on the server.
///
/// It goes over the wire as its digest (`EVALSHA`), and once as a whole (`EVAL`) to a server that does not know it:
/// a new one, one that was restarted, or one whose scripts were flushed. Make it once, and clone it at will: a clone
/// is a reference.
///
/// ```no_run
/// use std::sync::LazyLock;
/// use tidings::Script;
///
/// /// Counts up to a limit.
/// static TAKE: LazyLock<Script> = LazyLock::new(|| {
///     Script::new(
///         "local n = tonumber(redis.call('GET', KEYS[1]) or '0')
///          if n >= tonumber(ARGV[1]) then return nil end
///          return redis.call('INCR', KEYS[1])",
///     )
/// });
///
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// let taken: Option<i64> = TAKE.run(&client, "seats", 40).await?;
/// # Ok(())
/// # }
/// ```
///
/// All keys that it touches belong in its keys and not in its text or its arguments: they say where it runs in a
/// cluster. What differs from call to call belongs in its arguments: each text is a script of its own, which the
/// server keeps.
#[derive(Clone)]
pub struct Script {
    inner: Arc<Inner>,
}

struct Inner {
    source: String,
    digest: String,
}

impl Script {
    /// A script of this text. Nothing is sent; a mistake in it shows when it runs.
    pub fn new(source: impl Into<String>) -> Self {
        let source = source.into();
        let digest = sha1_smol::Sha1::from(&source).digest().to_string();
        Self {
            inner: Arc::new(Inner { source, digest }),
        }
    }

    /// The text.
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// The SHA-1 of the text, as the server names the script: 40 digits in lower case.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// `EVALSHA`: runs the script, and gives what it returns. Keys and arguments are one or many, of text, bytes or
    /// numbers; `None::<&str>` is none of them.
    ///
    /// `client` is whatever runs commands one by one, as `&Client` does. What a script can return: numbers (decimals are
    /// cut off), text, lists, nil, `true` as 1, `false` as nil.
    ///
    /// O(the script's own), since 2.6.0.
    ///
    /// # Errors
    ///
    /// As for any command; what the script or a command in it fails with is the server's
    /// [error reply](crate::ErrorKind::Server). Such an error must not begin with `NOSCRIPT`, or the script
    /// is taken for unknown, and run again.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its first poll, nothing is sent. Dropped later, the script may run all the same, once at
    /// most.
    pub fn run<T, K, A>(
        &self,
        client: impl Commands<
            Output<Result<T, ServerError>>: Future<Output = Result<Result<T, ServerError>>>,
        > + Copy,
        keys: impl ToArgs<K>,
        args: impl ToArgs<A>,
    ) -> impl Future<Output = Result<T>>
    where
        T: FromReply,
    {
        let command = cmd("EVALSHA").arg(self.digest());
        let command = command.arg(Counted(keys)).arg(args);
        call(client, command, "EVAL", self.clone())
    }

    /// `EVALSHA_RO`: as [`run`](Self::run), for a script that changes nothing, which the server holds it to. A replica
    /// runs it too.
    ///
    /// O(the script's own), since 7.0.0.
    ///
    /// # Errors
    ///
    /// As for `run`, and where the script would change something.
    ///
    /// # Cancel safety
    ///
    /// As for `run`.
    pub fn run_ro<T, K, A>(
        &self,
        client: impl Commands<
            Output<Result<T, ServerError>>: Future<Output = Result<Result<T, ServerError>>>,
        > + Copy,
        keys: impl ToArgs<K>,
        args: impl ToArgs<A>,
    ) -> impl Future<Output = Result<T>>
    where
        T: FromReply,
    {
        let command = cmd("EVALSHA_RO").arg(self.digest());
        let command = command.arg(Counted(keys)).arg(args);
        call(client, command, "EVAL_RO", self.clone())
    }
}

/// Asks for the server's error apart, since a `T` that takes errors for values would hide that the script is unknown.
async fn call<C, T>(client: C, by_digest: Command, eval: &str, script: Script) -> Result<T>
where
    C: Commands<Output<Result<T, ServerError>>: Future<Output = Result<Result<T, ServerError>>>>
        + Copy,
    T: FromReply,
{
    let error = match client
        .run::<Result<T, ServerError>>(by_digest.clone())
        .await?
    {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if error.code() != "NOSCRIPT" {
        return failed(&error);
    }
    let args = by_digest.owned_args();
    let whole = cmd(eval).arg(script.source().as_bytes()).arg(&args[1..]);
    match client.run::<Result<T, ServerError>>(whole).await? {
        Ok(value) => Ok(value),
        Err(error) => failed(&error),
    }
}

/// What a `T` makes of the error.
fn failed<T: FromReply>(error: &ServerError) -> Result<T> {
    Ok(T::from_reply(Reply::Error(error.message().as_bytes()))?)
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.inner.digest).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::{Ready, ready};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Answers each command with the next of these replies, and notes the commands.
    struct Fake {
        replies: RefCell<Vec<&'static str>>,
        commands: RefCell<Vec<String>>,
    }

    impl Fake {
        fn new(replies: &[&'static str]) -> Self {
            Self {
                replies: RefCell::new(replies.iter().rev().copied().collect()),
                commands: RefCell::default(),
            }
        }
    }

    impl Commands for &Fake {
        type Output<T: FromReply> = Ready<Result<T>>;

        fn run<T: FromReply>(self, command: Command) -> Ready<Result<T>> {
            self.commands.borrow_mut().push(command.to_string());
            let reply = self.replies.borrow_mut().pop().expect("a reply is left");
            let reply = Reply::parse(reply.as_bytes()).unwrap();
            ready(T::from_reply(reply).map_err(Into::into))
        }
    }

    fn now<F: Future>(future: F) -> F::Output {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it waits"),
        }
    }

    const UNKNOWN: &str = "-NOSCRIPT No matching script. Please use EVAL.\r\n";

    #[test]
    fn the_digest_is_the_sha_1_of_the_text_in_lower_case() {
        let script = Script::new("return 1");
        assert_eq!(script.digest(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(script.source(), "return 1");
        let clone = script.clone();
        assert_eq!(clone.source().as_ptr(), script.source().as_ptr());
        let shown = format!("{script:?}");
        assert_eq!(shown, format!("Script({:?})", script.digest()));
        assert_eq!(
            Script::new("").digest(),
            "da39a3ee5e6b4b0d3255bfef95601890afd80709"
        );
    }

    #[test]
    fn a_known_script_is_one_command_and_an_unknown_one_two_with_the_same_arguments() {
        let script = Script::new("return 1");
        let known = Fake::new(&[":1\r\n"]);
        let one: i64 = now(script.run(&known, ["k", "l"], ["a", "b"])).unwrap();
        assert_eq!(one, 1);
        let by_digest = "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 2 k l a b";
        assert_eq!(known.commands.into_inner(), [by_digest]);

        let unknown = Fake::new(&[UNKNOWN, ":2\r\n"]);
        let two: i64 = now(script.run(&unknown, ["k", "l"], ["a", "b"])).unwrap();
        assert_eq!(two, 2);
        let whole = "EVAL \"return 1\" 2 k l a b";
        assert_eq!(unknown.commands.into_inner(), [by_digest, whole]);

        let unknown = Fake::new(&[UNKNOWN, ":3\r\n"]);
        let none = None::<&str>;
        let three: i64 = now(script.run_ro(&unknown, none, none)).unwrap();
        assert_eq!(three, 3);
        let by_digest = "EVALSHA_RO e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0";
        let whole = "EVAL_RO \"return 1\" 0";
        assert_eq!(unknown.commands.into_inner(), [by_digest, whole]);
    }

    #[test]
    fn an_error_is_the_servers_or_a_value_for_who_asks_for_one() {
        let script = Script::new("return 1");
        let run = |replies: &[&'static str]| {
            let fake = Fake::new(replies);
            let outcome = now(script.run::<i64, _, _>(&fake, "k", "a"));
            (outcome.unwrap_err(), fake.commands.into_inner().len())
        };
        let (error, commands) = run(&["-WRONGTYPE no\r\n"]);
        assert_eq!((error.code(), commands), (Some("WRONGTYPE"), 1));
        let (error, commands) = run(&[UNKNOWN, "-ERR no\r\n"]);
        assert_eq!((error.code(), commands), (Some("ERR"), 2));
        let (error, commands) = run(&[UNKNOWN, UNKNOWN]);
        assert_eq!((error.code(), commands), (Some("NOSCRIPT"), 2));

        let fake = Fake::new(&[UNKNOWN, "-ERR no\r\n"]);
        let value: Result<i64, ServerError> = now(script.run(&fake, "k", "a")).unwrap();
        assert_eq!(value, Err(ServerError::new(b"ERR no")));
        let fake = Fake::new(&[UNKNOWN, ":1\r\n"]);
        let value: Result<i64, ServerError> = now(script.run(&fake, "k", "a")).unwrap();
        assert_eq!(value, Ok(1));
    }
}

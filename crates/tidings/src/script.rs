//! Scripts: run by their digest, and loaded where a server does not know them yet.

use std::fmt;
use std::sync::Arc;

use tidings_proto::{Command, FromReply, ToArgs, cmd};

use crate::commands::Commands;
use crate::commands::args::Counted;

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
    /// `client` is whatever runs commands one by one, as `&Client` does, and what comes back is what its commands give:
    /// a future, or a [`Result`](crate::Result) of a blocking one. What a script can return: numbers (decimals are
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
    pub fn run<T: FromReply, C: Commands, K, A>(
        &self,
        client: C,
        keys: impl ToArgs<K>,
        args: impl ToArgs<A>,
    ) -> C::Output<T> {
        client.run_script(self.call("EVALSHA", "EVAL", keys, args))
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
    pub fn run_ro<T: FromReply, C: Commands, K, A>(
        &self,
        client: C,
        keys: impl ToArgs<K>,
        args: impl ToArgs<A>,
    ) -> C::Output<T> {
        client.run_script(self.call("EVALSHA_RO", "EVAL_RO", keys, args))
    }

    fn call<K, A>(
        &self,
        evalsha: &str,
        eval: &'static str,
        keys: impl ToArgs<K>,
        args: impl ToArgs<A>,
    ) -> ScriptCall {
        let by_digest = cmd(evalsha).arg(self.digest());
        ScriptCall {
            by_digest: by_digest.arg(Counted(keys)).arg(args),
            eval,
            script: self.clone(),
        }
    }
}

/// A script with its keys and arguments, for whoever [runs](Commands::run_script) it.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct ScriptCall {
    by_digest: Command,
    eval: &'static str,
    script: Script,
}

impl ScriptCall {
    /// What is sent first.
    pub fn by_digest(&self) -> Command {
        self.by_digest.clone()
    }

    /// What is sent to a server that does not know the script.
    pub fn whole(&self) -> Command {
        let args = self.by_digest.owned_args();
        let source = self.script.source().as_bytes();
        cmd(self.eval).arg(source).arg(&args[1..])
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.inner.digest).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

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
    fn by_its_digest_and_as_a_whole_it_has_the_same_arguments() {
        let script = Script::new("return 1");
        let call = script.call("EVALSHA", "EVAL", ["k", "l"], ["a", "b"]);
        let digest = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
        let by_digest = format!("EVALSHA {digest} 2 k l a b");
        assert_eq!(call.by_digest().to_string(), by_digest);
        assert_eq!(call.whole().to_string(), "EVAL \"return 1\" 2 k l a b");
        let none = None::<&str>;
        let call = script.call("EVALSHA_RO", "EVAL_RO", none, none);
        assert_eq!(
            call.by_digest().to_string(),
            format!("EVALSHA_RO {digest} 0")
        );
        assert_eq!(call.whole().to_string(), "EVAL_RO \"return 1\" 0");
    }

    #[test]
    fn whoever_knows_no_better_runs_it_as_a_whole() {
        struct Noting<'a>(&'a RefCell<Vec<String>>);

        impl Commands for Noting<'_> {
            type Output<T: FromReply> = ();

            fn run<T: FromReply>(self, command: Command) {
                self.0.borrow_mut().push(command.to_string());
            }
        }

        let commands = RefCell::default();
        Script::new("return 1").run::<i64, _, _, _>(Noting(&commands), "k", "a");
        assert_eq!(commands.into_inner(), ["EVAL \"return 1\" 1 k a"]);
    }
}

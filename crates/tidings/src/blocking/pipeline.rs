//! Many commands in one go.

use tidings_proto::{Command, ToArgs, Value};

use super::runtime;
use crate::error::Result;
use crate::pipeline::{FromReplies, Gathering};
use crate::script::Script;

/// Commands that are gathered, sent in one go, and answered together.
///
/// Made by [`Client::pipeline`](super::Client::pipeline), or by [`Watch::multi`](super::Watch::multi). It is the
/// asynchronous [`Pipeline`](crate::Pipeline), where more stands of it, with calls that wait.
///
/// ```no_run
/// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
/// let replies: (bool, bool, i64) =
///     client.pipeline().set("foo", "bar").sadd("faz", "baz").incr("auto_number").execute()?;
/// assert_eq!(replies, (true, true, 6));
///
/// let mut pipeline = client.pipeline();
/// for n in 0..1000 {
///     pipeline.get(format!("key:{n}"));
/// }
/// let values: Vec<Option<String>> = pipeline.execute()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a pipeline does nothing until it is executed"]
#[derive(Debug)]
pub struct Pipeline {
    inner: crate::Pipeline,
}

impl Pipeline {
    pub(super) fn new(inner: crate::Pipeline) -> Self {
        Self { inner }
    }

    /// Whether the commands are run as a transaction, which is so unless this says otherwise; as
    /// [there](crate::Pipeline::transaction).
    pub fn transaction(&mut self, transaction: bool) -> &mut Self {
        self.inner.transaction(transaction);
        self
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether there is no command.
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// Adds any command; as [there](crate::Pipeline::run).
    pub fn run(&mut self, command: Command) -> &mut Self {
        self.inner.run(command);
        self
    }

    /// Adds a script, which runs by its digest; as [there](crate::Pipeline::script).
    pub fn script<K, A>(
        &mut self,
        script: &Script,
        keys: impl ToArgs<K>,
        args: impl ToArgs<A>,
    ) -> &mut Self {
        self.inner.script(script, keys, args);
        self
    }

    /// Where the methods of the commands add them.
    #[inline]
    pub(crate) fn gathering(&mut self) -> &mut Gathering {
        self.inner.gathering()
    }

    /// Sends the commands, and decodes their replies to a tuple of types, a `Vec`, an array, or `()`.
    ///
    /// # Errors
    ///
    /// As [there](crate::Pipeline::execute).
    pub fn execute<T: FromReplies>(&mut self) -> Result<T> {
        // Where it cannot wait, it keeps its commands.
        runtime::wait(async { self.inner.execute().await })
    }

    /// Sends the commands, and gives what each of them came to.
    ///
    /// ```no_run
    /// # fn example(client: tidings::blocking::Client) -> tidings::Result<()> {
    /// for outcome in client.pipeline().set("foo", "bar").incr("foo").execute_each()? {
    ///     match outcome {
    ///         Ok(value) => println!("{value:?}"),
    ///         Err(error) => println!("{error}"), // command 2 (INCR foo) failed: …
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those that concern all commands, as with [`execute`](Self::execute).
    pub fn execute_each(&mut self) -> Result<Vec<Result<Value>>> {
        runtime::wait(async { self.inner.execute_each().await })
    }
}

//! Many commands in one go.

mod cluster;
mod execute;
mod gathering;
mod replies;

use std::fmt;
use std::sync::Arc;

use tidings_proto::{Charset, Command, ToArgs};

pub use cluster::ClusterPipeline;
pub use execute::{Execute, ExecuteEach};
pub(crate) use gathering::Gathering;
pub use replies::{FromReplies, Replies};

use crate::client::Client;
use crate::cluster::SlotTransactions;
use crate::driver::body::{Batch, Content, Patience};
use crate::error::{Error, Result};
use crate::script::Script;
use crate::watch::Watched;

/// Commands that are gathered, sent in one go, and answered together.
///
/// Made by [`Client::pipeline`], or by [`Watch::multi`](crate::Watch::multi); for one slot of a cluster by
/// [`SlotTransactions::pipeline`], while what is no transaction there is a [`ClusterPipeline`]. It has the methods of
/// [`Commands`](crate::Commands), which add a command each and can be chained; the types of the replies are named
/// where it is executed: a tuple of one type a command, a `Vec` of one type for all, or `()`.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// let replies: (bool, bool, i64) =
///     client.pipeline().set("foo", "bar").sadd("faz", "baz").incr("auto_number").execute().await?;
/// assert_eq!(replies, (true, true, 6));
///
/// let mut pipeline = client.pipeline();
/// for n in 0..1000 {
///     pipeline.get(format!("key:{n}"));
/// }
/// let values: Vec<Option<String>> = pipeline.execute().await?;
/// # Ok(())
/// # }
/// ```
///
/// The methods borrow it. Whoever wants to go on with it later makes it first, as here, and adds commands then;
/// `let pipeline = client.pipeline().get("a");` does not compile.
///
/// It is a transaction (`MULTI`, `EXEC`) unless [`transaction(false)`](Self::transaction) says otherwise: its
/// commands are run with nobody else's in between, and all or none of them. What fails while it runs, such as a
/// command on a value of another type, undoes nothing.
///
/// Of any length: it is written and read in turn. Executed, it is empty and can be used again.
///
/// Commands of Pub/Sub's subscriptions do not exist here, since they would break the framing of the replies;
/// nor do `MULTI` and `WATCH`.
///
/// ```compile_fail,E0599
/// fn subscribing(client: tidings::Client) {
///     client.pipeline().subscribe("news");
/// }
/// ```
#[must_use = "a pipeline does nothing until it is executed"]
pub struct Pipeline {
    target: Target,
    commands: Gathering,
    transaction: bool,
}

enum Target {
    Client(Client),
    /// The node of a slot in a cluster.
    Slot(SlotTransactions),
    Watch(Watched),
    /// The transaction of a watch was executed.
    Over,
}

impl Pipeline {
    pub(crate) fn new(client: Client) -> Self {
        let charset = client.charset();
        Self::to(Target::Client(client), charset)
    }

    pub(crate) fn on_slot(slot: SlotTransactions) -> Self {
        let charset = slot.charset();
        Self::to(Target::Slot(slot), charset)
    }

    pub(crate) fn watching(watched: Watched, charset: Charset) -> Self {
        Self::to(Target::Watch(watched), charset)
    }

    fn to(target: Target, charset: Charset) -> Self {
        Self {
            target,
            commands: Gathering::new(charset),
            transaction: true,
        }
    }

    /// Whether the commands are run as a transaction, which is so unless this says otherwise.
    ///
    /// With `false` they are only sent together: others' commands may be run in between. What a
    /// [`Watch`](crate::Watch) has become is always a transaction, as is what is on one slot of a cluster.
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// let mut pipe = client.pipeline();
    /// pipe.transaction(false);
    /// for n in 0..1_000_000 {
    ///     pipe.set(format!("key:{n}"), n);
    /// }
    /// let (): () = pipe.execute().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn transaction(&mut self, transaction: bool) -> &mut Self {
        let why = match &self.target {
            Target::Client(_) | Target::Over => None,
            Target::Slot(_) => Some(
                "a pipeline on one slot is a transaction: what is none is ClusterClient::pipeline",
            ),
            Target::Watch(_) => {
                Some("what a Watch has become is a transaction, and cannot be told not to be")
            }
        };
        if let Some(why) = why.filter(|_| !transaction) {
            self.commands.note_misuse(Error::misuse(why));
        }
        self.transaction = transaction;
        self
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there is no command.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds any command.
    ///
    /// Those that cannot stand in a pipeline (`MULTI`, `SUBSCRIBE`, `SELECT`, …) make its execution fail as a
    /// [misuse](crate::ErrorKind::Misuse), before anything is sent.
    pub fn run(&mut self, command: Command) -> &mut Self {
        self.commands.run(command);
        self
    }

    /// Adds a script, which runs by its digest.
    ///
    /// Whether the server still knows it cannot be seen before the reply, and that is too late in a pipeline. So it
    /// is loaded on the way, once in a pipeline, which costs the sending of its text; that has no reply of its own
    /// among the others.
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// use tidings::Script;
    ///
    /// let add = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    /// let (one, two): (i64, i64) =
    ///     client.pipeline().script(&add, "n", 1).script(&add, "n", 2).execute().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn script<K, A>(
        &mut self,
        script: &Script,
        keys: impl ToArgs<K>,
        args: impl ToArgs<A>,
    ) -> &mut Self {
        self.commands.script(script, keys, args);
        self
    }

    /// Where the methods of the commands add them: each face of a pipeline has this.
    #[inline]
    pub(crate) fn gathering(&mut self) -> &mut Gathering {
        &mut self.commands
    }

    /// Sends the commands, and decodes their replies to a tuple of types, a `Vec`, an array, or `()`.
    ///
    /// Nothing is sent before the future is polled; dropped, it is as with a command: all of it may run, or
    /// nothing, or, unless it is a transaction, a part.
    ///
    /// # Errors
    ///
    /// The error of the first command that has one, which [says](Error::command_number) which it was. In a
    /// transaction: a command that the server refuses to queue, and then nothing has run; and an error of kind
    /// [`Watch`](crate::ErrorKind::Watch) if a watched key has changed. A tuple or an array of another length than
    /// the pipeline is a [misuse](crate::ErrorKind::Misuse), and nothing is sent.
    ///
    /// A lost connection fails the whole, and [`may_have_run`](Error::may_have_run) says whether any of it may have
    /// run; if not, it is sent again first. Of a [`Watch`](crate::Watch)'s nothing is sent again.
    pub fn execute<T: FromReplies>(&mut self) -> Execute<T> {
        Execute::new(self.take(T::COUNT))
    }

    /// Sends the commands, and gives what each of them came to.
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// for outcome in client.pipeline().set("foo", "bar").incr("foo").execute_each().await? {
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
    /// Those that concern all commands, as with [`execute`](Self::execute): a lost connection, a command that was
    /// not queued, a watched key that has changed.
    pub fn execute_each(&mut self) -> ExecuteEach {
        ExecuteEach::new(self.take(None))
    }

    /// What is to be sent, and where to; leaves an empty pipeline.
    fn take(&mut self, count: Option<usize>) -> execute::Plan {
        let target = match &self.target {
            Target::Client(client) => Target::Client(client.clone()),
            Target::Slot(slot) => Target::Slot(slot.clone()),
            Target::Watch(_) => std::mem::replace(&mut self.target, Target::Over),
            Target::Over => Target::Over,
        };
        let mut fresh = Self::to(Target::Over, self.commands.charset());
        fresh.transaction = self.transaction;
        std::mem::swap(&mut fresh.target, &mut self.target);
        let full = std::mem::replace(self, fresh);
        full.plan(target, count)
    }

    fn plan(mut self, target: Target, count: Option<usize>) -> execute::Plan {
        if let Err(error) = self.check(&target, count) {
            return execute::Plan::Known(Err(error));
        }
        let watching = matches!(target, Target::Watch(_));
        if self.is_empty() && !watching {
            return execute::Plan::Known(Ok(()));
        }
        if let Target::Watch(watched) = &target
            && let Some(slot) = watched.slot()
        {
            // A node that has lost the slot says so to a command with a key.
            self.commands.ensure_key(slot.key());
        }
        let batch = Arc::new(self.into_batch());
        match target {
            Target::Client(client) => execute::Plan::Shared(client, batch),
            Target::Slot(slot) => execute::Plan::Slot(slot, batch),
            Target::Watch(watched) => execute::Plan::Watching(watched, batch),
            Target::Over => execute::Plan::Known(Ok(())),
        }
    }

    fn check(&self, target: &Target, count: Option<usize>) -> Result<()> {
        self.commands.check(None)?;
        let slot = match target {
            Target::Client(_) => None,
            Target::Slot(slot) => Some(slot.slot()?),
            Target::Watch(watched) => watched.slot().map(|slot| slot.slot()),
            Target::Over => {
                return Err(Error::misuse(
                    "the transaction of this Watch was executed already: begin again with Client::watch",
                ));
            }
        };
        self.commands.check(count)?;
        slot.map_or(Ok(()), |slot| self.commands.check_slot(slot))
    }

    fn into_batch(self) -> Batch {
        let gathered = self.commands.into_gathered(self.transaction);
        let (wire, harmless, patience) = if self.transaction {
            // Nothing is run before EXEC, and nothing blocks within it.
            let length = gathered.bytes.len();
            (0..length, length, Patience::Usual)
        } else {
            let wire = gathered.inner.clone();
            (wire, gathered.first, gathered.patience)
        };
        Batch {
            content: Content::Own(gathered.bytes, wire),
            inner: gathered.inner,
            commands: gathered.commands,
            loads: gathered.loads,
            transaction: self.transaction,
            charset: gathered.charset,
            harmless,
            patience,
            ..Batch::default()
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("commands", &self.len())
            .field("transaction", &self.transaction)
            .finish_non_exhaustive()
    }
}

/// Makes a method of a pipeline of each row of a table.
macro_rules! pipeline_methods {
    ($(
        $(#[$meta:meta])*
        fn $name:ident $([$reply:ident])? $(<$($shape:ident),+>)? ($($arg:ident: $type:ty),*) -> $out:ty
            = [$first:literal $($word:tt)*];
    )*) => {$(
        #[doc = concat!("Adds [`", stringify!($name), "`](crate::Commands::", stringify!($name), ").")]
        pub fn $name $(<$($shape),+>)? (&mut self $(, $arg: $type)*) -> &mut Self {
            let pipeline = self.gathering();
            let charset = pipeline.charset();
            let mut command = pipeline.begin($first);
            $(command.arg($word);)*
            if let Err(error) = command.in_charset(charset) {
                pipeline.refuse(&error);
            }
            pipeline.completed(const { tidings_proto::may_block($first) });
            self
        }
    )*};
}

pub(crate) use pipeline_methods;

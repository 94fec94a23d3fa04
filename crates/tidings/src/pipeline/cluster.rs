//! Many commands in one go, in a cluster.

use std::fmt;
use std::sync::Arc;

use tidings_proto::{Command, ToArgs};

use super::{Execute, ExecuteEach, FromReplies, Gathering, execute};
use crate::cluster::ClusterClient;
use crate::driver::cluster::Spread;
use crate::script::Script;

/// Commands that are gathered, sent in one go to the nodes of a cluster, and answered together.
///
/// Made by [`ClusterClient::pipeline`]. It has the methods of [`Commands`](crate::Commands), which add a command each and can
/// be chained; the types of the replies are named where it is executed, as with a [`Pipeline`](crate::Pipeline).
///
/// ```no_run
/// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
/// let mut pipe = cluster.pipeline();
/// pipe.set("foo", "value1").set("bar", "value2").get("foo").get("bar");
/// let replies: (bool, bool, String, String) = pipe.execute().await?;
/// assert_eq!(replies, (true, true, "value1".into(), "value2".into()));
///
/// let (ok, foo1): (bool, String) = pipe.set("foo1", "bar1").get("foo1").execute().await?;
/// # Ok(())
/// # }
/// ```
///
/// The commands are grouped by the node that they go to, and the nodes run them at the same time. The replies come in the
/// order of the commands, and of a million commands no more is kept than they and their replies.
///
/// Each command is for one slot: one without a key, or with the keys of several slots (`MGET`, `DEL`), makes the execution
/// fail as a [misuse](crate::ErrorKind::Misuse) that names it, before anything is sent.
///
/// # No transaction
///
/// The commands of others may run between those of a pipeline, and if one fails the others have run. What is a
/// transaction is for one slot: [`ClusterClient::transaction_on`].
///
/// ```compile_fail,E0599
/// fn transaction(cluster: tidings::ClusterClient) {
///     cluster.pipeline().transaction(true);
/// }
/// ```
///
/// ```compile_fail,E0599
/// fn watch(cluster: tidings::ClusterClient) {
///     cluster.pipeline().watch("foo");
/// }
/// ```
///
/// # Order
///
/// Commands that have a key in common run in the order of the pipeline; between others there is no order, as they may be run
/// by different nodes. With [`read_from_replicas`](crate::Config::read_from_replicas), what only reads goes to a replica: it
/// keeps its order among what only reads, but may or may not see what the same pipeline writes.
///
/// This holds while slots move and nodes fail. A command that is sent elsewhere (`MOVED`, `ASK`, `TRYAGAIN`, …), or whose node
/// was lost before it could run, is followed there as a command that was sent alone. Of one slot they go on in their order.
/// A command is not sent again if a later one with the same key has run already, unless both only read; this happens where a
/// node began to serve a slot in the middle of a pipeline, or did not have all keys of a command while a slot was moved. Its
/// error says so then, and that it has not run.
///
/// # Lost connections
///
/// They fail those commands that may have run, unless they only read, and each error
/// [says so](crate::Error::may_have_run). The replies that have come before count.
#[must_use = "a pipeline does nothing until it is executed"]
pub struct ClusterPipeline {
    cluster: ClusterClient,
    commands: Gathering,
}

impl ClusterPipeline {
    pub(crate) fn new(cluster: ClusterClient) -> Self {
        let charset = cluster.charset();
        Self {
            cluster,
            commands: Gathering::new(charset),
        }
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there is no command.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds any command; of one that is not known here, the first argument is taken for its key.
    ///
    /// Those that cannot stand in a pipeline (`MULTI`, `SUBSCRIBE`, `SELECT`, …) make its execution fail as a
    /// [misuse](crate::ErrorKind::Misuse), before anything is sent.
    pub fn run(&mut self, command: Command) -> &mut Self {
        self.commands.run(command);
        self
    }

    /// Adds a script, which runs by its digest on the node of its keys.
    ///
    /// It is loaded on the way, once on each node that runs it, as in a [`Pipeline`](crate::Pipeline::script).
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
    /// Nothing is sent before the future is polled; dropped, any of the commands may run, or none.
    ///
    /// # Errors
    ///
    /// The error of the first command that has one, which [says](crate::Error::command_number) which it was; others may have
    /// run. A command that is not for one slot, and a tuple or an array of another length than the pipeline, are
    /// [misuses](crate::ErrorKind::Misuse), and nothing is sent.
    pub fn execute<T: FromReplies>(&mut self) -> Execute<T> {
        Execute::new(self.take(T::COUNT))
    }

    /// Sends the commands, and gives what each of them came to.
    ///
    /// ```no_run
    /// # async fn example(cluster: tidings::ClusterClient) -> tidings::Result<()> {
    /// for outcome in cluster.pipeline().set("foo", "bar").incr("foo").execute_each().await? {
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
    /// [Misuses](crate::ErrorKind::Misuse), as with [`execute`](Self::execute): nothing was sent.
    pub fn execute_each(&mut self) -> ExecuteEach {
        ExecuteEach::new(self.take(None))
    }

    /// What is to be sent; leaves an empty pipeline.
    fn take(&mut self, count: Option<usize>) -> execute::Plan {
        let fresh = Gathering::new(self.cluster.charset());
        let commands = std::mem::replace(&mut self.commands, fresh);
        if let Err(error) = commands.check(count) {
            return execute::Plan::Known(Err(error));
        }
        if commands.len() == 0 {
            return execute::Plan::Known(Ok(()));
        }
        let cluster = self.cluster.driver();
        match Spread::new(cluster, commands.into_gathered(false)) {
            Ok(spread) => execute::Plan::Spread(Arc::clone(cluster), spread),
            Err(error) => execute::Plan::Known(Err(error)),
        }
    }
}

impl fmt::Debug for ClusterPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterPipeline")
            .field("commands", &self.len())
            .finish_non_exhaustive()
    }
}

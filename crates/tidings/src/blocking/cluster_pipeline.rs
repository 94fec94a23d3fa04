//! Many commands in one go, in a cluster.

use tidings_proto::{Command, ToArgs, Value};

use super::runtime;
use crate::error::Result;
use crate::pipeline::{FromReplies, Gathering};
use crate::script::Script;

/// Commands that are gathered, sent in one go to the nodes of a cluster, and answered together.
///
/// Made by [`ClusterClient::pipeline`](super::ClusterClient::pipeline). It is the asynchronous
/// [`ClusterPipeline`](crate::ClusterPipeline), where more stands of it, with calls that wait.
///
/// ```no_run
/// # fn example(cluster: tidings::blocking::ClusterClient) -> tidings::Result<()> {
/// let mut pipe = cluster.pipeline();
/// pipe.set("foo", "value1").set("bar", "value2").get("foo").get("bar");
/// let replies: (bool, bool, String, String) = pipe.execute()?;
/// assert_eq!(replies, (true, true, "value1".into(), "value2".into()));
/// # Ok(())
/// # }
/// ```
///
/// It is no transaction:
///
/// ```compile_fail,E0599
/// fn transaction(cluster: tidings::blocking::ClusterClient) {
///     cluster.pipeline().transaction(true);
/// }
/// ```
#[must_use = "a pipeline does nothing until it is executed"]
#[derive(Debug)]
pub struct ClusterPipeline {
    inner: crate::ClusterPipeline,
}

impl ClusterPipeline {
    pub(super) fn new(inner: crate::ClusterPipeline) -> Self {
        Self { inner }
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether there is no command.
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// Adds any command; as [there](crate::ClusterPipeline::run).
    pub fn run(&mut self, command: Command) -> &mut Self {
        self.inner.run(command);
        self
    }

    /// Adds a script, which runs by its digest on the node of its keys; as [there](crate::ClusterPipeline::script).
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
    /// As [there](crate::ClusterPipeline::execute).
    pub fn execute<T: FromReplies>(&mut self) -> Result<T> {
        // Where it cannot wait, it keeps its commands.
        runtime::wait(async { self.inner.execute().await })
    }

    /// Sends the commands, and gives what each of them came to; as [there](crate::ClusterPipeline::execute_each).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn execute_each(&mut self) -> Result<Vec<Result<Value>>> {
        runtime::wait(async { self.inner.execute_each().await })
    }
}

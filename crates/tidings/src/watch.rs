//! Watched keys: read first, then write only if nobody else has written meanwhile.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_proto::{Charset, Command, FromReply, ToArgs, cmd};

use crate::client::Client;
use crate::cluster::{SlotTransactions, WatchedSlot};
use crate::commands::Commands;
use crate::driver::body::{Answer, Body, Patience};
use crate::error::{Error, Result};
use crate::pipeline::Pipeline;
use crate::pool::Own;
use crate::run::{Run, decode, lost_while_watching};
use crate::script::ScriptCall;

const UNWATCH: &[u8] = b"*1\r\n$7\r\nUNWATCH\r\n";

/// A connection on which keys are watched.
///
/// Made by [`Client::watch`], or handed to the closure of [`Client::transaction`]; in a cluster by
/// [`SlotTransactions`]. Its commands run at once; whatever the watched keys hold is to be read with them. [`multi`](Self::multi) makes a pipeline of it, which is run only
/// if no watched key has changed since.
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use tidings::Commands;
///
/// loop {
///     let watch = client.watch("OUR-SEQUENCE-KEY").await?;
///     let current: Option<i64> = watch.get("OUR-SEQUENCE-KEY").await?;
///     let next = current.unwrap_or(0) + 1;
///     match watch.multi().set("OUR-SEQUENCE-KEY", next).execute::<()>().await {
///         Err(error) if error.is_watch() && !error.may_have_run() => continue, // somebody else was faster
///         outcome => break outcome,
///     }
/// }
/// # }
/// ```
///
/// Dropping it, or its pipeline, ends the watch: the keys are no longer watched, and the connection goes back to
/// the client's others. So leaving a scope is enough, also by `?`:
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use tidings::Commands;
///
/// let watch = client.watch("OUR-SEQUENCE-KEY").await?;
/// let current: i64 = watch.get("OUR-SEQUENCE-KEY").await?; // if it is no number, the watch ends here
/// if current < 100 {
///     watch.multi().incr("OUR-SEQUENCE-KEY").execute::<()>().await?;
/// } // else it ends here
/// # Ok(())
/// # }
/// ```
///
/// A second `MULTI`, and a `WATCH` behind it, do not compile:
///
/// ```compile_fail,E0382
/// async fn nested(watch: tidings::Watch) {
///     let transaction = watch.multi();
///     let again = watch.multi(); // `watch` was moved into its transaction
/// }
/// ```
///
/// ```compile_fail,E0599
/// async fn nested(watch: tidings::Watch) {
///     watch.multi().multi(); // a pipeline has no `multi`
/// }
/// ```
///
/// ```compile_fail,E0382
/// async fn too_late(watch: tidings::Watch) -> tidings::Result<()> {
///     let mut transaction = watch.multi();
///     watch.watch("another").await?; // `watch` was moved into its transaction
///     transaction.execute::<()>().await
/// }
/// ```
///
/// ```compile_fail,E0599
/// fn too_late(watch: tidings::Watch) {
///     watch.multi().watch("another"); // a pipeline has no `watch`
/// }
/// ```
///
/// # Errors
///
/// As those of a [`Client`]; but where the connection is lost, the error is of kind
/// [`Watch`](crate::ErrorKind::Watch), and nothing is sent again: what was seen of the keys is worth nothing any more.
#[must_use = "dropping a watch ends it"]
pub struct Watch {
    watched: Watched,
    /// What was sent to watch keys.
    watches: Mutex<Vec<Command>>,
    charset: Charset,
}

/// Where keys are to be watched.
#[derive(Clone)]
pub(crate) enum WatchAt {
    Server(Client),
    Slot(SlotTransactions),
}

impl WatchAt {
    fn charset(&self) -> Charset {
        match self {
            Self::Server(client) => client.charset(),
            Self::Slot(slot) => slot.charset(),
        }
    }

    async fn watch(&self, command: Command) -> Result<Watched> {
        match self {
            Self::Server(client) => watch_at_server(client, command).await,
            Self::Slot(slot) => {
                let (own, slot) = WatchedSlot::watch(slot, command).await?;
                Ok(Watched {
                    own: Some(own),
                    slot: Some(Arc::new(slot)),
                })
            }
        }
    }
}

async fn watch_at_server(client: &Client, command: Command) -> Result<Watched> {
    loop {
        let own = client.pool().connection().await?;
        match own.send(body(command.clone())).await {
            Ok(answer) => {
                let watched = Watched {
                    own: Some(own),
                    slot: None,
                };
                decode::<()>(answer, client.charset())?;
                return Ok(watched);
            }
            // The server has closed it while nobody looked. The next one may be new.
            Err(error) if error.is_connection() && own.was_used() => {}
            // WATCH may have run, but has done nothing that outlives its connection.
            Err(error) => return Err(not_watched(error)),
        }
    }
}

/// What is said of keys that could not be watched for this reason.
pub(crate) fn not_watched(error: Error) -> Error {
    Error::new(error.kind(), "the keys could not be watched").with_source(error)
}

impl Watch {
    pub(crate) async fn open(at: WatchAt, command: Command) -> Result<Self> {
        if command.is_empty() {
            return Err(Error::misuse("there is no key to watch: name at least one"));
        }
        let charset = at.charset();
        let command = command.in_charset(charset)?;
        let watched = at.watch(command.clone()).await?;
        Ok(Self {
            watched,
            watches: Mutex::new(vec![command]),
            charset,
        })
    }

    /// Watches further keys.
    ///
    /// # Errors
    ///
    /// As those of [`Watch`].
    pub async fn watch<S>(&self, keys: impl ToArgs<S>) -> Result<()> {
        let command = cmd("WATCH").arg(keys);
        if command.is_empty() {
            return Ok(());
        }
        let command = command.in_charset(self.charset)?;
        self.watched.check(&command)?;
        self.watches().push(command.clone());
        Run::known_watching(&self.watched, command, self.charset).await
    }

    fn watches(&self) -> MutexGuard<'_, Vec<Command>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction that is run only if no watched key has changed. From here on commands are gathered, and run
    /// together when it is executed.
    ///
    /// Executing gives an error of kind [`Watch`](crate::ErrorKind::Watch) if a watched key has changed: nothing has
    /// run then. Without commands it checks all the same.
    pub fn multi(self) -> Pipeline {
        Pipeline::watching(self.watched, self.charset)
    }

    /// Notes that a command is run that writes one of the watched keys: the server takes that for a change.
    fn note_write(&self, command: &Command) {
        if command.is_read_only() {
            return;
        }
        let watches = self.watches();
        let is_watched = |key| watches.iter().any(|watch| watch.args().any(|it| it == key));
        if command.keys().any(is_watched) {
            self.watched.own().note_write();
        }
    }

    /// Whether anything was run on it that writes a watched key; true also later.
    pub(crate) fn wrote(&self) -> Arc<AtomicBool> {
        self.watched.own().wrote()
    }
}

/// The connection of a watch; dropped, the watch ends and others may use it.
#[derive(Debug)]
pub(crate) struct Watched {
    own: Option<Own>,
    /// Where it is, in a cluster.
    slot: Option<Arc<WatchedSlot>>,
}

impl Watched {
    pub(crate) fn own(&self) -> &Own {
        self.own
            .as_ref()
            .expect("it is there until it is taken out or dropped")
    }

    /// The connection, for whoever ends the watch by EXEC, and where it is.
    pub(crate) fn into_own(mut self) -> (Own, Option<Arc<WatchedSlot>>) {
        let own = self.own.take();
        let own = own.expect("it is there until it is taken out or dropped");
        (own, self.slot.take())
    }

    pub(crate) fn slot(&self) -> Option<&Arc<WatchedSlot>> {
        self.slot.as_ref()
    }

    /// Why a command cannot be run on it, if it cannot.
    fn check(&self, command: &Command) -> Result<()> {
        let Some(slot) = &self.slot else {
            return Ok(());
        };
        let checked = slot.check(command.view());
        checked.map_err(|error| Error::misuse(format!("{command} cannot be run: {error}")))
    }

    /// What is sent for a request.
    pub(crate) fn body(&self, body: Body) -> Body {
        match &self.slot {
            Some(slot) => slot.body(body),
            None => body,
        }
    }

    /// What the answer to a request is to its caller.
    pub(crate) fn answer(&self, answer: Result<Answer>) -> Result<Answer> {
        let answer = answer.map_err(|error| {
            self.own().leave_in_doubt();
            lost_while_watching(error)
        })?;
        match &self.slot {
            Some(slot) => slot.answer_while_watching(answer),
            None => Ok(answer),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Some(own) = self.own.take() else { return };
        if !own.is_in_doubt() {
            own.mailbox().send_and_forget(UNWATCH.to_vec());
            own.give_back();
        }
    }
}

fn body(command: Command) -> Body {
    Body::command(command.into_bytes(), Patience::Usual)
}

impl<'a> Commands for &'a Watch {
    type Output<T: FromReply> = Run<'a, T>;

    fn run<T: FromReply>(self, command: Command) -> Run<'a, T> {
        let command = match command.in_charset(self.charset) {
            Ok(command) => command,
            Err(error) => return Run::refused(error.into()),
        };
        if let Err(error) = self.watched.check(&command) {
            return Run::refused(error);
        }
        self.note_write(&command);
        Run::watching(&self.watched, command, self.charset)
    }

    fn run_script<T: FromReply>(self, call: ScriptCall) -> Run<'a, T> {
        self.run(call.by_digest()).with_script(call)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

//! Commands that are gathered, encoded as they come.

use tidings_proto::cluster::Slot;
use tidings_proto::{ArgError, Charset, Command, CommandRef, CommandWriter, ToArgs};

use crate::cluster::check_slot;
use crate::commands::args::Counted;
use crate::commands::refused;
use crate::driver::body::{Gathered, Patience};
use crate::error::{Error, Result};
use crate::script::Script;

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// Room for a pipeline of some ten commands.
const FIRST_CAPACITY: usize = 512;

/// The commands of a pipeline, of whatever kind it is.
#[derive(Debug)]
pub(crate) struct Gathering {
    /// MULTI, whether it is sent or not, and the commands; empty before the first one.
    buffer: Vec<u8>,
    /// Where the last complete command ends: whatever is behind was broken off.
    complete: usize,
    /// Where the first command ends.
    first: usize,
    commands: usize,
    /// Which commands load a script for others.
    loads: Vec<usize>,
    /// The scripts that they load.
    scripts: Vec<Script>,
    /// Which commands call a script, loads not counted, and which of the scripts.
    calls: Vec<(usize, usize)>,
    patience: Patience,
    misuse: Option<Error>,
    charset: Charset,
}

impl Gathering {
    pub(super) fn new(charset: Charset) -> Self {
        Self {
            buffer: Vec::new(),
            complete: MULTI.len(),
            first: MULTI.len(),
            commands: 0,
            loads: Vec::new(),
            scripts: Vec::new(),
            calls: Vec::new(),
            patience: Patience::Usual,
            misuse: None,
            charset,
        }
    }

    /// How many commands there are as far as the caller knows.
    pub(super) fn len(&self) -> usize {
        self.commands - self.loads.len()
    }

    #[inline]
    pub(crate) fn charset(&self) -> Charset {
        self.charset
    }

    /// Adds any command.
    pub(super) fn run(&mut self, command: Command) {
        if let Some(error) = refused(command.view()) {
            self.note_misuse(error);
        }
        self.open();
        match command.in_charset(self.charset) {
            Ok(command) => self.buffer.extend_from_slice(command.as_bytes()),
            Err(error) => self.refuse(&error),
        }
        self.completed(true);
    }

    /// Adds a script.
    pub(super) fn script<K, A>(
        &mut self,
        script: &Script,
        keys: impl ToArgs<K>,
        args: impl ToArgs<A>,
    ) {
        let known = self
            .scripts
            .iter()
            .position(|known| known.digest() == script.digest());
        let number = known.unwrap_or_else(|| {
            self.begin("SCRIPT")
                .arg("LOAD")
                .arg(script.source().as_bytes());
            self.loads.push(self.commands);
            self.completed(false);
            self.scripts.push(script.clone());
            self.scripts.len() - 1
        });
        self.calls.push((self.len(), number));
        let charset = self.charset;
        let mut call = self.begin("EVALSHA");
        call.arg(script.digest()).arg(Counted(keys)).arg(args);
        if let Err(error) = call.in_charset(charset) {
            self.refuse(&error);
        }
        self.completed(false);
    }

    /// Notes why it cannot be executed; what was noted first counts.
    #[cold]
    pub(super) fn note_misuse(&mut self, error: Error) {
        self.misuse.get_or_insert(error);
    }

    /// Notes that an argument of a command cannot be sent.
    #[cold]
    pub(crate) fn refuse(&mut self, error: &ArgError) {
        let number = self.len() + 1;
        self.note_misuse(Error::misuse(format!(
            "an argument of command {number} cannot be sent: {error}"
        )));
    }

    /// Makes the buffer end with the last complete command.
    #[inline]
    fn open(&mut self) {
        if self.buffer.is_empty() {
            self.buffer.reserve(FIRST_CAPACITY);
            self.buffer.extend_from_slice(MULTI);
        } else {
            self.buffer.truncate(self.complete);
        }
    }

    /// Begins a command at the end of the others.
    #[inline]
    pub(crate) fn begin(&mut self, name: &str) -> CommandWriter<'_> {
        self.open();
        CommandWriter::new(&mut self.buffer, name)
    }

    /// The command that was begun last is complete.
    #[inline]
    pub(crate) fn completed(&mut self, may_block: bool) {
        if may_block {
            self.note_blocking();
        }
        self.complete = self.buffer.len();
        self.commands += 1;
        if self.commands == 1 {
            self.first = self.complete;
        }
    }

    /// Outside of a transaction, a command that blocks holds up those behind it.
    fn note_blocking(&mut self) {
        let last = self.buffer.get(self.complete..).unwrap_or_default();
        if let Some((command, _)) = CommandRef::split_first(last) {
            self.patience = self.patience.and(Patience::of(command));
        }
    }

    /// Why it cannot be executed for so many replies, if it cannot.
    pub(super) fn check(&self, count: Option<usize>) -> Result<()> {
        if let Some(error) = &self.misuse {
            return Err(error.clone());
        }
        match count {
            Some(count) if count != self.len() => Err(Error::misuse(format!(
                "the pipeline is executed for {count} replies, but the number of its commands is {}",
                self.len()
            ))),
            _ => Ok(()),
        }
    }

    /// Why one of the commands is not for a slot, if one is not.
    pub(super) fn check_slot(&self, slot: Slot) -> Result<()> {
        let mut number = 0;
        for (index, command) in self.each().enumerate() {
            if self.loads.binary_search(&index).is_err() {
                number += 1;
            }
            check_slot(command, slot)
                .map_err(|error| error.of_command(number, command, "cannot be sent"))?;
        }
        Ok(())
    }

    /// Sees to it that one of the commands has a key, by one that reads this key and whose reply is for nobody.
    pub(super) fn ensure_key(&mut self, key: &[u8]) {
        if self.each().all(|command| command.keys().next().is_none()) {
            self.loads.push(self.commands);
            self.begin("EXISTS").arg(key);
            self.completed(false);
        }
    }

    /// The commands, loads included.
    fn each(&self) -> impl Iterator<Item = CommandRef<'_>> {
        let mut rest = match self.buffer.get(MULTI.len()..self.complete) {
            Some(commands) => commands,
            None => &[],
        };
        std::iter::from_fn(move || {
            let (command, tail) = CommandRef::split_first(rest)?;
            rest = tail;
            Some(command)
        })
    }

    /// The commands, with EXEC behind them if they are a transaction.
    pub(super) fn into_gathered(mut self, transaction: bool) -> Gathered {
        self.open();
        let inner = MULTI.len()..self.complete;
        if transaction {
            self.buffer.extend_from_slice(EXEC);
        }
        Gathered {
            bytes: self.buffer,
            first: self.first - inner.start,
            inner,
            commands: self.commands,
            loads: self.loads,
            calls: self.calls,
            patience: self.patience,
            charset: self.charset,
        }
    }
}

//! The server: a real one, started here, on a core of its own.

use std::path::Path;
use std::thread;

use tidings_testkit::{Binary, Flavor, matrix};

use crate::contestant::{Assignment, Contestant};
use crate::machine::{self, Core};
use crate::rounds::{Benchmark, Observed};
use crate::{Error, Result};

pub(crate) struct Server(tidings_testkit::Server);

impl Server {
    /// Starts `program`, or the newest Redis that there is.
    pub(crate) fn start(program: Option<&Path>) -> Result<Self> {
        let binary = match program {
            Some(path) => {
                Binary::at(path).ok_or_else(|| format!("{} is not a server", path.display()))?
            }
            None => newest()?,
        };
        // A process starts on the core of the thread that starts it.
        let starter = thread::spawn(move || {
            machine::pin(Core::First);
            tidings_testkit::Server::builder().binary(&binary).start()
        });
        let started = starter.join().map_err(|_| "starting the server panicked")?;
        Ok(Self(started?))
    }

    pub(crate) fn facts(&self) -> String {
        self.0.binary().to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port()
    }

    /// Has a contestant do its work.
    pub(crate) fn run<B: Benchmark>(
        &self,
        contestant: &Contestant<B::Shape>,
        shape: B::Shape,
        count: u64,
    ) -> Result<Observed> {
        let assignment = Assignment {
            port: self.0.port(),
            shape,
            count,
        };
        let reads_before = self.reads()?;
        let outcome = contestant.contest_apart(B::NAME, &assignment)?;
        Ok(Observed {
            outcome,
            protocol: None,
            server_reads: Some(self.reads()? - reads_before),
        })
    }

    /// How often it has read from any client: about as often as clients have written.
    fn reads(&self) -> Result<u64> {
        let info = self.0.try_admin(["INFO", "stats"])?.to_string();
        let reads = info
            .lines()
            .find_map(|line| line.strip_prefix("total_reads_processed:"));
        let reads = reads.ok_or_else(|| Error::from("the server does not count its reads"))?;
        Ok(reads.trim().parse()?)
    }
}

fn newest() -> Result<Binary> {
    let redis = matrix()
        .into_iter()
        .rfind(|binary| binary.flavor == Flavor::Redis);
    redis.ok_or_else(|| "no Redis was found: name a server with --server".into())
}

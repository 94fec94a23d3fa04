//! `cluster`: pipelines of SET and GET in turn over the nodes of a cluster, one after the other.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::thread;

use ::fred::prelude::{ClientLike, KeysInterface};
use ::redis::cluster::{ClusterClient, ClusterConnection, cluster_pipe};
use ::rustis::client::BatchPreparedCommand;
use ::rustis::commands::StringCommands;
use tidings_testkit::{Binary, Cluster as Nodes, Flavor, matrix};

use super::pairs::{self, Pair, Pairs};
use crate::contestant::{Assignment, Contestant, Kind, current_thread, nothing_to_prepare};
use crate::machine::{self, Core};
use crate::measure::{Outcome, Stopwatch};
use crate::report::{Column, count, figures, or_dash};
use crate::rounds::{Benchmark, Observed, Run};
use crate::{Error, Result};

pub(crate) struct Cluster {
    nodes: Nodes,
}

/// How many commands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape(usize);

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse() {
            Ok(commands) if commands > 0 && commands % 2 == 0 => Ok(Self(commands)),
            _ => Err(format!("`{text}` is no even number of commands").into()),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const CONTESTANTS: &[Contestant<Shape>] = &[
    contestant(
        "tidings",
        Kind::Tidings,
        "`ClusterClient::pipeline`",
        asynchronous::<Tidings>,
    ),
    contestant(
        "tidings-blocking",
        Kind::Tidings,
        "the same of `tidings::blocking`",
        blocking::<TidingsBlocking>,
    ),
    contestant(
        "rustis",
        Kind::Peer,
        "`create_pipeline` of a cluster's client",
        asynchronous::<Rustis>,
    ),
    contestant(
        "redis",
        Kind::Peer,
        "`cluster_pipe`, which is synchronous: its asynchronous pipelines are for one slot",
        blocking::<Redis>,
    ),
    contestant("fred", Kind::Peer, "`pipeline()` and `all`", |it| {
        asynchronous::<Fred>(it)
    }),
];

const fn contestant(
    name: &'static str,
    kind: Kind,
    usage: &'static str,
    run: fn(&Assignment<Shape>) -> Result<Outcome>,
) -> Contestant<Shape> {
    Contestant {
        name,
        usage,
        package: Some(match name.as_bytes() {
            b"tidings-blocking" => "tidings",
            _ => name,
        }),
        kind,
        most: match name.as_bytes() {
            b"fred" => 200_000,
            _ => u64::MAX,
        },
        core: Core::Last,
        prepare: nothing_to_prepare,
        run,
    }
}

/// About a second.
const MOST_COMMANDS: u64 = 1_000_000;

impl Benchmark for Cluster {
    type Shape = Shape;

    const NAME: &'static str = "cluster";
    const SHAPES_OPTION: &'static str = "--sizes";
    const UNITS: &'static str = "commands";
    const COLUMNS: &'static [Column] = &[
        Column {
            head: "commands/s",
            cell: |rows| rows.spread(Run::per_second).show(count),
        },
        Column {
            head: "CPU µs/command",
            cell: |rows| rows.spread(|run| run.cpu_each() / 1e3).show(figures),
        },
        Column {
            head: "CPU × tidings",
            cell: |rows| {
                or_dash(rows.against(is_tidings, Run::cpu_each), |it| {
                    it.show(figures)
                })
            },
        },
        Column {
            head: "time × tidings",
            cell: |rows| {
                or_dash(rows.against(is_tidings, Run::wall_each), |it| {
                    it.show(figures)
                })
            },
        },
        Column::PEAK,
    ];

    fn new(server: Option<&Path>) -> Result<Self> {
        let binary = match server {
            Some(path) => Binary::at(path),
            None => matrix()
                .into_iter()
                .rfind(|binary| binary.flavor == Flavor::Redis),
        };
        let binary = binary.ok_or("no Redis was found: name a server with --server")?;
        // A process starts on the core of the thread that starts it.
        let starter = thread::spawn(move || {
            machine::pin(Core::First);
            Nodes::builder().binary(&binary).start()
        });
        let started = starter
            .join()
            .map_err(|_| "starting the cluster panicked")?;
        Ok(Self { nodes: started? })
    }

    fn facts(&self) -> String {
        format!("three nodes of {}, on one core", self.nodes.binary())
    }

    fn contestants() -> &'static [Contestant<Shape>] {
        CONTESTANTS
    }

    fn usual_shapes() -> &'static [Shape] {
        &[Shape(100), Shape(1000), Shape(10_000)]
    }

    fn title(shape: Shape) -> String {
        format!("pipelines of {shape} over three nodes")
    }

    fn count(shape: Shape, at_most: u64) -> u64 {
        let commands = shape.0 as u64;
        at_most.min(MOST_COMMANDS).next_multiple_of(commands)
    }

    fn run(&self, contestant: &Contestant<Shape>, shape: Shape, count: u64) -> Result<Observed> {
        let assignment = Assignment {
            port: self.nodes.nodes()[0].port(),
            shape,
            count,
        };
        Ok(Observed {
            outcome: contestant.contest_apart(Self::NAME, &assignment)?,
            protocol: None,
            server_reads: None,
        })
    }
}

fn is_tidings(run: &Run) -> bool {
    run.contestant == "tidings"
}

/// An asynchronous client of a cluster.
trait Asynchronous: Send + Sized + 'static {
    fn connect(port: u16) -> impl Future<Output = Result<Self>> + Send;

    /// SET and GET of each pair, and their replies.
    fn pipeline(
        &mut self,
        pairs: &[Pair],
    ) -> impl Future<Output = Result<Vec<Option<String>>>> + Send;
}

fn asynchronous<C: Asynchronous>(assignment: &Assignment<Shape>) -> Result<Outcome> {
    async fn run<C: Asynchronous>(assignment: Assignment<Shape>) -> Result<Outcome> {
        let mut client = C::connect(assignment.port).await?;
        let mut work = Work::new(&assignment);
        for window in work.pairs.windows().take(work.pairs.window_count()) {
            client.pipeline(window).await?;
        }
        let stopwatch = Stopwatch::start();
        for (time, window) in (0..work.pipelines).zip(work.pairs.windows()) {
            let replies = client.pipeline(window).await?;
            work.bytes += pairs::check(window, &replies, time)?;
        }
        Ok(stopwatch.stop(assignment.count, work.bytes))
    }
    let runtime = current_thread()?;
    runtime.block_on(runtime.spawn(run::<C>(*assignment)))?
}

/// One for threads.
trait Blocking: Sized {
    fn connect(port: u16) -> Result<Self>;

    /// SET and GET of each pair, and their replies.
    fn pipeline(&mut self, pairs: &[Pair]) -> Result<Vec<Option<String>>>;
}

fn blocking<C: Blocking>(assignment: &Assignment<Shape>) -> Result<Outcome> {
    let mut client = C::connect(assignment.port)?;
    let mut work = Work::new(assignment);
    for window in work.pairs.windows().take(work.pairs.window_count()) {
        client.pipeline(window)?;
    }
    let stopwatch = Stopwatch::start();
    for (time, window) in (0..work.pipelines).zip(work.pairs.windows()) {
        let replies = client.pipeline(window)?;
        work.bytes += pairs::check(window, &replies, time)?;
    }
    Ok(stopwatch.stop(assignment.count, work.bytes))
}

/// Every key is there, and every buffer has its size, before the time is taken.
struct Work {
    pairs: Pairs,
    pipelines: u64,
    bytes: u64,
}

impl Work {
    fn new(assignment: &Assignment<Shape>) -> Self {
        let Shape(commands) = assignment.shape;
        Self {
            pairs: Pairs::new(commands / 2),
            pipelines: assignment.count / commands as u64,
            bytes: 0,
        }
    }
}

struct Tidings(::tidings::ClusterClient);

impl Asynchronous for Tidings {
    async fn connect(port: u16) -> Result<Self> {
        let url = format!("redis+cluster://127.0.0.1:{port}/?protocol=3");
        Ok(Self(::tidings::ClusterClient::connect(url.as_str()).await?))
    }

    async fn pipeline(&mut self, pairs: &[Pair]) -> Result<Vec<Option<String>>> {
        let mut pipeline = self.0.pipeline();
        for (key, value) in pairs {
            pipeline.set(key, value).get(key);
        }
        Ok(pipeline.execute().await?)
    }
}

struct TidingsBlocking(::tidings::blocking::ClusterClient);

impl Blocking for TidingsBlocking {
    fn connect(port: u16) -> Result<Self> {
        let url = format!("redis+cluster://127.0.0.1:{port}/?protocol=3");
        Ok(Self(::tidings::blocking::ClusterClient::connect(
            url.as_str(),
        )?))
    }

    fn pipeline(&mut self, pairs: &[Pair]) -> Result<Vec<Option<String>>> {
        let mut pipeline = self.0.pipeline();
        for (key, value) in pairs {
            pipeline.set(key, value).get(key);
        }
        Ok(pipeline.execute()?)
    }
}

struct Rustis(::rustis::client::Client);

impl Asynchronous for Rustis {
    async fn connect(port: u16) -> Result<Self> {
        let url = format!("redis+cluster://127.0.0.1:{port}");
        Ok(Self(::rustis::client::Client::connect(url).await?))
    }

    async fn pipeline(&mut self, pairs: &[Pair]) -> Result<Vec<Option<String>>> {
        let mut pipeline = self.0.create_pipeline();
        pipeline.reserve(2 * pairs.len());
        for (key, value) in pairs {
            pipeline.set(key, value).queue();
            pipeline.get::<()>(key).queue();
        }
        Ok(pipeline.execute().await?)
    }
}

struct Redis(ClusterConnection);

impl Blocking for Redis {
    fn connect(port: u16) -> Result<Self> {
        let nodes = vec![format!("redis://127.0.0.1:{port}/?protocol=resp3")];
        Ok(Self(ClusterClient::new(nodes)?.get_connection()?))
    }

    fn pipeline(&mut self, pairs: &[Pair]) -> Result<Vec<Option<String>>> {
        let mut pipeline = cluster_pipe();
        for (key, value) in pairs {
            pipeline.cmd("SET").arg(key).arg(value).cmd("GET").arg(key);
        }
        Ok(pipeline.query(&mut self.0)?)
    }
}

struct Fred(::fred::clients::Client);

impl Asynchronous for Fred {
    async fn connect(port: u16) -> Result<Self> {
        let config = ::fred::types::config::Config {
            version: ::fred::types::RespVersion::RESP3,
            server: ::fred::types::config::ServerConfig::new_clustered(vec![("127.0.0.1", port)]),
            ..Default::default()
        };
        let client = ::fred::types::Builder::from_config(config).build()?;
        client.init().await?;
        Ok(Self(client))
    }

    async fn pipeline(&mut self, pairs: &[Pair]) -> Result<Vec<Option<String>>> {
        let pipeline = self.0.pipeline();
        for (key, value) in pairs {
            let _: () = pipeline.set(key, value, None, None, false).await?;
            let _: () = pipeline.get(key).await?;
        }
        Ok(pipeline.all().await?)
    }
}

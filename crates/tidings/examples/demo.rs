//! A walk through Pub/Sub with Tidings, on a private server or on yours: each step is shown with what it gave.
//!
//! Run with `cargo xtask demo`, or `cargo xtask demo --url redis://127.0.0.1:6379` for a server of your own.

use std::time::Duration;

use tidings::{Client, Commands, Confirmation, Event, Gap, Message, Overflow, PubSub, cmd};
use tidings_testkit::Server;

/// How long the walk waits for something that is on its way.
const SOON: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut server = None;
    let url = match (args.next().as_deref(), args.next()) {
        (None, _) => {
            let started = server.insert(Server::start());
            println!("A private {} was started for this walk.", started.binary());
            started.url()
        }
        (Some("--url"), Some(url)) => url,
        _ => {
            eprintln!("usage: demo [--url redis://HOST:PORT]");
            std::process::exit(2);
        }
    };
    if let Err(error) = walk(&url).await {
        eprintln!("\nThe walk stopped: {error}");
        let mut below = std::error::Error::source(&error);
        while let Some(error) = below {
            eprintln!("  because: {error}");
            below = error.source();
        }
        drop(server);
        std::process::exit(1);
    }
}

async fn walk(url: &str) -> tidings::Result<()> {
    let client = Client::connect(url).await?;
    // Names of its own, so that a server that is in use is not disturbed.
    let prefix = format!("tidings-demo-{}", std::process::id());
    let first = format!("{prefix}:my-first-channel");
    let second = format!("{prefix}:my-second-channel");
    let pattern = format!("{prefix}:my-*");
    let walk = Walk {
        prefix: format!("{prefix}:"),
    };

    walk.title("Subscribing, and the confirmations with their counts");
    walk.code("let mut pubsub = client.pubsub().await?;");
    let mut pubsub = client.pubsub().await?;
    walk.code(r#"pubsub.subscribe(["my-first-channel", "my-second-channel"]).await?;"#);
    pubsub.subscribe([&first, &second]).await?;
    walk.code(r#"pubsub.psubscribe("my-*").await?;"#);
    pubsub.psubscribe(&pattern).await?;
    for _ in 0..3 {
        walk.read(&mut pubsub).await?;
    }

    walk.title("A message that matches a channel and a pattern arrives twice");
    walk.code(r#"client.publish("my-first-channel", "some data").await?"#);
    walk.gives(client.publish(&first, "some data").await?);
    for _ in 0..2 {
        walk.read(&mut pubsub).await?;
    }

    walk.title("PUBSUB CHANNELS, NUMSUB, NUMPAT");
    walk.code(r#"client.pubsub_channels("my-*").await?"#);
    let mut channels: Vec<String> = client.pubsub_channels(&pattern).await?;
    channels.sort();
    walk.gives(format!("{channels:?}"));
    walk.code(r#"client.pubsub_numsub(["my-first-channel", "nobody-listens"]).await?"#);
    let unknown = format!("{prefix}:nobody-listens");
    let counts: Vec<(String, i64)> = client.pubsub_numsub([&first, &unknown]).await?;
    walk.gives(format!("{counts:?}"));
    walk.code("client.pubsub_numpat().await?");
    walk.gives(client.pubsub_numpat().await?);

    walk.title("A connection that is killed: reconnected, subscribed again, and told");
    walk.code(r#"client.run(cmd("CLIENT").arg("KILL").arg("ID").arg(id)).await?;   // as an operator would"#);
    kill(&client, &first).await?;
    for _ in 0..4 {
        walk.read(&mut pubsub).await?;
    }
    walk.code(r#"client.publish("my-first-channel", "still here").await?"#);
    walk.gives(client.publish(&first, "still here").await?);
    for _ in 0..2 {
        walk.read(&mut pubsub).await?;
    }

    walk.title("Unsubscribing; with the last subscription the stream ends");
    walk.code("pubsub.unsubscribe_all().await?;");
    pubsub.unsubscribe_all().await?;
    walk.code(r#"pubsub.punsubscribe("my-*").await?;"#);
    pubsub.punsubscribe(&pattern).await?;
    walk.code("while let Some(event) = pubsub.next().await { … }");
    while let Some(event) = pubsub.next().await {
        walk.event(&event?);
    }
    walk.gives("None: the end");

    walk.title("A handler takes the messages of its channel");
    walk.code(r#"pubsub.subscribe_with("my-channel", |message| println!("MY HANDLER: {}", message.text())).await?;"#);
    let channel = format!("{prefix}:my-channel");
    pubsub
        .subscribe_with(&channel, |message| {
            println!("      MY HANDLER: {}", message.text());
        })
        .await?;
    walk.read(&mut pubsub).await?;
    walk.code(r#"client.publish("my-channel", "awesome data").await?"#);
    walk.gives(client.publish(&channel, "awesome data").await?);
    walk.read(&mut pubsub).await?;
    pubsub.close().await?;

    walk.title("Confirmations can be ignored");
    walk.code("let mut pubsub = client.pubsub().ignore_subscribe_messages(true).await?;");
    let mut pubsub = client.pubsub().ignore_subscribe_messages(true).await?;
    walk.code(r#"pubsub.subscribe("my-channel").await?;"#);
    pubsub.subscribe(&channel).await?;
    walk.read(&mut pubsub).await?;
    walk.code(r#"client.publish("my-channel", "my data").await?"#);
    walk.gives(client.publish(&channel, "my data").await?);
    walk.read(&mut pubsub).await?;

    walk.title("A slow reader loses messages, and is told how many");
    walk.code(r#"let mut slow = client.pubsub().channels(["my-channel"]).queue(3, 1 << 20).overflow(Overflow::DropOldest).await?;"#);
    let slow = client.pubsub().channels([&channel]).queue(3, 1 << 20);
    let mut slow = slow
        .overflow(Overflow::DropOldest)
        .ignore_subscribe_messages(true)
        .await?;
    walk.code("for n in 1..=10 { client.publish(\"my-channel\", n).await?; }");
    for n in 1..=10 {
        client.publish(&channel, n).await?;
    }
    slow.ping().await?;
    walk.code("while let Some(event) = slow.next_message(Duration::ZERO).await? { … }");
    while let Some(event) = slow.next_message(Duration::ZERO).await? {
        walk.event(&event);
    }

    println!("\nThat was it. The README shows what else there is.");
    Ok(())
}

/// Ends the connection of the subscriber to `channel`, as an operator or an overloaded server would.
async fn kill(client: &Client, channel: &str) -> tidings::Result<()> {
    let clients: String = client
        .run(cmd("CLIENT").arg("LIST").arg("TYPE").arg("pubsub"))
        .await?;
    debug_assert!(!channel.is_empty());
    // The newest Pub/Sub connection is the one that this walk made.
    let ids = clients
        .lines()
        .filter_map(|line| line.strip_prefix("id=")?.split(' ').next());
    let newest = ids
        .filter_map(|id| id.parse::<u64>().ok())
        .max()
        .unwrap_or_default();
    client
        .run(cmd("CLIENT").arg("KILL").arg("ID").arg(newest))
        .await
}

/// Prints what happens.
struct Walk {
    /// What stands before each name, and is not shown.
    prefix: String,
}

impl Walk {
    fn title(&self, title: &str) {
        println!("\n── {title}");
    }

    fn code(&self, code: &str) {
        println!("  {code}");
    }

    fn gives(&self, value: impl std::fmt::Display) {
        println!("      {}", value.to_string().replace(&self.prefix, ""));
    }

    async fn read(&self, pubsub: &mut PubSub) -> tidings::Result<()> {
        println!("  pubsub.get_message(..).await?");
        match pubsub.get_message(SOON).await? {
            Some(event) => self.event(&event),
            None => self.gives("None"),
        }
        Ok(())
    }

    fn event(&self, event: &Event) {
        self.gives(match event {
            Event::Message(message) => self.message(message),
            Event::Confirmation(confirmation) => self.confirmation(confirmation),
            Event::Gap(gap) => self.gap(gap),
            other => other.kind().to_owned(),
        });
    }

    fn message(&self, message: &Message) -> String {
        let kind = message.kind();
        let pattern = message
            .pattern_str()
            .map(|p| format!(" pattern {p:?},"))
            .unwrap_or_default();
        format!(
            "{kind}:{pattern} channel {:?}, payload {:?}",
            message.channel_str(),
            message.text()
        )
    }

    fn confirmation(&self, confirmation: &Confirmation) -> String {
        let count = confirmation.count();
        format!(
            "{}: {:?}, {count} subscribed now",
            confirmation.kind(),
            confirmation.name_str()
        )
    }

    fn gap(&self, gap: &Gap) -> String {
        let names: Vec<_> = gap.names().map(String::from_utf8_lossy).collect();
        let time = gap.until().duration_since(gap.since()).unwrap_or_default();
        let dropped = gap
            .dropped()
            .map(|n| format!("{n} messages, "))
            .unwrap_or_default();
        format!(
            "GAP: {:?}, {dropped}within {time:.1?}, of {names:?}",
            gap.cause()
        )
    }
}

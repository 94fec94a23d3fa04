//! Subscribing, reading, losing and finding again.

use std::time::Duration;

use tidings::{Client, Commands, Overflow, cmd};

use crate::screen::Screen;

pub(crate) async fn walk(client: &Client, screen: &Screen) -> tidings::Result<()> {
    let first = screen.name("my-first-channel");
    let second = screen.name("my-second-channel");
    let pattern = screen.name("my-*");

    screen.title("Subscribing, and the confirmations with their counts");
    screen.code("let mut pubsub = client.pubsub().await?;");
    let mut pubsub = client.pubsub().await?;
    screen.code(r#"pubsub.subscribe(["my-first-channel", "my-second-channel"]).await?;"#);
    pubsub.subscribe([&first, &second]).await?;
    screen.code(r#"pubsub.psubscribe("my-*").await?;"#);
    pubsub.psubscribe(&pattern).await?;
    for _ in 0..3 {
        screen.read(&mut pubsub).await?;
    }

    screen.title("A message that matches a channel and a pattern arrives twice");
    screen.code(r#"client.publish("my-first-channel", "some data").await?"#);
    screen.gives(client.publish(&first, "some data").await?);
    for _ in 0..2 {
        screen.read(&mut pubsub).await?;
    }

    screen.title("PUBSUB CHANNELS, NUMSUB, NUMPAT");
    screen.code(r#"client.pubsub_channels("my-*").await?"#);
    let mut channels: Vec<String> = client.pubsub_channels(&pattern).await?;
    channels.sort();
    screen.gives(format!("{channels:?}"));
    screen.code(r#"client.pubsub_numsub(["my-first-channel", "nobody-listens"]).await?"#);
    let unknown = screen.name("nobody-listens");
    let counts: Vec<(String, i64)> = client.pubsub_numsub([&first, &unknown]).await?;
    screen.gives(format!("{counts:?}"));
    screen.code("client.pubsub_numpat().await?");
    screen.gives(client.pubsub_numpat().await?);

    screen.title("A connection that is killed: reconnected, subscribed again, and told");
    screen.code(r#"client.run(cmd("CLIENT").arg("KILL").arg("ID").arg(id)).await?;   // as an operator would"#);
    kill(client).await?;
    for _ in 0..4 {
        screen.read(&mut pubsub).await?;
    }
    screen.code(r#"client.publish("my-first-channel", "still here").await?"#);
    screen.gives(client.publish(&first, "still here").await?);
    for _ in 0..2 {
        screen.read(&mut pubsub).await?;
    }

    screen.title("Unsubscribing; with the last subscription the stream ends");
    screen.code("pubsub.unsubscribe_all().await?;");
    pubsub.unsubscribe_all().await?;
    screen.code(r#"pubsub.punsubscribe("my-*").await?;"#);
    pubsub.punsubscribe(&pattern).await?;
    screen.code("while let Some(event) = pubsub.next().await { … }");
    while let Some(event) = pubsub.next().await {
        screen.event(&event?);
    }
    screen.gives("None: the end");

    screen.title("A handler takes the messages of its channel");
    screen.code(
        r#"pubsub.subscribe_with("my-channel", |message| {
      println!("MY HANDLER: {}", message.text());
  }).await?;"#,
    );
    let channel = screen.name("my-channel");
    pubsub
        .subscribe_with(&channel, |message| {
            println!("      MY HANDLER: {}", message.text());
        })
        .await?;
    screen.read(&mut pubsub).await?;
    screen.code(r#"client.publish("my-channel", "awesome data").await?"#);
    screen.gives(client.publish(&channel, "awesome data").await?);
    screen.read(&mut pubsub).await?;
    pubsub.close().await?;

    screen.title("Confirmations can be ignored");
    screen.code("let mut pubsub = client.pubsub().ignore_subscribe_messages(true).await?;");
    let mut pubsub = client.pubsub().ignore_subscribe_messages(true).await?;
    screen.code(r#"pubsub.subscribe("my-channel").await?;"#);
    pubsub.subscribe(&channel).await?;
    screen.read(&mut pubsub).await?;
    screen.code(r#"client.publish("my-channel", "my data").await?"#);
    screen.gives(client.publish(&channel, "my data").await?);
    screen.read(&mut pubsub).await?;

    screen.title("A slow reader loses messages, and is told how many");
    screen.code(
        r#"let mut slow = client.pubsub().channels(["my-channel"])
      .queue(3, 1 << 20).overflow(Overflow::DropOldest).await?;"#,
    );
    let slow = client.pubsub().channels([&channel]).queue(3, 1 << 20);
    let mut slow = slow
        .overflow(Overflow::DropOldest)
        .ignore_subscribe_messages(true)
        .await?;
    screen.code("for n in 1..=10 { client.publish(\"my-channel\", n).await?; }");
    for n in 1..=10 {
        client.publish(&channel, n).await?;
    }
    slow.ping().await?;
    screen.code("while let Some(event) = slow.next_message(Duration::ZERO).await? { … }");
    while let Some(event) = slow.next_message(Duration::ZERO).await? {
        screen.event(&event);
    }
    Ok(())
}

/// Ends the subscriber's connection, as an operator or an overloaded server would.
async fn kill(client: &Client) -> tidings::Result<()> {
    let clients: String = client
        .run(cmd("CLIENT").arg("LIST").arg("TYPE").arg("pubsub"))
        .await?;
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

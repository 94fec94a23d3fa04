//! Many commands in one go, transactions over watched keys, scripts, and all of it as the server saw it.

use std::collections::HashSet;

use tidings::{Client, Commands, Monitor, MonitorEvent, Script};

use crate::screen::Screen;

/// What the walk writes, and deletes in the end.
pub(crate) const KEYS: [&str; 6] = [
    "foo",
    "bing",
    "faz",
    "auto_number",
    "OUR-SEQUENCE-KEY",
    "seats",
];

/// What the last command says, so that it is known in MONITOR.
const DONE: &str = "done";

pub(crate) async fn walk(client: &Client, screen: &Screen) -> tidings::Result<()> {
    pipelines(client, screen).await?;
    watched(client, screen).await?;
    scripts(client, screen).await?;
    monitored(client, screen).await
}

async fn pipelines(client: &Client, screen: &Screen) -> tidings::Result<()> {
    let [key, bing, faz, number] =
        ["foo", "bing", "faz", "auto_number"].map(|key| screen.name(key));
    client.set(&bing, "baz").await?;
    client.set(&number, 5).await?;

    screen.title("A pipeline: all commands in one go, one reply each, of the types that you name");
    screen.code("let mut pipe = client.pipeline();");
    let mut pipe = client.pipeline();
    screen.code(r#"pipe.set("foo", "bar");"#);
    pipe.set(&key, "bar");
    screen.code(r#"pipe.get("bing");"#);
    pipe.get(&bing);
    screen.code("pipe.execute::<(bool, String)>().await?");
    let replies = pipe.execute::<(bool, String)>().await?;
    screen.gives(format!("{replies:?}"));

    screen.title("The same in a chain; it is a transaction (MULTI, EXEC)");
    screen.code(
        r#"client.pipeline().set("foo", "bar").sadd("faz", "baz").incr("auto_number")
      .execute::<(bool, bool, i64)>().await?"#,
    );
    let mut pipe = client.pipeline();
    pipe.set(&key, "bar").sadd(&faz, "baz").incr(&number);
    let replies = pipe.execute::<(bool, bool, i64)>().await?;
    screen.gives(format!("{replies:?}"));

    screen.title("Only sent together, no transaction; and a result for each command");
    screen.code(
        r#"client.pipeline().transaction(false).incr("auto_number").incr("foo").get("foo")
      .execute_each().await?"#,
    );
    let mut pipe = client.pipeline();
    pipe.transaction(false).incr(&number).incr(&key).get(&key);
    for reply in pipe.execute_each().await? {
        match reply {
            Ok(value) => screen.gives(format!("Ok({value:?})")),
            Err(error) => screen.gives(format!("Err: {error}")),
        }
    }
    Ok(())
}

async fn watched(client: &Client, screen: &Screen) -> tidings::Result<()> {
    let key = &screen.name("OUR-SEQUENCE-KEY");
    client.set(key, 1).await?;

    screen.title("A client-side INCR: read, and write only if nobody wrote meanwhile");
    screen.code(
        r#"loop {
      let watch = client.watch("OUR-SEQUENCE-KEY").await?;
      let current: i64 = watch.get("OUR-SEQUENCE-KEY").await?;
      match watch.multi().set("OUR-SEQUENCE-KEY", current + 1).execute::<()>().await {
          Err(error) if error.is_watch() => println!("{error}"),   // somebody did: once more
          outcome => break outcome?,
      }
  }"#,
    );
    let mut rival = Some(41);
    loop {
        let watch = client.watch(key).await?;
        let current: i64 = watch.get(key).await?;
        screen.gives(format!("read {current}"));
        if let Some(value) = rival.take() {
            client.set(key, value).await?;
            screen.gives(format!("(meanwhile a rival writes {value})"));
        }
        let next = current + 1;
        match watch.multi().set(key, next).execute::<()>().await {
            Err(error) if error.is_watch() => screen.gives(error),
            outcome => {
                screen.gives(format!("wrote {next}"));
                break outcome?;
            }
        }
    }

    screen.title("The same without the loop");
    screen.code(
        r#"client.transaction("OUR-SEQUENCE-KEY", |watch| async move {
      let current: i64 = watch.get("OUR-SEQUENCE-KEY").await?;
      watch.multi().set("OUR-SEQUENCE-KEY", current + 1).execute::<()>().await?;
      Ok(current + 1)
  }).await?"#,
    );
    screen.gives(increment(client, key).await?);
    Ok(())
}

async fn increment(client: &Client, key: &str) -> tidings::Result<i64> {
    let outcome = client.transaction(key, |watch| async move {
        let current: i64 = watch.get(key).await?;
        let next = current + 1;
        watch.multi().set(key, next).execute::<()>().await?;
        Ok(next)
    });
    outcome.await
}

/// Counts up to a limit.
const TAKE: &str = "
    local n = tonumber(redis.call('GET', KEYS[1]) or 0)
    if n >= tonumber(ARGV[1]) then return false end
    return redis.call('INCR', KEYS[1])";

async fn scripts(client: &Client, screen: &Screen) -> tidings::Result<()> {
    screen
        .title("A script: runs on the server with nothing in between; loaded where it is unknown");
    screen
        .code(r#"let take = Script::new("… if n >= tonumber(ARGV[1]) then return false end …");"#);
    let take = Script::new(TAKE);
    let seats = screen.name("seats");
    for _ in 0..3 {
        screen.code(r#"let taken: Option<i64> = take.run(&client, "seats", 2).await?;"#);
        let taken: Option<i64> = take.run(client, &seats, 2).await?;
        screen.gives(format!("{taken:?}"));
    }
    Ok(())
}

async fn monitored(client: &Client, screen: &Screen) -> tidings::Result<()> {
    screen
        .title("MONITOR: what the server makes of it; watched keys have a connection of their own");
    screen.code("let mut monitor = client.monitor().await?;");
    let mut monitor = client.monitor().await?;
    screen.code("// … a pipeline, the client-side INCR, and the script once more …");
    let (key, number) = (screen.name("foo"), screen.name("auto_number"));
    let mut pipe = client.pipeline();
    pipe.set(&key, "two words")
        .incr(&number)
        .execute::<()>()
        .await?;
    increment(client, &screen.name("OUR-SEQUENCE-KEY")).await?;
    let _: Option<i64> = Script::new(TAKE)
        .run(client, screen.name("seats"), 9)
        .await?;
    let _: String = client.echo(screen.name(DONE)).await?;

    screen.code(
        r#"while let Some(event) = monitor.next().await {
      let event = event?;
      println!("{} {:?}", event.client(), event.command());
  }"#,
    );
    let seen = until_done(&mut monitor, screen).await?;
    // A server of yours may have other clients; theirs is none of our business.
    let ours: HashSet<_> = seen
        .iter()
        .flatten()
        .filter(|event| event.command().iter().any(|arg| screen.is_ours(arg)))
        .map(MonitorEvent::client)
        .collect();
    for item in &seen {
        match item {
            Ok(event) if ours.contains(event.client()) => screen.command(event),
            Ok(_) => {}
            Err(line) => screen.gives(line),
        }
    }
    Ok(())
}

/// Every command up to the last one of this walk, and the lines of which it is not certain what they say.
async fn until_done(
    monitor: &mut Monitor,
    screen: &Screen,
) -> tidings::Result<Vec<Result<MonitorEvent, String>>> {
    let done = screen.name(DONE);
    let mut seen = Vec::new();
    while let Some(item) = monitor.next().await {
        match item {
            Ok(event) if event.command().last().is_some_and(|arg| *arg == done) => break,
            Ok(event) => seen.push(Ok(event)),
            // Valkey 8.1.0 and 8.1.1 do not escape, and few of their lines can be read in one way only.
            Err(error) => match error
                .raw_payload()
                .map(|line| String::from_utf8_lossy(line))
            {
                Some(line) if screen.is_in(&line) => seen.push(Err(format!("{error}: {line}"))),
                Some(_) => {}
                None => return Err(error),
            },
        }
    }
    Ok(seen)
}

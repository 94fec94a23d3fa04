//! A chat in the browser: rooms over WebSockets, and server-sent events for those who only read.
//!
//! ```text
//! cargo run -p tidings-examples --example chat -- redis://127.0.0.1:6379
//! ```
//!
//! Then open <http://127.0.0.1:3000> in two windows. Started once more with another address
//! (`… -- redis://127.0.0.1:6379 127.0.0.1:3001`), it serves the same rooms from there: what is said goes through the
//! Redis or Valkey server.
//!
//! Each browser has a [`Subscription`] of its own. All of them share one connection, however many there are, and
//! the server sees one subscription a room. A browser that reads slowly holds up nobody: its own queue drops the oldest
//! messages, and a gap says how many, which the browser is told.

use std::convert::Infallible;
use std::env;
use std::future;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tidings::{Client, Commands, Event, Subscription};
use tokio::net::TcpListener;
use tokio::{signal, time};

/// What may wait for one browser: so many messages, and so many bytes.
const QUEUE: (usize, usize) = (256, 1 << 20);

/// The longest message that a browser may send, in bytes.
const LONGEST: usize = 16 << 10;

/// How long a browser may take nothing at all before it is let go.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next();
    let url = url.as_deref().unwrap_or("redis://127.0.0.1:6379");
    let address = arguments.next();
    let address = address.as_deref().unwrap_or("127.0.0.1:3000");

    let client = Client::connect(url).await?;
    let app = Router::new()
        .route("/", get(async || Html(include_str!("chat.html"))))
        .route("/rooms/{room}/socket", get(socket))
        .route("/rooms/{room}/events", get(events))
        .with_state(client);
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::select! {
        served = async { axum::serve(listener, app).await } => served?,
        pressed = signal::ctrl_c() => pressed?,
    }
    Ok(())
}

/// Joins a room. Resolved means confirmed: whatever is said from now on comes.
async fn join(client: &Client, room: &str) -> tidings::Result<Subscription> {
    let (messages, bytes) = QUEUE;
    client.subscribe(channel(room)).queue(messages, bytes).await
}

fn channel(room: &str) -> String {
    format!("chat:{room}")
}

// ---- those who take part ----

async fn socket(
    Path(room): Path<String>,
    State(client): State<Client>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Unavailable> {
    // Before the browser is told that it is connected, so that it misses nothing from then on.
    let messages = join(&client, &room).await?;
    let upgrade = upgrade.max_message_size(LONGEST);
    Ok(upgrade.on_upgrade(async move |socket| converse(socket, messages, &client, &room).await))
}

/// Carries messages to and fro until the browser is gone. With the last subscription of a room that is dropped, the
/// server's ends, too.
async fn converse(mut socket: WebSocket, mut messages: Subscription, client: &Client, room: &str) {
    loop {
        // Either can be given up halfway without losing anything.
        let news = tokio::select! {
            said = socket.recv() => match said {
                Some(Ok(ws::Message::Text(text))) => publish(client, room, &text).await,
                Some(Ok(ws::Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => None,
            },
            event = messages.next() => match event {
                Some(event) => news(event),
                None => return,
            },
        };
        if let Some(news) = news {
            // While a slow browser is waited for here, what comes for it gathers in its queue, and nowhere else.
            let sent = time::timeout(PATIENCE, socket.send(news.into())).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// Says something to all in a room, this browser too; what there is to tell it about that.
async fn publish(client: &Client, room: &str, text: &str) -> Option<String> {
    match client.publish(channel(room), text).await {
        Ok(_receivers) => None,
        Err(error) => json(&News::Trouble(format!("not sent: {error}"))),
    }
}

// ---- those who only read ----

async fn events(
    Path(room): Path<String>,
    State(client): State<Client>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Unavailable> {
    let messages = join(&client, &room).await?;
    // A `Subscription` is a stream, and axum ends it with its connection.
    let events = messages.filter_map(|event| {
        let news = news(event);
        future::ready(news.map(|news| Ok(sse::Event::default().data(news))))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

// ---- what a browser is told ----

/// As JSON: `{"message":"hello"}`, `{"missed":17}`, `{"missed":null}`, `{"trouble":"…"}`.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum News<'a> {
    Message(&'a str),
    /// Messages are missing here; how many, if that can be known.
    Missed(Option<u64>),
    Trouble(String),
}

fn news(event: tidings::Result<Event>) -> Option<String> {
    match event {
        Ok(Event::Message(message)) => json(&News::Message(&message.text())),
        Ok(Event::Gap(gap)) => json(&News::Missed(gap.dropped())),
        Ok(_) => None,
        // The server no longer lets us hear this room, for instance. The subscription goes on trying.
        Err(error) => json(&News::Trouble(error.to_string())),
    }
}

fn json(news: &News<'_>) -> Option<String> {
    serde_json::to_string(news).ok()
}

/// The answer while nobody can be let into a room.
struct Unavailable(tidings::Error);

impl From<tidings::Error> for Unavailable {
    fn from(error: tidings::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        println!("nobody can be let in: {:#}", anyhow::Error::from(self.0));
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}
